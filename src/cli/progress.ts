import { SingleBar } from 'cli-progress';

/** A progress bar with an ETA on a terminal's standard error; nothing where that is piped or `quiet`. */
export function progressBar(
  what: string,
  quiet = false,
): { update(done: number, total: number, label?: string): void; stop(): void } {
  const bar = new SingleBar({
    format: `${what} {bar} {value}/{total} ETA {eta_formatted} {label}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: null,
    noTTYOutput: false,
  });
  let started = false;
  return {
    update(done, total, label = '') {
      if (quiet || process.stderr.isTTY !== true) return;
      if (!started) bar.start(total, done, { label });
      started = true;
      bar.setTotal(total);
      bar.update(done, { label });
    },
    stop: () => bar.stop(),
  };
}

/** A bar for each stage of a long work, one after the other. */
export function stageBars(quiet?: boolean): {
  tell(stage: string, done: number, total: number, label?: string): void;
  stop(): void;
} {
  let current: string | undefined;
  let bar: ReturnType<typeof progressBar> | undefined;
  return {
    tell(stage, done, total, label) {
      if (stage !== current) {
        bar?.stop();
        bar = progressBar(stage, quiet);
        current = stage;
      }
      bar?.update(done, total, label);
    },
    stop: () => bar?.stop(),
  };
}

/** A signal that aborts at the first Ctrl-C; a second one ends the process. */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => {
    process.stderr.write('\nstopping; press Ctrl-C again to end at once\n');
    controller.abort();
  });
  return controller.signal;
}
