import type { ByteItem, Codec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import type { OpenSession } from '../runtime/index.ts';
import { openSuite, pixelsToTensor, type TaskName, taskNames } from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import { openAnswerers } from './answerer.ts';
import { type Bed, openBed } from './bed.ts';
import { Cache } from './cache.ts';
import { type Conditions, Meter, measuring, type Progress } from './conditions.ts';
import { type Cut, nameOfCut } from './cuts.ts';
import { Heads, releaseAll } from './heads.ts';
import { type BadInput, checkBadShare, type Input, PixelStore } from './inputs.ts';
import { type SummaryRow, summarize } from './interpolate.ts';
import { climb, type Ladder } from './ladder.ts';
import { type Listeners, type Log, newLog } from './log.ts';
import { pictureVersions, SentPictures } from './pictures.ts';
import { openCuts, plannedPoints, planTask, type TaskPlan, trainingInputs, wantedCuts } from './plan.ts';
import { PICTURE_WAYS, type Point, WAYS } from './point.ts';
import { type Sample, samplesOf } from './samples.ts';
import { RESAMPLES } from './statistics.ts';
import { SuiteLosses } from './suite-losses.ts';
import { type CodecWays, codecLadders, deviceRung, isFitted, pictureLadders, referenceRung, single } from './ways.ts';

export interface BenchOptions extends Listeners {
  /** Folder with a `suite.json`. */
  readonly dir: string;
  /** Opens the models, in ONNX Runtime or another runtime. */
  readonly open: OpenSession;
  /** All of the suite's by default. */
  readonly tasks?: readonly TaskName[];
  /** `val` by default. */
  readonly split?: string;
  /** Names of the suite's cuts, or tensors joined by commas. By default the cuts of `codecs`, or else all of the suite's. */
  readonly cuts?: readonly string[];
  /** Of `WAYS`, all by default. */
  readonly ways?: readonly (typeof WAYS)[number][];
  /** Images of each task, drawn by seed; all by default. */
  readonly limit?: number;
  /** Seeds the choice of images and of training images, and the bootstrap. 1 by default. */
  readonly seed?: number;
  /**
   * Above 1: threads that answer side by side, each with the runtime at hand in place of `open`, which opens heads.
   * 1 by default. Models run on one thread each.
   */
  readonly parallel?: number;
  /** Codecs to measure at their own cuts, by the name that points show. */
  readonly codecs?: readonly { readonly name: string; readonly codec: Codec }[];
  /** Images of each task to give back with all their answers, for a report; 0 by default. */
  readonly samples?: number;
  /** The user's cache folder by default. */
  readonly cache?: Cache;
  /** Measure points again that are kept from an earlier run. */
  readonly fresh?: boolean;
  /** Stops between batches; what is done is kept. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** What a run was, beside its points. */
export interface RunInfo {
  readonly suite: string;
  readonly split: string;
  readonly tasks: readonly string[];
  readonly cuts: Readonly<Record<string, readonly string[]>>;
  readonly ways: readonly string[];
  readonly limit: number | null;
  readonly seed: number;
  /** Images of a run of a model by task; times are those of a batch, for one image. */
  readonly batch: Readonly<Record<string, number>>;
  /** Threads of a model while it is timed. */
  readonly threads: number;
  readonly resamples: number;
  readonly runtime: string;
  /** Encoders of pictures. */
  readonly encoders: Readonly<Record<string, string>>;
  /** Metric of `score` by task. */
  readonly metric: Readonly<Record<string, string>>;
  /** Every metric of the uncut model by task. */
  readonly reference: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Images that the klt ladder was fitted on. */
  readonly trainingImages: number;
  readonly skipped: readonly BadInput[];
  readonly notes: readonly string[];
  /** False where the run was stopped; the points are those that were finished. */
  readonly complete: boolean;
}

export interface BenchResult {
  readonly run: RunInfo;
  readonly points: readonly Point[];
  readonly summary: readonly SummaryRow[];
  /** What the bytes of each point's packets go to; empty where that is not known. */
  readonly spent: readonly (readonly ByteItem[])[];
  readonly samples: readonly Sample[];
}

/** Sent pictures that a run of several tasks keeps decoded. */
const KEPT_SENT_BYTES = 256 * 2 ** 20;

/**
 * Measures what every way of sending costs in bytes and does to the score, on a suite's own images, against the uncut
 * model. Features, reference answers, fitted codecs and finished points are kept in the cache, so that a run that was
 * stopped goes on where it was.
 *
 * Aborting gives the points finished so far with `run.complete` false. Throws `INVALID_ARGUMENT`, what opening suite,
 * models and cuts throws, and `TOO_MANY_BAD_INPUTS` where more than one image in a hundred cannot be used.
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const suite = await openSuite(options.dir);
  const { split = 'val', limit, seed = 1, ways = WAYS, codecs = [] } = options;
  const tasks = options.tasks ?? taskNames(suite);
  if (tasks.length === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', `no task is named; the suite has ${taskNames(suite).join(', ')}`);
  }
  if (ways.length === 0 && codecs.length === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', `no way of sending is named; choose from ${WAYS.join(', ')}`);
  }
  checkCount('limit', limit, 1);
  checkCount('seed', seed, 0);
  checkCount('parallel', options.parallel, 1);
  checkCount('samples', options.samples, 0);
  const log = newLog(options);
  let runtime = '';
  const run: Conditions = {
    suite,
    open: async (model, how) => {
      const session = await options.open(model, { ...how, threads: 1 });
      runtime = session.runtime;
      return session;
    },
    runtime: () => runtime,
    noteRuntime: (name) => {
      runtime = name;
    },
    cache: options.cache ?? new Cache(),
    store: new PixelStore(suite.input),
    sent: new SentPictures(tasks.length > 1 ? KEPT_SENT_BYTES : 0),
    batch: 1,
    parallel: options.parallel ?? 1,
    seed,
    fresh: options.fresh ?? false,
    signal: options.signal,
    meter: new Meter(options.onProgress),
  };
  const heads = new Heads(run);
  const losses = new SuiteLosses(suite);
  let cuts: (readonly string[])[] = [];
  let complete = true;
  try {
    const plans: TaskPlan[] = [];
    for (const name of new Set(tasks)) plans.push(await planTask(run, name, split, limit, log));
    checkBadShare(log.bad, log.images);
    cuts = wantedCuts(suite, plans, ways, options);
    const opened = openCuts(suite, plans, cuts, log);
    const training = ways.some(isFitted) && cuts.length > 0 ? await trainingInputs(run, plans, split, log) : [];
    const versions = ways.some((way) => PICTURE_WAYS.includes(way)) ? await pictureVersions() : {};
    log.encoders = versions;
    for (const [i, { inputs }] of plans.entries()) {
      run.meter.plan(inputs.length * plannedPoints(ways, opened[i], codecs.length));
    }
    for (const [i, plan] of plans.entries()) {
      await runTask(run, plan, opened[i], { ways, codecs, training, losses, versions, heads }, log);
    }
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError && thrown.code === 'ABORTED')) throw thrown;
    complete = false;
  } finally {
    await heads.release();
  }
  return {
    run: {
      suite: suite.name,
      split,
      tasks,
      cuts: Object.fromEntries(cuts.map((tensors) => [nameOfCut(suite.cuts, tensors.join()), tensors])),
      ways,
      limit: limit ?? null,
      seed,
      batch: log.batch,
      threads: 1,
      resamples: RESAMPLES,
      runtime,
      encoders: log.encoders,
      metric: log.metric,
      reference: log.reference,
      trainingImages: log.trainingImages,
      skipped: log.bad,
      notes: log.notes,
      complete,
    },
    points: log.points,
    summary: summarize(log.points),
    spent: log.evidence.map(({ spent }) => spent),
    samples: await samplesOf(run, log, options.samples ?? 0),
  };
}

function checkCount(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value < 2 ** 31)) return;
  throw new IsthmusError('INVALID_ARGUMENT', `${name} must be a whole number of at least ${least}, got ${value}`);
}

interface Wanted extends CodecWays {
  readonly versions: Readonly<Record<string, string>>;
  readonly heads: Heads;
}

async function runTask(
  shared: Conditions,
  plan: TaskPlan,
  cuts: readonly Cut[],
  wanted: Wanted,
  log: Log,
): Promise<void> {
  const run = { ...shared, batch: plan.batch };
  const bed = await runUncut(run, plan, wanted, log);
  for (const cut of cuts) await runCut(run, bed, cut, wanted, log);
}

/** The reference, and what needs the uncut model alone. */
async function runUncut(run: Conditions, plan: TaskPlan, { ways, versions }: Wanted, log: Log): Promise<Bed> {
  const { name, task, inputs, graph } = plan;
  const whole = await openAnswerers(run, plan, graph, [run.suite.input.name]);
  try {
    run.meter.begin(`${name}: reference`);
    const bed = await openBed(name, task, inputs, whole, (input) => prepared(run, input), {
      ...measuring(run),
      cache: run.cache,
      model: [...plan.model, run.runtime()],
      truths: plan.truths,
      seed: run.seed,
    });
    log.reference[name] = bed.metrics;
    log.beds.push(bed);
    const ladders: Ladder[] = [
      ...(ways.includes('reference') ? [single(referenceRung(run, bed))] : []),
      ...(ways.includes('device') ? [single(deviceRung(run, bed))] : []),
      ...pictureLadders(run, bed, whole, ways, versions),
    ];
    await climbAll(run, bed, ladders, log);
    return bed;
  } finally {
    await releaseAll(whole);
  }
}

async function runCut(shared: Conditions, bed: Bed, cut: Cut, wanted: Wanted, log: Log): Promise<void> {
  const run = cut.inBatches ? shared : { ...shared, batch: 1 };
  const features = await wanted.heads.features(cut);
  const answerers = await openAnswerers(run, bed, cut.tail, cut.tensors);
  try {
    run.meter.begin(`${bed.name}: features at ${cut.name}`);
    await features.fill(bed.inputs, measuring(run));
    await climbAll(run, bed, await codecLadders(run, bed, { cut, features, answerers }, wanted, log), log);
  } finally {
    await releaseAll(answerers);
  }
}

async function climbAll({ meter }: Conditions, bed: Bed, ladders: readonly Ladder[], log: Log): Promise<void> {
  for (const ladder of ladders) {
    for await (const finding of climb(ladder, () => meter.plan(bed.inputs.length))) log.finding(finding);
  }
}

async function prepared({ store, suite }: Conditions, { path }: Input): Promise<Tensor> {
  return pixelsToTensor(await store.pixels(path), suite.input);
}
