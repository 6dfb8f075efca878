import { Bench } from 'tinybench';

/** Something to time: `run` here, or `told` in another process, which returns its own milliseconds. */
export type Work = {
  readonly name: string;
  /** Done before each run, and not timed. */
  readonly before?: () => void;
  /** Slow work runs in the first rounds only. */
  readonly slow?: boolean;
} & ({ readonly run: () => unknown } | { readonly told: () => Promise<number> });

export interface Timing {
  readonly runs: number;
  /** Milliseconds. */
  readonly median: number;
  readonly best: number;
}

const WARM_ROUNDS = 3;
const SLOW_ROUNDS = 3;

/**
 * Times all work once a round, so that whatever else the machine does hits all alike. The first rounds only warm up.
 * Timings by name.
 */
export async function interleave(all: readonly Work[], rounds: number): Promise<Map<string, Timing>> {
  const samples = new Map(all.map(({ name }) => [name, [] as number[]]));
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    const bench = new Bench({ iterations: 1, time: 0, warmup: false, retainSamples: true, throws: true });
    for (const work of all) {
      if (work.slow && (round < 0 || round >= SLOW_ROUNDS)) continue;
      const timed = 'told' in work ? async () => ({ overriddenDuration: await work.told() }) : () => void work.run();
      bench.add(work.name, timed, { async: 'told' in work, beforeEach: work.before });
    }
    for (const { name, result } of await bench.run()) {
      if (result.state !== 'completed') throw new Error(`${name} did not run: ${result.state}`);
      if (round >= 0) samples.get(name)?.push(...(result.latency.samples ?? []));
    }
  }
  return new Map([...samples].map(([name, times]) => [name, timingOf(times)]));
}

function timingOf(times: readonly number[]): Timing {
  const sorted = times.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return {
    runs: sorted.length,
    median: (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2,
    best: sorted[0],
  };
}
