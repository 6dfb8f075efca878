import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import {
  type Codec,
  type CodecSource,
  fitLatentModel,
  type KltModel,
  type Latent,
  learnedCodec,
  quantizeBy,
} from '../../codec/index.ts';
import { IsthmusError } from '../../errors.ts';
import { packTensors, unpackTensors } from '../../evaluate/cache.ts';
import { rowsAreImages } from '../../evaluate/cuts.ts';
import { type BadInput, type Cache, cacheKey } from '../../evaluate/index.ts';
import { batchesOf, throwIfAborted } from '../../evaluate/measure.ts';
import { batchOf } from '../../evaluate/plan.ts';
import { type Graph, inferShapes, writeGraph } from '../../onnx/index.ts';
import { type OpenSession, openSession } from '../../runtime/index.ts';
import type { InputSpec } from '../../tasks/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import { openTrainingFeatures, type TrainingFeatures } from '../data/features.ts';
import { epochOrder, turnsOf } from '../data/order.ts';
import { type Picture, type PictureItem, readPictures } from '../data/pictures.ts';
import { noise } from '../noise.ts';
import type { WeightGroup } from '../plan.ts';
import { randomOf } from '../random.ts';
import { type TrainProgress, train } from '../train.ts';
import { Trainer } from '../trainer.ts';
import { type Grouping, groupingOf, type TokenGrid, tokenGrid } from './grid.ts';
import { momentsOf } from './moments.ts';
import { feedsOf, type ObjectiveOptions, objectiveOf, rateWeight } from './objective.ts';
import { initialLogScales } from './rate.ts';
import type { TrainRecipe } from './recipe.ts';
import { scaled, stepForBits, weightedKlt } from './start.ts';
import { openTeacher, type TaughtTask, type Teacher } from './teacher.ts';
import {
  initialWeights,
  type LinearStart,
  latentsOf,
  type TokenTransform,
  type TransformStart,
  transformGraphs,
} from './transform.ts';

/** What a recipe is carried out on. */
export interface LearnJob {
  readonly recipe: TrainRecipe;
  /** The network before the cut, its SHA-256, and the tensor at the cut. */
  readonly head: { readonly graph: Graph; readonly hash: string };
  readonly cut: string;
  /** What the codec says it was made for. */
  readonly name: string;
  readonly input: InputSpec;
  readonly tasks: readonly TaughtTask[];
  readonly pictures: readonly PictureItem[];
  readonly cache: Cache;
  /** Where checkpoint and log are written; none where absent. */
  readonly files?: { readonly checkpoint: string; readonly log: string };
  /** Whether to go on from the checkpoint. */
  readonly resume?: boolean;
  readonly open?: OpenSession;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LearnProgress) => void;
  readonly onBad?: (bad: BadInput) => void;
}

/** Which stage a training is at, and how far. */
export interface LearnProgress {
  readonly stage: 'pictures' | 'features' | 'words' | 'answers' | 'start' | 'training' | 'entropy models';
  readonly done: number;
  readonly total: number;
  readonly training?: TrainProgress;
}

/** What a training comes to. */
export interface Learned {
  /** A codec for each quantization step of the recipe. */
  readonly codecs: readonly { readonly step: number; readonly codec: Codec }[];
  readonly transform: TokenTransform;
  /** Numbers that were trained. */
  readonly parameters: number;
  /** Pictures that were good. */
  readonly pictures: number;
}

/** Rows of a batch of the head, of the tails, and of analysis. */
const ROWS = 16;
/** Rows that entropy models learn from at most. */
export const ENTROPY_ROWS = 3000;

/**
 * Trains a codec by a recipe: the frozen head's features of all pictures, in several variations, are kept on disk, and so are the answers of
 * the tails; training starts from the transform that a uniform quantizer loses least with, to second order; then it learns through the frozen
 * tails; at last entropy models are fitted to the integers that the trained analysis gives. The same recipe, pictures and number of threads
 * give the same codec.
 *
 * Throws `INVALID_ARGUMENT` for a transform that does not fit the feature, `TOO_MANY_BAD_INPUTS`, `ABORTED`, and what `train`, cutting,
 * differentiating, and running throw.
 */
