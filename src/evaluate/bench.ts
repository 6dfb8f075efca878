import { type Codec, type FeatureTensor, int8DeflateCodec, rawCodec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { openNetwork } from '../network.ts';
import type { Graph } from '../onnx/index.ts';
import type { OpenSession, Session } from '../runtime/index.ts';
import {
  type Item,
  openSuite,
  openTail,
  pixelsToTensor,
  readSplit,
  type Suite,
  type Tail,
  type TaskName,
  taskNames,
} from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import { type Bed, openBed } from './bed.ts';
import { Cache, cacheKey } from './cache.ts';
import { type Conditions, Meter, measuring, type Progress } from './conditions.ts';
import { type Cut, middleCut, openCut, tensorsOfCut } from './cuts.ts';
import { Features } from './features.ts';
import { fitKltLadder, KLT_FIRST } from './fit.ts';
import { type BadInput, checkBadShare, type Input, PixelStore, readInputs } from './inputs.ts';
import { type SummaryRow, summarize } from './interpolate.ts';
import { climb, type Ladder } from './ladder.ts';
import type { AnyTask } from './measure.ts';
import { PICTURE_FORMATS, pictureVersions } from './pictures.ts';
import { PICTURE_WAYS, type Point, WAYS, type Way } from './point.ts';
import { RESAMPLES, sample } from './statistics.ts';
import { type CutBed, codecRung, deviceRung, isUncut, pictureLadders, referenceRung } from './ways.ts';

export interface BenchOptions {
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
  /** All by default. */
  readonly ways?: readonly Way[];
  /** Images of each task, drawn by seed; all by default. */
  readonly limit?: number;
  /** Seeds the choice of images and of training images, and the bootstrap. 1 by default. */
  readonly seed?: number;
  /**
   * Tails that work side by side, 1 by default: more pay where `open` opens models in threads of their own. Models run
   * on one thread each.
   */
  readonly parallel?: number;
  /** Codecs to measure at their own cuts, by the name that points show. */
  readonly codecs?: readonly { readonly name: string; readonly codec: Codec }[];
  /** The user's cache folder by default. */
  readonly cache?: Cache;
  /** Measure points again that are kept from an earlier run. */
  readonly fresh?: boolean;
  /** Stops between batches; what is done is kept. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly onPoint?: (point: Point) => void;
  /** Called for every image that is skipped. */
  readonly onBad?: (bad: BadInput) => void;
  /** Called with what a reader of the results has to know, such as a way that was left out. */
  readonly onNote?: (note: string) => void;
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
  readonly batch: number;
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
}

/** What `captioning` and `vqa` take where the suite does not say. */
const CAPTION_TOKENS = 20;
const QUESTION_TOKENS = 24;

/** Images of a run of head, tail or uncut model. */
const BATCH = 16;

/** Images that codecs are fitted on, drawn from the train splits of all tasks. */
const TRAINING_IMAGES = 300;

/** Steps of int8-deflate, coarse to fine, and those that are always measured. */
const LEVELS = [7, 15, 31, 63, 127];
const LEVELS_FIRST = [1, 3] as const;

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
  if (ways.length === 0 && codecs.length === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', `no way of sending is named; choose from ${WAYS.join(', ')}`);
  }
  checkCount('limit', limit);
  checkCount('seed', seed);
  checkCount('parallel', options.parallel);
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
    cache: options.cache ?? new Cache(),
    store: new PixelStore(suite.input),
    batch: BATCH,
    parallel: options.parallel ?? 1,
    seed,
    fresh: options.fresh ?? false,
    signal: options.signal,
    meter: new Meter(options.onProgress),
  };
  const heads = new Heads(run);
  let cuts: (readonly string[])[] = [];
  let complete = true;
  try {
    const plans: TaskPlan[] = [];
    for (const name of new Set(tasks)) plans.push(await planTask(run, name, split, limit, log));
    checkBadShare(log.bad, log.images);
    cuts = wantedCuts(suite, plans, options);
    const opened = plans.map(({ graph, tokens }) => cuts.map((tensors) => openCut(graph, tensors, tokens)));
    const training = ways.includes('klt') && cuts.length > 0 ? await trainingInputs(run, plans, split, log) : [];
    const versions = ways.some((way) => PICTURE_WAYS.includes(way)) ? await pictureVersions() : {};
    log.encoders = versions;
    for (const [i, { inputs }] of plans.entries()) {
      run.meter.plan(inputs.length * plannedPoints(ways, opened[i], codecs.length));
    }
    for (const [i, plan] of plans.entries()) {
      await runTask(run, plan, opened[i], { ways, codecs, training, versions, heads }, log);
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
      cuts: Object.fromEntries(cuts.map((tensors) => [cutLabel(suite, tensors), tensors])),
      ways,
      limit: limit ?? null,
      seed,
      batch: BATCH,
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
  };
}

