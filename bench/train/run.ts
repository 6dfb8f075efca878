/* A step of training beside PyTorch, in one run: `npm run bench:train`; bench/train/README.md says what is measured. */
import { existsSync, writeFileSync } from 'node:fs';
import { cpus, platform, release } from 'node:os';
import { parseArgs } from 'node:util';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { Trainer } from '../../src/train/index.ts';
import { BATCH, convolutions, type Network, photosTail, transformer } from './networks.ts';
import { PyTorch, type Steps } from './peer.ts';

/** A look at whether everything works: fewer steps, and nothing is written. */
const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
const THREADS = Math.min(2, cpus().length);
const [ROUNDS, STEPS, LONG] = quick ? [2, 1, 20] : [9, 2, 1000];
/** Steps of isthmus to those of PyTorch that are promised. */
const TARGETS: Readonly<Record<string, number>> = { transformer: 1, tail: 1, convolutions: 0.7 };

const told = (what: string) => process.stderr.write(`${what}\n`);
const photos = `${process.env.ISTHMUS_SHARED ?? '../shared'}/photos`;

const networks = [transformer(), ...(existsSync(photos) ? [await photosTail(photos, 9)] : []), convolutions()];
if (networks.length < 3) told(`${photos} is missing: the tail is left out`);
const peer = PyTorch.open();
if (peer === null) told('no Python with torch (on Debian: apt-get install python3-torch): isthmus is measured alone');
const versions = await peer?.versions(THREADS);

let runtime = '';
const rows: object[] = [];
for (const network of networks) {
  told(`${network.name}: ${network.what} …`);
  const trainer = trainerOf(network);
  await peer?.make(network);
  const ours: Steps[] = [];
  const theirs: Steps[] = [];
  // By turns, so that whatever else the machine does hits both alike; the first round is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    ours.push(await stepsOf(trainer, network));
    if (peer) theirs.push(await peer.steps(network, STEPS));
  }
  await trainer.release();
  rows.push(rowOf(network, ours, theirs));
}
peer?.close();
told(`resident memory over ${LONG} steps …`);
const memory = await memoryOf(networks[networks.length - 1]);

const results = {
  machine: { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, platform: `${platform()} ${release()}` },
  versions: { node: process.version, runtime, torch: versions?.torch ?? null },
  blas: versions?.blas ?? null,
  threads: THREADS,
  batch: BATCH,
  rows,
  memory,
};
console.table(rows);
console.log(JSON.stringify({ ...results, rows: undefined }, null, 2));
if (!quick) writeFileSync('bench/train.results.json', `${JSON.stringify(results, null, 2)}\n`);

function trainerOf({ graph, weights }: Network): Trainer {
  return new Trainer(graph, {
    loss: 'loss',
    groups: [{ weights: [...weights.keys()], decay: 0.05 }],
    optimizer: { kind: 'adamw' },
    clip: 1,
    open: async (model, options) => {
      const session = await openOnnxRuntimeNode(model, options);
      runtime = session.runtime;
      return session;
    },
    threads: THREADS,
  });
}

async function stepsOf(trainer: Trainer, network: Network): Promise<Steps> {
  const feeds = Object.fromEntries(network.feeds);
  const steps: { times: number[]; cpu: number[]; losses: number[] } = { times: [], cpu: [], losses: [] };
  for (let i = 0; i < STEPS; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    steps.losses.push((await trainer.step(feeds, 1e-4)).loss);
    steps.times.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    steps.cpu.push((user + system) / 1000);
  }
  return steps;
}

function rowOf({ name }: Network, ours: readonly Steps[], theirs: readonly Steps[]) {
  const counted = (all: readonly Steps[], which: 'times' | 'cpu') => all.slice(1).flatMap((each) => each[which]);
  const losses = [ours, theirs].map((all) => all.flatMap((each) => each.losses));
  // Both train the same weights on the same batch: what they compute must be the same.
  const apart = losses[0].reduce((most, loss, i) => Math.max(most, Math.abs(loss - (losses[1][i] ?? loss)) / loss), 0);
  if (apart > 1e-3) throw new Error(`${name}: losses differ from PyTorch's by up to ${apart} of their size`);
  const row = {
    network: name,
    isthmusMs: median(counted(ours, 'times')),
    isthmusLeastMs: Math.min(...counted(ours, 'times')),
    isthmusCpuMs: median(counted(ours, 'cpu')),
  };
  if (theirs.length === 0) return row;
  const pytorchMs = median(counted(theirs, 'times'));
  const pytorchLeastMs = Math.min(...counted(theirs, 'times'));
  return {
    ...row,
    pytorchMs,
    pytorchLeastMs,
    pytorchCpuMs: median(counted(theirs, 'cpu')),
    ratio: pytorchMs / row.isthmusMs,
    ratioOfLeast: pytorchLeastMs / row.isthmusLeastMs,
    target: TARGETS[name],
    lossesApart: apart,
  };
}

/** Resident memory in MB at tenths of a long training. */
async function memoryOf(network: Network) {
  const trainer = trainerOf(network);
  // A quarter of the batch is enough for what might be kept from step to step, in a quarter of the time.
  const feeds = Object.fromEntries([...network.feeds].map(([name, value]) => [name, firstRows(value, BATCH / 4)]));
  const residentMB: number[] = [];
  for (let step = 1; step <= LONG; step++) {
    await trainer.step(feeds, 1e-4);
    if (step % (LONG / 10) === 0) residentMB.push(Math.round(process.memoryUsage.rss() / 1e6));
  }
  await trainer.release();
  return { network: network.name, batch: BATCH / 4, steps: LONG, residentMB };
}

function firstRows({ dtype, shape, data }: Tensor, rows: number): Tensor {
  return tensor(dtype, [rows, ...shape.slice(1)], data.slice(0, (data.length / shape[0]) * rows));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
