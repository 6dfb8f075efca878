import { parentPort, workerData } from 'node:worker_threads';
import { makeCase, runCase, targetsOf } from './cases.ts';
import { goldenSubjects } from './golden.ts';
import { Violation } from './judge.ts';
import { type Chunk, type ChunkReport, emptyTally, type Failure, type Tally, type WorkerData } from './soak-report.ts';

/** A stack costs more than most cases, and nobody reads it. */
Error.stackTraceLimit = 0;

const { seed, worker, streams, at } = workerData as WorkerData;
const targets = targetsOf(goldenSubjects());

function runChunk({ from, to }: Chunk): ChunkReport {
  const tallies: Record<string, Tally> = {};
  const failures: Failure[] = [];
  for (let number = from; number < to; number++) {
    Atomics.store(at, worker, number | 0);
    try {
      const attack = makeCase(targets, seed, number, streams);
      const { outcome, ms, bytes } = runCase(attack);
      tallies[attack.surface] ??= emptyTally();
      const tally = tallies[attack.surface];
      tally.cases++;
      tally.outcomes[outcome] = (tally.outcomes[outcome] ?? 0) + 1;
      if (ms > tally.ms) [tally.ms, tally.msCase] = [ms, number];
      if (bytes > tally.bytes) [tally.bytes, tally.bytesCase] = [bytes, number];
      tally.msShare = Math.max(tally.msShare, ms / attack.bounds.ms);
      tally.bytesShare = Math.max(tally.bytesShare, bytes / attack.bounds.bytes);
    } catch (error) {
      const problem = error instanceof Violation ? error.message : `the soak itself failed: ${(error as Error).stack}`;
      if (failures.length < 20) failures.push({ number, problem });
    }
  }
  return { from, to, tallies, failures };
}

parentPort?.on('message', (chunk: Chunk) => parentPort?.postMessage(runChunk(chunk)));