/** What a run leaves behind as it goes. */
interface Log {
  readonly points: Point[];
  readonly bad: BadInput[];
  readonly notes: string[];
  /** Images looked at, bad ones among them. */
  images: number;
  encoders: Readonly<Record<string, string>>;
  trainingImages: number;
  readonly metric: Record<string, string>;
  readonly reference: Record<string, Readonly<Record<string, number>>>;
  point(point: Point): void;
  skip(bad: BadInput): void;
  note(text: string): void;
}

function newLog({ onPoint, onBad, onNote }: BenchOptions): Log {
  return {
    points: [],
    bad: [],
    notes: [],
    images: 0,
    encoders: {},
    trainingImages: 0,
    metric: {},
    reference: {},
    point(point) {
      this.points.push(point);
      onPoint?.(point);
    },
    skip(bad) {
      this.bad.push(bad);
      onBad?.(bad);
    },
    note(text) {
      if (this.notes.includes(text)) return;
      this.notes.push(text);
      onNote?.(text);
    },
  };
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value < 2 ** 31)) return;
  throw new IsthmusError('INVALID_ARGUMENT', `${name} must be a whole number of at least 1, got ${value}`);
}

/** The cuts of a run, each once; none where only pictures are measured. */
function wantedCuts(
  suite: Suite,
  plans: readonly TaskPlan[],
  { cuts, codecs = [], ways = WAYS }: BenchOptions,
): (readonly string[])[] {
  const ofCodecs = codecs.map(({ codec }) => codec.features.map(({ name }) => name));
  const sent = ways.some((way) => !isUncut(way));
  const named = () => {
    if (cuts) return cuts.map((cut) => tensorsOfCut(suite, cut));
    if (codecs.length > 0) return [];
    const ofSuite = Object.values(suite.cuts);
    return ofSuite.length > 0 ? ofSuite : [middleCut(plans.map(({ graph }) => graph))];
  };
  const all = new Map([...(sent ? named() : []), ...ofCodecs].map((tensors) => [tensors.join(), tensors]));
  return [...all.values()];
}

function cutLabel({ cuts }: Suite, tensors: readonly string[]): string {
  return Object.keys(cuts).find((label) => cuts[label].join() === tensors.join()) ?? tensors.join();
}

/** A task with its network and its images, read. */
interface TaskPlan {
  readonly name: TaskName;
  readonly task: AnyTask;
  readonly graph: Graph;
  readonly model: readonly unknown[];
  readonly truths: string;
  readonly inputs: readonly Input[];
  /** Tokens that the tail reads or makes at most; 1 where it has none. */
  readonly tokens: number;
}

async function planTask(
  run: Conditions,
  name: TaskName,
  split: string,
  limit: number | undefined,
  log: Log,
): Promise<TaskPlan> {
  const { suite, store, seed, signal } = run;
  const items = await readSplit(suite, name, split);
  const { task, graph, hash } = await openNetwork(suite, name, items);
  const chosen = sample(items, limit ?? items.length, seed);
  log.images += chosen.length;
  run.meter.begin(`${name}: reading images`);
  const inputs = await readInputs(chosen, store, (bad) => log.skip(bad), signal);
  log.metric[name] = task.metrics[0].name;
  return {
    name,
    task: task as AnyTask,
    graph,
    model: [hash, suite.input, suite.tasks[name]],
    truths: cacheKey(items.map(({ asks, truths }) => [asks, truths])),
    inputs,
    tokens: tokensOf(suite, name),
  };
}