export async function learnCodecs(job: LearnJob): Promise<Learned> {
  const { recipe, input, cut, cache, signal, open = openSession } = job;
  const tell = (stage: LearnProgress['stage']) => (done: number, total: number) =>
    job.onProgress?.({ stage, done, total });
  checkBatches(job);
  const pictures = await readPictures(job.pictures, input, { onBad: job.onBad, onPictures: tell('pictures'), signal });
  const { versions, augmentation } = recipe.data;
  const views = { input, pictures, versions, augmentation, seed: recipe.seed };
  const head = await open(writeGraph(job.head.graph), { threads: job.threads });
  const closing: { close(): Promise<void> }[] = [{ close: () => head.release() }];
  try {
    const features = await openTrainingFeatures({
      head: { session: head, hash: job.head.hash, cut: [cut] },
      views,
      cache,
      batch: ROWS,
      signal,
      onRows: tell('features'),
    });
    closing.push(features);
    const teacher = await openTeacher({
      tasks: job.tasks,
      views,
      cut,
      cache,
      open,
      threads: job.threads,
      batch: ROWS,
      signal,
      onPrompts: tell('words'),
      onRows: tell('answers'),
    });
    closing.push(teacher);
    const shape = features.columns[0].shape;
    const plan = await planOf({ job, features, teacher, pictures, open, shape });
    const weights = await trained(job, plan, features, teacher, open);
    const dtype = head.outputs.find(({ name }) => name === cut)?.dtype === 'float16' ? 'float16' : 'float32';
    return {
      codecs: await codecsOf(job, plan, weights, features, dtype, open),
      transform: plan.objective.transform,
      parameters: Object.values(weights).reduce((sum, { data }) => sum + data.length, 0),
      pictures: pictures.length,
    };
  } finally {
    for (const each of closing.reverse()) await each.close();
  }
}

/** Throws `INVALID_ARGUMENT` where pictures cannot go through the cut in batches. */
function checkBatches({ head, cut, input }: LearnJob): void {
  const isSingle = batchOf(head.graph, input.name) === 1;
  if (!isSingle && rowsAreImages(inferShapes(head.graph), [cut], input.name)) return;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    isSingle
      ? 'training takes batches, and the model is made for one picture; export it with a free batch'
      : `training takes batches, and the first axis of '${cut}' is not that of the pictures (tokens or windows come first): cut elsewhere`,
  );
}

/** What training works with, all of it decided before the first step. */
interface Plan {
  readonly objective: ObjectiveOptions;
  readonly start: TransformStart;
  /** What a bit is worth at a step of 1, in nats. */
  readonly price: number;
}

interface PlanSource {
  readonly job: LearnJob;
  readonly features: TrainingFeatures;
  readonly teacher: Teacher;
  readonly pictures: readonly Picture[];
  readonly open: OpenSession;
  readonly shape: readonly number[];
}

async function planOf({ job, features, teacher, pictures, open, shape }: PlanSource): Promise<Plan> {
  const { recipe, cut } = job;
  const grid = tokenGrid(shape, recipe.transform.grid);
  const grouping = groupingOf(grid, recipe.transform.group);
  const transform: TokenTransform = {
    grid,
    grouping,
    components: Math.min(recipe.transform.components, grouping.length),
    prefixComponents: Math.min(recipe.transform.prefixComponents, grid.length),
    analysisBlocks: recipe.transform.analysisBlocks,
    synthesisBlocks: recipe.transform.synthesisBlocks,
  };
  const taskWeights = taskWeightsOf(recipe, teacher);
  const { maps, variance } = await startOf(job, {
    transform,
    grid,
    grouping,
    features,
    teacher,
    pictures,
    open,
    taskWeights,
  });
  const vectors = latentsOf(transform).map(({ vectors }, i) => ({ vectors, variances: maps[i].variances }));
  const step = stepForBits(vectors, 8 * recipe.quantizer.bytes);
  const [groups, prefix = null] = maps.map((map) => scaled(map, step));
  const start = { groups, prefix };
  const weights = initialWeights(transform, start, recipe.seed);
  for (const [i, latent] of latentsOf(transform).entries()) {
    weights[rateWeight(latent)] = initialLogScales([groups, prefix][i]?.variances as Float64Array);
  }
  return {
    start,
    // At high rates a bit less makes log(2) step² / 12 more half squares, if all components share the bits.
    price: (recipe.losses.rate * step * step * Math.LN2) / 12,
    objective: {
      transform,
      feature: { name: cut, shape },
      weights,
      tasks: teacher.ports,
      losses: { tasks: taskWeights, feature: recipe.losses.feature, sensitive: recipe.losses.sensitive },
      variance,
      sensitivity: {
        step,
        maps: Object.fromEntries(
          Object.entries(weights).filter(([name]) => /^analysis\/(groups|prefix)\/matrix$/.test(name)),
        ),
      },
    },
  };
}

