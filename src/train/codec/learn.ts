import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { IsthmusError } from '../../errors.ts';
import { rowsAreImages } from '../../evaluate/cuts.ts';
import { cacheKey } from '../../evaluate/index.ts';
import { batchOf } from '../../evaluate/plan.ts';
import { inferShapes, writeGraph } from '../../onnx/index.ts';
import { type OpenSession, openSession } from '../../runtime/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import { openTrainingFeatures, type TrainingFeatures } from '../data/features.ts';
import { turnsOf } from '../data/order.ts';
import { readPictures } from '../data/pictures.ts';
import { noise } from '../noise.ts';
import type { WeightGroup } from '../plan.ts';
import { randomOf } from '../random.ts';
import { train } from '../train.ts';
import { Trainer } from '../trainer.ts';
import { codecsOf } from './finish.ts';
import { type Learned, type LearnJob, type LearnProgress, ROWS } from './job.ts';
import { feedsOf, type ObjectiveOptions, objectiveOf } from './objective.ts';
import { type Plan, planOf } from './plan.ts';
import type { TrainRecipe } from './recipe.ts';
import { openTeacher, type Teacher } from './teacher.ts';
import { latentsOf } from './transform.ts';

/**
 * Trains a codec by a recipe: the frozen head's features of all pictures, in several variations, are kept on disk, and so are the answers of
 * the tails; training starts from the transform that a uniform quantizer loses least with, to second order; then it learns through the frozen
 * tails; at last entropy models are fitted to the integers that the trained analysis gives. The same recipe, pictures and numbers of threads
 * and workers give the same codec.
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
      codecs: await codecsOf(job, plan.objective.transform, weights, features, dtype, open),
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
    workers: job.workers,
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