function tokensOf({ tasks }: Suite, name: TaskName): number {
  if (name === 'captioning') return tasks.captioning?.maxTokens ?? CAPTION_TOKENS;
  return name === 'vqa' ? (tasks.vqa?.maxTokens ?? QUESTION_TOKENS) : 1;
}

/**
 * Images to fit codecs on: drawn from the train splits of all of the suite's tasks, without those that are measured.
 * None where the suite has no train split.
 */
async function trainingInputs(
  { suite, store, seed, signal, meter }: Conditions,
  plans: readonly TaskPlan[],
  split: string,
  log: Log,
): Promise<Input[]> {
  const items = new Map<string, Item>();
  for (const name of taskNames(suite)) {
    try {
      for (const item of await readSplit(suite, name, 'train')) items.set(item.path, item);
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError)) throw thrown;
      log.note(`${name} has no train split to fit codecs on (${thrown.message})`);
    }
  }
  const measured = new Set(plans.flatMap(({ inputs }) => inputs.map(({ hash }) => hash)));
  const chosen = sample([...items.values()], TRAINING_IMAGES, seed);
  meter.begin('reading training images');
  const bad: BadInput[] = [];
  const read = await readInputs(chosen, store, (each) => bad.push(each), signal);
  if (chosen.length > 0) checkBadShare(bad, chosen.length);
  for (const each of bad) log.skip(each);
  const inputs = read.filter(({ hash }) => !measured.has(hash));
  log.trainingImages = inputs.length;
  if (inputs.length === 0) log.note(`klt is left out: no images to fit it on beside those of ${split}`);
  return inputs;
}

interface Wanted {
  readonly ways: readonly Way[];
  readonly codecs: readonly { readonly name: string; readonly codec: Codec }[];
  readonly training: readonly Input[];
  readonly versions: Readonly<Record<string, string>>;
  readonly heads: Heads;
}

async function runTask(run: Conditions, plan: TaskPlan, cuts: readonly Cut[], wanted: Wanted, log: Log): Promise<void> {
  const { ways, versions } = wanted;
  const { name, task, inputs, graph } = plan;
  const whole = await openTails(run, graph, [run.suite.input.name]);
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
    const ladders: Ladder[] = [
      ...(ways.includes('reference') ? [single(referenceRung(run, bed))] : []),
      ...(ways.includes('device') ? [single(deviceRung(run, bed))] : []),
      ...pictureLadders(run, bed, whole, ways, versions),
    ];
    await climbAll(run, bed, ladders, log);
    for (const cut of cuts) await runCut(run, bed, cut, wanted, log);
  } finally {
    await releaseAll(whole);
  }
}

async function runCut(run: Conditions, bed: Bed, cut: Cut, wanted: Wanted, log: Log): Promise<void> {
  const features = await wanted.heads.features(cut);
  const tails = await openTails(run, cut.tail, cut.tensors);
  try {
    run.meter.begin(`${bed.name}: features at ${cut.name}`);
    await features.fill(bed.inputs, measuring(run));
    await climbAll(run, bed, await codecLadders(run, bed, { cut, features, tails }, wanted), log);
  } finally {
    await releaseAll(tails);
  }
}

/** Tails of one kind that work side by side. */
async function openTails(run: Conditions, graph: Graph, features: readonly string[]): Promise<Tail[]> {
  const tails: Tail[] = [];
  try {
    while (tails.length < run.parallel) tails.push(await openTail(graph, features, run.open));
  } catch (thrown) {
    await releaseAll(tails);
    throw thrown;
  }
  return tails;
}

async function releaseAll(all: readonly { release(): Promise<void> }[]): Promise<void> {
  await Promise.all(all.map((each) => each.release()));
}