/** Throws `INVALID_ARGUMENT` for a weight of a task that there is not, or none above 0. */
function taskWeightsOf({ losses }: TrainRecipe, { ports }: Teacher): Record<string, number> {
  const names = ports.map(({ name }) => name);
  const unknown = Object.keys(losses.tasks ?? {}).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `losses.tasks: there is no task '${unknown}'; there are ${names.join(', ')}`,
    );
  }
  const weights = losses.tasks ?? Object.fromEntries(names.map((name) => [name, 1]));
  if (Object.values(weights).some((weight) => weight > 0)) return weights;
  throw new IsthmusError('INVALID_ARGUMENT', 'losses.tasks: at least one task needs a weight above 0');
}

interface StartSource extends Omit<PlanSource, 'job' | 'shape'> {
  readonly transform: TokenTransform;
  readonly grid: TokenGrid;
  readonly grouping: Grouping;
  readonly taskWeights: Readonly<Record<string, number>>;
}

/** Raised when a change makes kept starts wrong. */
const START_VERSION = 1;

/** The first linear maps in root nats, of groups and of prefix tokens, and the feature's mean variance; from the cache where they are kept. */
async function startOf(
  { recipe, cut, cache, signal, onProgress }: LearnJob,
  { transform, grid, grouping, features, teacher, pictures, open, taskWeights }: StartSource,
): Promise<{ maps: LinearStart[]; variance: number }> {
  const rows = Array.from(epochOrder(pictures.length, recipe.seed, 0).subarray(0, recipe.start));
  const key = cacheKey([
    'start',
    START_VERSION,
    features.keys,
    teacher.keys,
    transform,
    taskWeights,
    rows,
    recipe.seed,
  ]);
  const kept = await cache.read('codecs', key);
  const found = kept && unpackTensors(kept);
  if (found) {
    const maps = Array.from({ length: (found.length - 1) / 4 }, (_, i): LinearStart => {
      const [mean, analysis, synthesis, variances] = found.slice(4 * i, 4 * i + 4).map(({ data }) => data);
      return {
        mean: mean as Float32Array,
        analysis: analysis as Float32Array,
        synthesis: synthesis as Float32Array,
        variances: variances as Float64Array,
      };
    });
    return { maps, variance: Number(found[found.length - 1].data[0]) };
  }
  const moments = await momentsOf({
    grid,
    grouping,
    cut,
    features,
    teacher,
    weights: taskWeights,
    rows,
    batch: ROWS,
    seed: recipe.seed,
    open,
    signal,
    onRows: (done, total) => onProgress?.({ stage: 'start', done, total }),
  });
  const maps = [weightedKlt(moments.groups, transform.components)];
  if (moments.prefix) maps.push(weightedKlt(moments.prefix, transform.prefixComponents));
  const trace = moments.groups.covariance.reduce(
    (sum, value, i) => (i % (grouping.length + 1) === 0 ? sum + value : sum),
    0,
  );
  const variance = Math.max(trace / grouping.length, Number.MIN_VALUE);
  const flat = (data: Float32Array | Float64Array) =>
    tensor(data instanceof Float64Array ? 'float64' : 'float32', [data.length], data);
  await cache.write(
    'codecs',
    key,
    packTensors([
      ...maps.flatMap(({ mean, analysis, synthesis, variances }) => [mean, analysis, synthesis, variances].map(flat)),
      flat(Float64Array.of(variance)),
    ]),
  );
  return { maps, variance };
}

/** Trains, and gives the averages of the weights. */
async function trained(
  job: LearnJob,
  { objective, price }: Plan,
  features: TrainingFeatures,
  teacher: Teacher,
  open: OpenSession,
): Promise<Record<string, Tensor>> {
  const { recipe, files, resume } = job;
  const { graph, loss, report } = objectiveOf(objective);
  const { optimizer, schedule } = recipe;
  const trainer = new Trainer(graph, {
    loss,
    report,
    groups: groupsOf(objective.weights, optimizer.decay),
    optimizer: { kind: 'adamw', beta1: optimizer.beta1, beta2: optimizer.beta2, epsilon: 1e-12 },
    clip: optimizer.clip,
    average: optimizer.average,
    open,
    threads: job.threads,
  });
  try {
    const turns = turnsOf(features.count, schedule.batch, recipe.seed);
    await train({
      trainer,
      steps: schedule.steps,
      schedule: {
        kind: schedule.kind,
        rate: schedule.rate,
        warmup: Math.min(schedule.warmup, schedule.steps - 1),
        final: 0.02,
      },
      batch: async (step) => {
        const rows = turns(step).map(({ item }) => item);
        const [feature] = await features.read(rows);
        return feedsOf(objective, {
          feature,
          targets: await teacher.read(rows),
          ...drawn(objective, recipe, price, step, rows.length),
        });
      },
      ...(files && {
        log: files.log,
        checkpoint: {
          path: files.checkpoint,
          every: schedule.checkpoint,
          training: cacheKey([recipe, features.keys, teacher.keys]),
          resume,
        },
      }),
      signal: job.signal,
      onStep: (training) =>
        job.onProgress?.({ stage: 'training', done: training.step, total: training.steps, training }),
    });
    return trainer.averaged();
  } finally {
    await trainer.release();
  }
}

