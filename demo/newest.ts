/**
 * Runs `work` on one input at a time. What comes meanwhile waits, and of several the newest alone: so a slow stage sees the latest
 * picture next, and no queue of old ones. The promise settles when nothing waits any more.
 */
export function newestNext<Input>(work: (input: Input) => Promise<void>): (input: Input) => Promise<void> {
  let next: { readonly input: Input } | null = null;
  let loop: Promise<void> | null = null;
  async function drain(): Promise<void> {
    while (next !== null) {
      const { input }: { readonly input: Input } = next;
      next = null;
      await work(input);
    }
  }
  return (input) => {
    next = { input };
    loop ??= drain().finally(() => {
      loop = null;
    });
    return loop;
  };
}
