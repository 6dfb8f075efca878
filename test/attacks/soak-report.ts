import type { Outcome } from './judge.ts';

/** What the cases of one surface came to. */
export interface Tally {
  cases: number;
  outcomes: { [outcome in Outcome]?: number };
  /** The largest of a case, and which. */
  ms: number;
  msCase: number;
  bytes: number;
  bytesCase: number;
  /** The largest share of its own bound that a case took. */
  msShare: number;
  bytesShare: number;
}

export interface Failure {
  readonly number: number;
  readonly problem: string;
}

/** Cases `from` to `to` - 1. */
export interface Chunk {
  readonly from: number;
  readonly to: number;
}

export interface ChunkReport extends Chunk {
  readonly tallies: Record<string, Tally>;
  readonly failures: readonly Failure[];
}

export interface WorkerData {
  readonly seed: number;
  readonly worker: number;
  /** Whether only packets, streams and tables are attacked. */
  readonly streams: boolean;
  /** The case that each worker is at, its low 32 bits: for whoever watches that none hangs. */
  readonly at: Int32Array;
}

export function emptyTally(): Tally {
  return { cases: 0, outcomes: {}, ms: 0, msCase: -1, bytes: 0, bytesCase: -1, msShare: 0, bytesShare: 0 };
}

/** Adds `more` to the tallies of `total`, by surface. */
export function addTallies(total: Map<string, Tally>, more: Readonly<Record<string, Tally>>): void {
  for (const [surface, tally] of Object.entries(more)) {
    const sum = total.get(surface) ?? emptyTally();
    total.set(surface, sum);
    sum.cases += tally.cases;
    for (const [outcome, count] of Object.entries(tally.outcomes) as [Outcome, number][]) {
      sum.outcomes[outcome] = (sum.outcomes[outcome] ?? 0) + count;
    }
    if (tally.ms > sum.ms) [sum.ms, sum.msCase] = [tally.ms, tally.msCase];
    if (tally.bytes > sum.bytes) [sum.bytes, sum.bytesCase] = [tally.bytes, tally.bytesCase];
    sum.msShare = Math.max(sum.msShare, tally.msShare);
    sum.bytesShare = Math.max(sum.bytesShare, tally.bytesShare);
  }
}
