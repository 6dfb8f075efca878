import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { interruptible, progressBar } from '../../src/cli/progress.ts';
import { newTable } from '../../src/table.ts';
import { makeCase, targetsOf } from './cases.ts';
import { goldenSubjects } from './golden.ts';
import { sha256 } from './mutate.ts';
import { addTallies, type Chunk, type ChunkReport, type Failure, type Tally, type WorkerData } from './soak-report.ts';

/*
 * npm run soak -- --cases N [--from N] [--seed S] [--workers W] [--streams] [--json]
 * Attacks made from the golden files, case after case, on all cores. Prints what they came to by surface and code, how many a second,
 * and the largest time and memory of a case beside its bound. Exits with 1 where anything did not hold, with what makes it again.
 * Ctrl-C prints what there is so far and how to go on.
 */

const CHUNK = 5000;
/** A case that takes as long hangs. */
const HANG_MS = 20_000;
const MOST_FAILURES = 20;

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    streams: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const number = (name: 'cases' | 'from' | 'seed' | 'workers', least: number): number => {
  const value = Number(options[name]);
  if (Number.isSafeInteger(value) && value >= least && value <= 2 ** 32) return value;
  console.error(`--${name} is a whole number from ${least} to 2^32, got ${options[name]}`);
  process.exit(2);
};
const seed = number('seed', 0);
const first = number('from', 0);
const last = first + number('cases', 1);
const workers = number('workers', 1);

const total = new Map<string, Tally>();
const failures: Failure[] = [];
const signal = interruptible();
const start = performance.now();
const doneChunks = new Set<number>();
const done = await run();
const seconds = (performance.now() - start) / 1000;
if (options.json) console.log(JSON.stringify(report(), null, 2));
else print();
process.exit(failures.length > 0 ? 1 : 0);

/** Runs all chunks, or until something fails or stops it; gives the first case that is not done. */
async function run(): Promise<number> {
  const at = new Int32Array(new SharedArrayBuffer(4 * workers));
  const bar = progressBar('soak', options.json);
  let next = first;
  let finished = 0;
  await Promise.all(
    Array.from({ length: Math.min(workers, Math.ceil((last - first) / CHUNK)) }, async (_, w) => {
      const worker = new Worker(new URL('./soak-thread.mjs', import.meta.url), {
        workerData: { seed, worker: w, streams: options.streams, at } satisfies WorkerData,
      });
      while (next < last && !signal.aborted && failures.length < MOST_FAILURES) {
        const chunk = { from: next, to: Math.min(last, next + CHUNK) };
        next = chunk.to;
        const result = await chunkOn(worker, chunk, () => Atomics.load(at, w));
        if (result === null) return;
        merge(result);
        finished += chunk.to - chunk.from;
        bar.update(finished, last - first, `${Math.round(finished / ((performance.now() - start) / 1000))} a second`);
      }
      await worker.terminate();
    }),
  );
  bar.stop();
  let upTo = first;
  while (doneChunks.has(upTo)) upTo = Math.min(last, upTo + CHUNK);
  return upTo;
}

/** One chunk; null where the worker hangs or dies, which is told as a failure of the case it was at. */
function chunkOn(worker: Worker, chunk: Chunk, at: () => number): Promise<ChunkReport | null> {
  return new Promise((resolve) => {
    let seen = Number.NaN;
    const settle = (result: ChunkReport | null): void => {
      clearInterval(watch);
      worker.off('message', settle).off('error', onError).off('exit', onExit);
      resolve(result);
    };
    const fail = (problem: string): void => {
      // The counter holds the low 32 bits; a chunk is shorter than that.
      failures.push({ number: chunk.from + ((at() - (chunk.from | 0)) >>> 0), problem });
      void worker.terminate();
      settle(null);
    };
    const watch = setInterval(() => {
      const now = at();
      if (now === seen) fail(`hangs: not done after ${HANG_MS / 1000} s or more`);
      seen = now;
    }, HANG_MS);
    const onError = (error: Error) => fail(`ended its thread: ${error.message}`);
    const onExit = (code: number) => fail(`ended its thread with ${code}`);
    worker.on('message', settle).on('error', onError).on('exit', onExit);
    worker.postMessage(chunk);
  });
}

function merge({ from, tallies, failures: found }: ChunkReport): void {
  doneChunks.add(from);
  failures.push(...found);
  addTallies(total, tallies);
}

function casesDone(): number {
  return [...total.values()].reduce((sum, { cases }) => sum + cases, 0);
}

function report() {
  const manifest = readFileSync(new URL('../../fixtures/golden/manifest.json', import.meta.url));
  return {
    seed,
    from: first,
    upTo: done,
    cases: casesDone(),
    seconds,
    casesPerSecond: casesDone() / seconds,
    workers,
    node: process.version,
    golden: sha256(manifest),
    surfaces: Object.fromEntries([...total].sort(([a], [b]) => (a < b ? -1 : 1))),
    failures: failures.map(reproducer),
  };
}

/** What makes a failure again. A case follows from its seed, its number and the golden files; its bytes stand for themselves. */
function reproducer({ number, problem }: Failure) {
  const again = `npm run soak -- --seed ${seed} --from ${number} --cases 1${options.streams ? ' --streams' : ''}`;
  try {
    const { surface, file, bytes } = makeCase(targetsOf(goldenSubjects()), seed, number, options.streams);
    return { number, problem, surface, file, again, base64: Buffer.from(bytes).toString('base64') };
  } catch (error) {
    return { number, problem, surface: 'the soak itself', file: '', again, base64: (error as Error).message };
  }
}

function print(): void {
  const { surfaces, failures: reproducers } = report();
  const table = newTable(['surface', 'outcomes', 'cases', 'largest', 'of its bound'], 2, process.stdout.isTTY === true);
  for (const [surface, tally] of Object.entries(surfaces)) {
    const outcomes = Object.entries(tally.outcomes).sort(([, a], [, b]) => b - a);
    table.push([
      surface,
      outcomes.map(([outcome, number]) => `${outcome} ${count(number)}`).join('\n'),
      count(tally.cases),
      `${tally.ms.toFixed(2)} ms\n${count(Math.ceil(tally.bytes / 1024))} KiB`,
      `${percent(tally.msShare)}\n${percent(tally.bytesShare)}`,
    ]);
  }
  console.log(table.toString());
  console.log(
    `${count(casesDone())} cases in ${seconds.toFixed(1)} s, ${count(Math.round(casesDone() / seconds))} a second on ${workers} workers; seed ${seed}, Node ${process.version}`,
  );
  for (const { number, problem, surface, file, again, base64 } of reproducers) {
    console.error(`\ncase ${number} (${surface}, ${file}): ${problem}\nagain: ${again}\nbytes: ${base64}`);
  }
  if (done < last) {
    console.log(
      `go on with: npm run soak -- --seed ${seed} --from ${done} --cases ${last - done} --workers ${workers}${options.streams ? ' --streams' : ''}`,
    );
  }
  console.log(failures.length > 0 ? `${failures.length} cases in which something did not hold` : 'everything held');
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
