import { createHash } from 'node:crypto';
import { writeGraph } from '../../onnx/index.ts';
import { type OpenSession, openSession } from '../../runtime/index.ts';
import { openTask, readSplit, type Suite, type SuiteTask } from '../../tasks/index.ts';
import { elements, type Tensor } from '../../tensor.ts';
import { batches } from '../data/batches.ts';
import { turnsOf } from '../data/order.ts';
import type { Picture, ReadPicturesOptions } from '../data/pictures.ts';
import { randomWeights } from '../initialize.ts';
import { type TrainOptions, train } from '../train.ts';
import { Trainer } from '../trainer.ts';
import { decayGroups, trainableWeights, withWeights } from '../weights.ts';
import { type Example, readExamples } from './examples.ts';
import { type ModelFile, openSuiteModels, partsOf, type SuiteModels, trainedModels, wholeOf } from './models.ts';
import { type SuiteObjective, suiteObjective } from './objective.ts';
import type { SuiteRecipe } from './recipe.ts';
import { scoreTask, type TaskScore } from './score.ts';
import { targetsOf } from './targets.ts';

/** What the models of a suite are trained on, and how. */
export interface SuiteJob extends Pick<TrainOptions, 'log' | 'onStep' | 'signal'> {
  readonly suite: Suite;
  readonly recipe: SuiteRecipe;
  /** Steps between two measurements of loss and right choices on the first validation pictures; none where absent. */
  readonly measureEvery?: number;
  readonly checkpoint?: { readonly path: string; readonly every: number; readonly resume?: boolean };
  readonly open?: OpenSession;
  readonly threads?: number;
  /** Threads that share the rows of each batch, as `Trainer` takes them. */
  readonly workers?: number;
  readonly onPictures?: ReadPicturesOptions['onPictures'];
  readonly onBad?: ReadPicturesOptions['onBad'];
  /** Told how many of all validation pictures were answered, task by task, when training has ended. */
  readonly onScored?: (done: number, total: number) => void;
}

export interface SuiteTrained {
  /** Models with their new weights, by the names that the suite and the recipe give them; all else is kept. */
  readonly models: readonly ModelFile[];
  readonly weights: { readonly tensors: number; readonly parameters: number };
  readonly pictures: number;
  /** On the validation pictures, by the weights as they are written. */
  readonly scores: readonly TaskScore[];
}

/** Validation pictures that are measured while training goes on. */
const WATCHED = 256;

/**
 * Trains trunk and tails of a suite together on its own data: a step runs the trunk once for a picture, whose class, one of whose
 * captions and some of whose questions are learnt. Throws what opening suite, models and data throws, `DATA_INVALID` and
 * `INVALID_ARGUMENT` for what does not go together, and what `train` throws.
 */
export async function finetuneSuite(job: SuiteJob): Promise<SuiteTrained> {
  const { suite, recipe } = job;
  const models = await openSuiteModels(suite, recipe);
  const objective = suiteObjective(partsOf(models, suite, recipe));
  const tasks = await tasksOf(suite, recipe, models);
  const read = (split: string) =>
    readExamples(suite, split, tasks, recipe.auxiliary, {
      onBad: job.onBad,
      onPictures: job.onPictures,
      signal: job.signal,
    });
  const examples = await read(recipe.split);
  const validation = await read(recipe.validation);
  const names = trainableWeights(objective.graph, objective.loss, recipe);
  const drawn = drawnWeights(objective, recipe, names);
  const start = withWeights(objective.graph, drawn);
  const trainer = new Trainer(start, {
    loss: objective.loss,
    report: objective.choices.flatMap(({ loss, right }) => [loss, right]),
    groups: decayGroups(start, names, recipe.decay),
    optimizer: { kind: 'adamw' },
    clip: recipe.clip,
    average: recipe.average,
    open: job.open,
    threads: job.threads,
    workers: job.workers,
  });
  let trained: Record<string, Tensor>;
  try {
    await train({
      ...trainingOf(job, objective, examples),
      trainer,
      measure: measuring(job, objective, validation),
      ...(job.checkpoint
        ? { checkpoint: { ...job.checkpoint, training: identityOf(recipe, models, suite, examples) } }
        : {}),
    });
    trained = recipe.average === undefined ? trainer.weights() : trainer.averaged();
  } finally {
    await trainer.release();
  }
  const made = trainedModels(models, { ...drawn, ...trained }, recipe.store);
  return {
    models: made,
    weights: {
      tensors: names.length,
      parameters: Object.values(trained).reduce((sum, { shape }) => sum + elements(shape), 0),
    },
    pictures: examples.length,
    scores: await scoresOf(job, tasks, made, models.trunk !== undefined, validation),
  };
}