/**
 * Linear maps and biases hold numbers of any size, so each is trained at a share of its own; blocks at the rate itself. Log-scales of
 * the entropy model are few and steady: faster.
 */
function groupsOf(weights: Readonly<Record<string, Tensor>>, decay: number): WeightGroup[] {
  const blocks: string[] = [];
  const groups: WeightGroup[] = [];
  for (const [name, { data }] of Object.entries(weights)) {
    if (/^(analysis|synthesis)\/\d+\//.test(name)) blocks.push(name);
    else
      groups.push({
        weights: [name],
        rate: name.startsWith('rate/') ? RATE_OF_SCALES : rootMeanSquare(data as Float32Array),
      });
  }
  return blocks.length === 0 ? groups : [...groups, { weights: blocks, decay }];
}

const RATE_OF_SCALES = 5;

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length) || 1;
}

/** Noise, steps and prices of a batch: a pure function of seed and step. */
function drawn(
  { transform }: ObjectiveOptions,
  { quantizer, seed }: TrainRecipe,
  price: number,
  step: number,
  rows: number,
) {
  const random = randomOf('steps', seed, step);
  const [low, high] = quantizer.range;
  const steps = Float32Array.from({ length: rows }, () => low * (high / low) ** uniformFloat64(random));
  return {
    noise: latentsOf(transform).map(({ vectors, components }, i) => noise(seed, step, [rows, vectors, components], i)),
    step: tensor('float32', [rows, 1, 1], steps),
    price: tensor(
      'float32',
      [rows],
      steps.map((each) => price * each * each),
    ),
  };
}

/** A codec for each step of the recipe, with entropy models fitted to what the trained analysis gives. */
async function codecsOf(
  job: LearnJob,
  { objective }: Plan,
  weights: Readonly<Record<string, Tensor>>,
  features: TrainingFeatures,
  dtype: 'float32' | 'float16',
  open: OpenSession,
): Promise<Learned['codecs']> {
  const { recipe, cut, signal } = job;
  const { transform, feature } = objective;
  const shape = [1, ...feature.shape.slice(1)];
  const source: CodecSource = {
    features: [{ name: cut, dtype, shape }],
    model: { name: job.name, sha256: job.head.hash },
  };
  const graphs = transformGraphs(transform, { name: cut, dtype: 'float32', shape }, weights);
  const latents = latentsOf(transform);
  const rows = Array.from(epochOrder(features.count, recipe.seed, 1).subarray(0, ENTROPY_ROWS));
  const values: Float32Array[][] = latents.map(() => []);
  const session = await open(writeGraph(graphs.analysis), { threads: job.threads });
  try {
    let done = 0;
    for (const part of batchesOf(rows, ROWS)) {
      throwIfAborted(signal);
      const [tensors] = await features.read(part);
      const outputs = await session.run({ [cut]: tensors });
      for (const [i, { name }] of latents.entries()) {
        const all = outputs[name].data as Float32Array;
        for (let r = 0; r < part.length; r++)
          values[i].push(all.slice((r * all.length) / part.length, ((r + 1) * all.length) / part.length));
      }
      done += part.length;
      job.onProgress?.({ stage: 'entropy models', done, total: rows.length });
    }
  } finally {
    await session.release();
  }
  const file = transformGraphs(transform, { name: cut, dtype, shape }, weights);
  return recipe.quantizer.steps.map((step) => ({
    step,
    codec: learnedCodec(source, {
      ...file,
      latents: latents.map(
        ({ name, vectors, components }, i): Latent => ({
          name,
          vectors,
          components,
          step,
          model: fitLatentModel(
            values[i].map((each) => quantizeBy(step, each)),
            components,
            modelOptions(recipe.entropy, transform, i),
          ),
        }),
      ),
    }),
  }));
}

function modelOptions(model: KltModel, { grouping }: TokenTransform, latent: number) {
  return latent === 0 ? { model, width: grouping.groups[1] } : { model };
}
