import { createHash } from 'node:crypto';
import { IsthmusError } from '../errors.ts';
import { PixelStore } from '../evaluate/index.ts';
import { throwIfAborted } from '../evaluate/measure.ts';
import { type Graph, isOp, mainGraph, writeGraph } from '../onnx/index.ts';
import type { OpenSession } from '../runtime/index.ts';
import { type InputSpec, pixelsToTensor, stackRows } from '../tasks/index.ts';
import { elements, type Tensor, tensor } from '../tensor.ts';
import { type Classifier, checkLabels, classifierOf, fixedBatch } from './classifier.ts';
import { batches } from './data/batches.ts';
import type { Picture } from './data/pictures.ts';
import type { FinetuneRecipe } from './finetune-recipe.ts';
import { randomWeights } from './initialize.ts';
import { type TrainOptions, train } from './train.ts';
import { Trainer } from './trainer.ts';
import { decayGroups, trainableWeights, withWeights } from './weights.ts';

/** What weights are trained of, and on what. */
export interface FinetuneJob extends Pick<TrainOptions, 'log' | 'onStep' | 'signal'> {
  readonly recipe: FinetuneRecipe;
  readonly graph: Graph;
  /** What the card calls the model. */
  readonly name: string;
  readonly input: InputSpec;
  /** Pictures with their labels. */
  readonly pictures: readonly Picture[];
  /** Pictures to score top-1 on; may be none. */
  readonly validation: readonly Picture[];
  /** Names of the classes, where the data has them. */
  readonly classes?: readonly string[];
  /** The output of logits; the only one where absent. */
  readonly logits?: string;
  /** Steps between two measurements on the validation pictures; the end alone where absent. */
  readonly measureEvery?: number;
  readonly checkpoint?: { readonly path: string; readonly every: number; readonly resume?: boolean };
  readonly open?: OpenSession;
  readonly threads?: number;
  /** Threads that share the rows of each batch, as `Trainer` takes them. */
  readonly workers?: number;
}

export interface Finetuned {
  /** The model with its new weights; all else is kept. */
  readonly graph: Graph;
  readonly card: string;
  readonly weights: { readonly tensors: number; readonly parameters: number };
  /** Cross-entropy (with the recipe's smoothing) and top-1 on the validation pictures, where there are any. */
  readonly before?: Score;
  readonly after?: Score;
}

export interface Score {
  readonly loss: number;
  /** Share of pictures whose largest logit is their class. */
  readonly top1: number;
}

/**
 * Trains weights of a classifier on labelled pictures, through all of the graph. BatchNormalization keeps its statistics,
 * as at inference.
 * Throws `INVALID_ARGUMENT` and `DATA_INVALID` for what does not go together, and what `train` throws.
 */
export async function finetune(job: FinetuneJob): Promise<Finetuned> {
  const { recipe, pictures, validation } = job;
  const classifier = classifierOf(job.graph, job.logits, recipe.smoothing);
  checkLabels(classifier, [...pictures, ...validation], job.classes?.length);
  checkBatch(job);
  const names = trainableWeights(classifier.graph, classifier.loss, recipe);
  const drawn = recipe.init === 'random' ? randomWeights(job.graph, names, recipe.seed) : {};
  const start = withWeights(classifier.graph, drawn);
  const trainer = new Trainer(start, {
    loss: classifier.loss,
    report: [classifier.top1],
    groups: decayGroups(start, names, recipe.decay),
    optimizer: recipe.optimizer === 'sgd' ? { kind: 'sgd', momentum: recipe.momentum } : { kind: 'adamw' },
    clip: recipe.clip,
    average: recipe.average,
    open: job.open,
    threads: job.threads,
    workers: job.workers,
  });
  try {
    const measure = scorer(job, classifier);
    const before = validation.length > 0 ? await measure(trainer) : undefined;
    await train({ ...trainingOf(job, trainer), measure: measuring(job, measure) });
    const after = validation.length > 0 ? await measure(trainer) : undefined;
    const trained = recipe.average === undefined ? trainer.weights() : trainer.averaged();
    const weights = {
      tensors: names.length,
      parameters: Object.values(trained).reduce((sum, { shape }) => sum + elements(shape), 0),
    };
    const graph = withWeights(job.graph, { ...drawn, ...trained });
    const scores = before && after ? { before, after } : {};
    return { graph, weights, ...scores, card: cardOf(job, classifier, { weights, ...scores }) };
  } finally {
    await trainer.release();
  }
}

function trainingOf(job: FinetuneJob, trainer: Trainer): TrainOptions {
  const { recipe, pictures, input, checkpoint } = job;
  const { steps, batch, accumulate, seed, augmentation } = recipe;
  const data = batches({ pictures, input, batch, seed, augmentation: augmentation ?? undefined, ahead: accumulate });
  return {
    trainer,
    steps,
    accumulate,
    schedule: { kind: recipe.schedule, rate: recipe.rate, warmup: recipe.warmup },
    batch: (step, micro) => data.batch(step * accumulate + micro),
    ...(checkpoint ? { checkpoint: { ...checkpoint, training: identityOf(job) } } : {}),
    log: job.log,
    onStep: job.onStep,
    signal: job.signal,
  };
}