/** Random values of the weights among `names` that do not start from the models'. */
function drawnWeights({ graph, loss }: SuiteObjective, { init, seed }: SuiteRecipe, names: readonly string[]) {
  if (init === 'model') return {};
  if (init === 'random') return randomWeights(graph, names, seed);
  const fitting = new Set(trainableWeights(graph, loss, { weights: init }));
  const wanted = names.filter((name) => fitting.has(name));
  // Of a part that stays, statistics of BatchNormalization stay too.
  const drawn = randomWeights(graph, wanted, seed);
  return Object.fromEntries(wanted.map((name) => [name, drawn[name]]));
}

/** Tasks with the metrics of the validation split. */
async function tasksOf(suite: Suite, { validation }: SuiteRecipe, models: SuiteModels): Promise<SuiteTask[]> {
  const tasks: SuiteTask[] = [];
  for (const { name } of models.tasks)
    tasks.push(await openTask(suite, name, await readSplit(suite, name, validation)));
  return tasks;
}

function trainingOf(
  { suite, recipe, log, onStep, signal }: SuiteJob,
  objective: SuiteObjective,
  examples: readonly Example[],
): Omit<TrainOptions, 'trainer'> {
  const { steps, accumulate, schedule, rate, warmup } = recipe;
  const feeds = feedsOf(suite, objective, examples, recipe);
  return {
    steps,
    accumulate,
    schedule: { kind: schedule, rate, warmup },
    batch: (step, micro) => feeds(step * accumulate + micro),
    log,
    onStep,
    signal,
  };
}

/** Pixels and targets of the batches, in the same order. */
function feedsOf(
  { input }: Suite,
  { choices }: SuiteObjective,
  examples: readonly Example[],
  { batch, accumulate, seed, augmentation, questions }: SuiteRecipe,
): (step: number) => Promise<Record<string, Tensor>> {
  const pictures: Picture[] = examples.map(({ path, hash }) => ({ path, hash }));
  const pixels = batches({
    pictures,
    input,
    batch,
    seed,
    augmentation: augmentation ?? undefined,
    ahead: accumulate,
  });
  const turns = turnsOf(examples.length, batch, seed);
  const targets = targetsOf(examples, choices, { questions, seed });
  return async (step) => ({ ...(await pixels.batch(step)), ...targets(turns(step)) });
}

function measuring(
  { suite, recipe, measureEvery, signal }: SuiteJob,
  objective: SuiteObjective,
  validation: readonly Example[],
): TrainOptions['measure'] {
  if (measureEvery === undefined) return undefined;
  const watched = validation.slice(0, WATCHED);
  const batch = Math.min(recipe.batch, watched.length);
  const count = Math.floor(watched.length / batch);
  const feeds = feedsOf(suite, objective, watched, { ...recipe, batch, accumulate: 1, augmentation: null });
  const weights = recipe.average === undefined ? 'current' : 'averaged';
  return {
    every: Math.min(measureEvery, recipe.steps),
    async run(trainer) {
      const sums: Record<string, number> = {};
      for (let step = 0; step < count; step++) {
        signal?.throwIfAborted();
        const { loss, reported } = await trainer.measure(await feeds(step), weights);
        for (const [name, value] of Object.entries({ loss, ...reported })) sums[name] = (sums[name] ?? 0) + value;
      }
      return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [`validation ${name}`, sum / count]));
    },
  };
}

/** What decides the weights that come out, but for runtime, threads and workers. */
function identityOf(recipe: SuiteRecipe, models: SuiteModels, { input }: Suite, examples: readonly Example[]): string {
  const hash = createHash('sha256').update(JSON.stringify([recipe, input]));
  for (const { graph } of [...(models.trunk ? [models.trunk] : []), ...models.tasks, ...models.auxiliary]) {
    hash.update(writeGraph(graph));
  }
  for (const { hash: picture, tasks, auxiliary } of examples) {
    const lessons = Object.values(tasks).map((each) => each.lessons);
    const labels = Object.values(auxiliary).map((list) => [...list]);
    hash.update(JSON.stringify([picture, lessons, labels]));
  }
  return hash.digest('hex');
}

async function scoresOf(
  { suite, open = openSession, threads, signal, onScored }: SuiteJob,
  tasks: readonly SuiteTask[],
  models: readonly ModelFile[],
  hasTrunk: boolean,
  validation: readonly Example[],
): Promise<TaskScore[]> {
  const total = tasks.reduce((sum, { name }) => sum + validation.filter((each) => each.tasks[name]).length, 0);
  let done = 0;
  const onPictures = (count: number) => {
    done += count;
    onScored?.(done, total);
  };
  const scores: TaskScore[] = [];
  for (const task of tasks) {
    const whole = wholeOf(models, task.name, hasTrunk);
    scores.push(await scoreTask(task, whole, validation, { input: suite.input, open, threads, signal, onPictures }));
  }
  return scores;
}
