import type { BenchResult, RunInfo } from '../bench.ts';

/** Where and when a run was made, which its times depend on. */
export interface Circumstances {
  /** Program and arguments, one each. */
  readonly command: readonly string[];
  /** ISO 8601. */
  readonly date: string;
  readonly seconds: number;
  readonly peakMemoryBytes: number;
  /** Packages beside the runtime and the encoders, which the run tells itself. */
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: {
    readonly platform: string;
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
  };
}

/** A measurement with its circumstances: all that a report is made of. */
export interface BenchDocument extends Omit<BenchResult, 'run'> {
  readonly run: RunInfo & Circumstances;
}
