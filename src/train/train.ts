import { setImmediate } from 'node:timers/promises';
import { IsthmusError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { openLog, type StepLine, type TrainingLog } from './log.ts';
import { learningRate, type Schedule } from './schedule.ts';
import type { Trainer } from './trainer.ts';

export interface TrainOptions {
  readonly trainer: Trainer;
  /** Steps of the whole training. */
  readonly steps: number;
  readonly schedule: Schedule;
  /**
   * The feeds of a step (from 0) and of one of its batches (from 0), a pure function of both, so that a training that goes
   * on is the one that was stopped. The next step's are asked for before a step begins.
   */
  readonly batch: (step: number, micro: number) => Promise<Readonly<Record<string, Tensor>>>;
  /** Batches of a step, whose gradients are averaged; 1 by default. */
  readonly accumulate?: number;
  readonly checkpoint?: {
    readonly path: string;
    /** Steps between two checkpoints. One is written after the last step too, and when training is aborted. */
    readonly every: number;
    /** What the training is: a hash of graph, recipe and data. Another training's checkpoint is refused. */
    readonly training: string;
    /** Whether to go on from the file; otherwise it is overwritten. */
    readonly resume?: boolean;
  };
  /** File of JSON lines that is appended to, step by step. */
  readonly log?: string;
  /** What is measured of the weights after every so many steps, and after the last. */
  readonly measure?: {
    readonly every: number;
    readonly run: (trainer: Trainer) => Promise<Readonly<Record<string, number>>>;
  };
  readonly onStep?: (progress: TrainProgress) => void;
  /** Stops training after the step under way. */
  readonly signal?: AbortSignal;
}

/** How far a training is. */
export interface TrainProgress {
  /** Steps done, of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Mean of the last steps' losses. */
  readonly loss: number;
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
  /** What was measured last. */
  readonly measured: Readonly<Record<string, number>>;
}

/** Steps that progress takes its means of. */
const RECENT = 20;

/**
 * Trains. Same seeds (of the data), same threads and workers: same bits, stopped in between or not.
 * Throws `ABORTED` through the signal, with a checkpoint written; `TRAINING_DIVERGED`; what reading a checkpoint throws;
 * `FILE_UNWRITABLE` with the last checkpoint in its place; `INVALID_ARGUMENT` for a schedule or count that cannot be; and
 * what `batch` and `measure` throw.
 */
export async function train(options: TrainOptions): Promise<void> {
  const { trainer, steps, checkpoint } = options;
  checkCounts(options);
  const rate = learningRate(options.schedule, steps);
  if (checkpoint?.resume) trainer.restore(await readCheckpoint(checkpoint.path, checkpoint.training));
  const log = options.log === undefined ? undefined : await openLog(options.log, trainer.done);
  try {
    await run(options, rate, log);
  } finally {
    await log?.close();
  }
}

async function run(options: TrainOptions, rate: (step: number) => number, log?: TrainingLog): Promise<void> {
  const { trainer, steps, checkpoint, measure, signal } = options;
  const recent: StepLine[] = [];
  let measured: Readonly<Record<string, number>> = {};
  let saved = trainer.done;
  const save = async () => {
    if (checkpoint === undefined) return;
    await writeCheckpoint(checkpoint.path, checkpoint.training, trainer.save());
    saved = trainer.done;
  };
  let upcoming = trainer.done < steps ? feedsOf(options, trainer.done) : undefined;
  while (upcoming !== undefined) {
    await setImmediate(); // A run blocks the event loop, and without this no signal would ever come through.
    if (signal?.aborted) {
      if (saved < trainer.done) await save();
      throw aborted(options);
    }
    const start = performance.now();
    const feeds = await upcoming;
    upcoming = trainer.done + 1 < steps ? feedsOf(options, trainer.done + 1) : undefined;
    const rateNow = rate(trainer.done + 1);
    const result = await trainer.step(feeds, rateNow);
    const line = { step: trainer.done, ...result, rate: rateNow, ms: performance.now() - start };
    await log?.write(line);
    if (recent.push(line) > RECENT) recent.shift();
    if (measure && (trainer.done % measure.every === 0 || trainer.done === steps)) {
      measured = await measure.run(trainer);
      await log?.write({ step: trainer.done, measured });
    }
    if (checkpoint && (trainer.done % checkpoint.every === 0 || trainer.done === steps)) await save();
    options.onStep?.(progressOf(recent, steps, measured));
  }
}

/** The feeds of a step's batches. Whoever awaits them gets their error; until then it is nobody's. */
function feedsOf({ batch, accumulate = 1 }: TrainOptions, step: number): Promise<Readonly<Record<string, Tensor>>[]> {
  const feeds = Promise.all(Array.from({ length: accumulate }, (_, micro) => batch(step, micro)));
  feeds.catch(() => undefined);
  return feeds;
}

function progressOf(
  recent: readonly StepLine[],
  steps: number,
  measured: Readonly<Record<string, number>>,
): TrainProgress {
  const mean = (value: (line: StepLine) => number) =>
    recent.reduce((sum, each) => sum + value(each), 0) / recent.length;
  const { step } = recent[recent.length - 1];
  const seconds = mean(({ ms }) => ms) / 1000;
  return {
    step,
    steps,
    loss: mean(({ loss }) => loss),
    stepsPerSecond: 1 / seconds,
    secondsLeft: (steps - step) * seconds,
    measured,
  };
}

function aborted({ trainer, steps, checkpoint }: TrainOptions): IsthmusError {
  const advice = checkpoint
    ? `run it again with resume (--resume) to go on from ${checkpoint.path}`
    : 'nothing is kept, since no checkpoint was asked for';
  return new IsthmusError('ABORTED', `training was stopped after step ${trainer.done} of ${steps}; ${advice}`);
}

function checkCounts({ steps, accumulate = 1, checkpoint, measure }: TrainOptions): void {
  const counts = {
    steps,
    accumulate,
    'checkpoint.every': checkpoint?.every ?? 1,
    'measure.every': measure?.every ?? 1,
  };
  for (const [name, count] of Object.entries(counts)) {
    if (Number.isInteger(count) && count >= 1) continue;
    throw new IsthmusError('INVALID_ARGUMENT', `${name} is a whole number of at least 1, got ${count}`);
  }
}