/** What decides the weights that come out, but for runtime, threads and workers. */
function identityOf({ recipe, graph, input, pictures, logits }: FinetuneJob): string {
  const hash = createHash('sha256').update(writeGraph(graph));
  const data = pictures.map(({ hash: picture, label }) => [picture, label]);
  return hash.update(JSON.stringify([recipe, input, data, logits])).digest('hex');
}

function checkBatch({ graph, input, recipe: { batch }, validation }: FinetuneJob): void {
  const fixed = fixedBatch(graph, input.name);
  if (fixed === undefined) return;
  if (fixed !== batch) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `the model is made for batches of ${fixed}, not of ${batch}; take that batch and accumulate several a step, or export ` +
        'the model with a free batch',
    );
  }
  if (validation.length === 0 || validation.length >= batch) return;
  throw new IsthmusError(
    'DATA_INVALID',
    `the model is made for batches of ${batch}, and there are ${validation.length} pictures to validate with; give more`,
  );
}

function measuring(
  { validation, measureEvery, recipe }: FinetuneJob,
  measure: (trainer: Trainer) => Promise<Score>,
): TrainOptions['measure'] {
  if (validation.length === 0 || measureEvery === undefined) return undefined;
  const run = async (trainer: Trainer) => {
    const { loss, top1 } = await measure(trainer);
    return { 'validation loss': loss, 'validation top-1': top1 };
  };
  return { every: Math.min(measureEvery, recipe.steps), run };
}

/** Scores a trainer's weights, averaged ones where they are kept, on the validation pictures. */
function scorer(job: FinetuneJob, { top1 }: Classifier): (trainer: Trainer) => Promise<Score> {
  const { validation, input, recipe, signal, graph } = job;
  const store = new PixelStore(input);
  // A model that is made for one number of pictures cannot take the rest.
  const rest = fixedBatch(graph, input.name) === undefined ? 0 : validation.length % recipe.batch;
  const scored = validation.slice(0, validation.length - rest);
  return async (trainer) => {
    const sums = { loss: 0, top1: 0 };
    for (let from = 0; from < scored.length; from += recipe.batch) {
      throwIfAborted(signal);
      const part = scored.slice(from, from + recipe.batch);
      const feeds = await feedsOf(part, store, input);
      const { loss, reported } = await trainer.measure(feeds, recipe.average === undefined ? 'current' : 'averaged');
      sums.loss += loss * part.length;
      sums.top1 += reported[top1] * part.length;
    }
    return { loss: sums.loss / scored.length, top1: sums.top1 / scored.length };
  };
}

async function feedsOf(part: readonly Picture[], store: PixelStore, input: InputSpec): Promise<Record<string, Tensor>> {
  const pixels = await Promise.all(part.map(({ path }) => store.pixels(path)));
  return {
    [input.name]: stackRows(pixels.map((each) => pixelsToTensor(each, input))),
    labels: tensor(
      'int64',
      [part.length],
      BigInt64Array.from(part, ({ label }) => BigInt(label as number)),
    ),
  };
}

function cardOf(
  { name, recipe, pictures, validation, classes, graph }: FinetuneJob,
  { logits, classes: count }: Classifier,
  { weights, before, after }: Omit<Finetuned, 'graph' | 'card'>,
): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  const normalized = mainGraph(graph).node.some((node) => isOp(node, 'BatchNormalization'));
  const lines = [
    `# ${name}, ${recipe.init === 'random' ? 'trained from random weights' : 'fine-tuned'}`,
    '',
    `${weights.parameters.toLocaleString('en')} parameters in ${weights.tensors} tensors, trained for ${recipe.steps} steps of ` +
      `${recipe.batch * recipe.accumulate} pictures, on ${pictures.length} pictures with labels. Logits: \`${logits}\`` +
      `${count === undefined ? '' : `, ${count} classes`}.`,
    ...(recipe.average === undefined ? [] : ['The weights are the moving average.']),
    ...(normalized ? ['BatchNormalization kept its statistics, as at inference.'] : []),
  ];
  if (before && after) {
    lines.push(
      '',
      `| on ${validation.length} other pictures | top-1 | cross-entropy |`,
      '|---|---|---|',
      `| before | ${percent(before.top1)} | ${before.loss.toFixed(4)} |`,
      `| after | ${percent(after.top1)} | ${after.loss.toFixed(4)} |`,
    );
  }
  lines.push('', '```json', JSON.stringify(recipe, null, 2), '```');
  if (classes) lines.push('', `Classes in order: ${classes.join(', ')}.`);
  return `${lines.join('\n')}\n`;
}