async function codecLadders(run: Conditions, bed: Bed, at: CutBed, wanted: Wanted): Promise<Ladder[]> {
  const { ways, codecs, training } = wanted;
  const source = { features: featureTensors(at.cut, await at.features.of(bed.inputs[0])) };
  const ladders: Ladder[] = [];
  if (ways.includes('raw-f32')) ladders.push(single(codecRung(run, bed, at, rawCodec('raw-f32', source), 'float32')));
  if (ways.includes('raw-f16')) ladders.push(single(codecRung(run, bed, at, rawCodec('raw-f16', source), 'float16')));
  if (ways.includes('int8-deflate')) {
    const made = LEVELS.map((levels) => ({ codec: int8DeflateCodec(source, levels), setting: `levels=${levels}` }));
    ladders.push({
      first: LEVELS_FIRST,
      rungs: made.map(({ codec, setting }) => codecRung(run, bed, at, codec, setting)),
    });
  }
  if (ways.includes('klt') && training.length > 0) {
    run.meter.begin(`fitting klt at ${at.cut.name}`);
    const fitted = await fitKltLadder(source, at.features, training, run.cache, {
      batch: run.batch,
      signal: run.signal,
    });
    ladders.push({
      first: KLT_FIRST,
      rungs: fitted.map((codec) => codecRung(run, bed, at, codec, codec.setting.replace(' ', '='))),
    });
  }
  for (const { name, codec } of codecs) {
    if (codec.features.map((each) => each.name).join() !== at.cut.name) continue;
    ladders.push(single(codecRung(run, bed, at, codec, `${name.replaceAll(' ', '_')} (file)`)));
  }
  return ladders;
}

function featureTensors(cut: Cut, feature: readonly Tensor[]): FeatureTensor[] {
  return feature.map(({ dtype, shape }, i) => {
    const name = cut.tensors[i];
    if (dtype === 'float32' || dtype === 'float16') return { name, dtype, shape };
    throw new IsthmusError('CUT_INVALID', `'${name}' is ${dtype}; codecs send float32 and float16: cut elsewhere`);
  });
}

async function climbAll({ meter }: Conditions, bed: Bed, ladders: readonly Ladder[], log: Log): Promise<void> {
  for (const ladder of ladders) {
    for await (const point of climb(ladder, () => meter.plan(bed.inputs.length))) log.point(point);
  }
}

/** Points of a task that are measured for certain, the answers of the reference and the features of each cut with them. */
function plannedPoints(ways: readonly Way[], cuts: readonly Cut[], files: number): number {
  const rungs = ([from, to]: readonly [number, number]) => to - from;
  const pictures = PICTURE_FORMATS.filter(({ way }) => ways.includes(way)).map(({ first }) => rungs(first));
  const codecs = ways.map((way) =>
    way === 'klt' ? rungs(KLT_FIRST) : way === 'int8-deflate' ? rungs(LEVELS_FIRST) : way.startsWith('raw-') ? 1 : 0,
  );
  const controls = ways.filter((way) => way === 'reference' || way === 'device').length;
  const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
  return 1 + controls + sum(pictures) + cuts.length * (1 + sum(codecs)) + files;
}

function single(rung: Ladder['rungs'][number]): Ladder {
  return { rungs: [rung], first: [0, 1] };
}

async function prepared({ store, suite }: Conditions, { path }: Input): Promise<Tensor> {
  return pixelsToTensor(await store.pixels(path), suite.input);
}

/** The heads of a run, each opened once: tasks share those of their trunk. */
class Heads {
  readonly #run: Conditions;
  readonly #sessions: Session[] = [];
  readonly #features = new Map<string, Features>();

  constructor(run: Conditions) {
    this.#run = run;
  }

  async features({ headHash, headModel, tensors }: Cut): Promise<Features> {
    const known = this.#features.get(headHash);
    if (known) return known;
    const { open, suite, store, cache } = this.#run;
    const session = await open(headModel);
    this.#sessions.push(session);
    const features = new Features({ session, hash: headHash, cut: tensors }, suite.input, store, cache);
    this.#features.set(headHash, features);
    return features;
  }

  async release(): Promise<void> {
    await releaseAll(this.#sessions);
  }
}
