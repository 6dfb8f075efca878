import type { Report, Way } from './golden.ts';

/** A runtime that this machine may have. */
export interface Runtime {
  readonly name: string;
  readonly ways: readonly Way[];
  /** What to do where it is not installed. */
  readonly install: string;
  /**
   * Starts it on a folder that `bundleInto` filled, where it may also put files; null where it is not installed. `signal` bounds
   * the start.
   */
  open(folder: string, signal: AbortSignal): Promise<OpenRuntime | null>;
}

export interface OpenRuntime {
  readonly version: string;
  /** Each report comes from a fresh process, isolate or page. */
  report(way: Way, signal: AbortSignal): Promise<Report>;
  /** Leaves nothing running. */
  close(): Promise<void>;
}

/** What `work` gives, unless the signal comes first. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  return Promise.race([work, aborted]);
}
