import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { differentiate } from '../autodiff/index.ts';
import { addSquares } from '../codec/fit.ts';
import {
  type CodecSource,
  centre,
  type VectorRange,
  type VectorSensitivity,
  vectorLayout,
  vectorRanges,
} from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { type Graph, writeGraph } from '../onnx/index.ts';
import type { OpenSession, Session } from '../runtime/index.ts';
import { gatherRows, openTail, stackRows, type Tail, type Teaching, tokensOf } from '../tasks/index.ts';
import { asFloat, type DType, type Tensor, tensor, toFloat32 } from '../tensor.ts';
import { type Cache, cacheKey, contentHash, packTensors, unpackTensors } from './cache.ts';
import { DRAWS, drawnLoss, LOSS, WEIGHTS } from './drawn-loss.ts';
import type { FeatureOptions, Features } from './features.ts';
import type { Input } from './inputs.ts';
import { batchesOf, throwIfAborted } from './measure.ts';

/** A task whose loss is differentiated at a cut. */
export interface TaskLoss {
  readonly name: string;
  /** What follows the cut; its inputs are the tensors at the cut, and tokens where the task has any. */
  readonly tail: Graph;
  readonly teach: (tail: Tail, feature: readonly Tensor[], asks: readonly (readonly unknown[])[]) => Promise<Teaching>;
  /** What is asked of images, by their paths. Of an image that is not among them one ask is drawn from those of the others; null where there are none. */
  readonly asks: ReadonlyMap<string, readonly unknown[]>;
}

export interface SensitivityOptions extends FeatureOptions {
  readonly open: OpenSession;
  readonly cache: Cache;
  /** Draws labels, and questions for images that have none. */
  readonly seed: number;
  /** Axis of the vectors; as `vectorLayout` chooses where absent. */
  readonly axis?: number;
}

/** Raised when a change makes kept moments wrong. */
const SENSITIVITY_VERSION = 1;

/**
 * How much the losses of tasks feel errors at a cut: second moments of the gradient of the cross-entropy of labels drawn from each model's
 * own answers, so that no labels are needed. A caption is taught as the model's own one, each of its words a choice. Each task counts the same: its
 * moments are divided by their mean over all elements, and then averaged. The class token is a range of its own. Moments are kept in the cache
 * by tail, features, questions and seed.
 *
 * Throws what `differentiate`, opening a tail and running it throw, `INVALID_ARGUMENT` for logits of which no loss is known or a loss that does
 * not depend on the feature, `TENSOR_INVALID` for gradients that are not finite, `ABORTED`.
 */
export async function sensitivityOf(
  source: CodecSource,
  losses: readonly TaskLoss[],
  features: Features,
  inputs: readonly Input[],
  options: SensitivityOptions,
): Promise<VectorSensitivity[]> {
  const ranges = source.features.flatMap(({ shape }, i) => vectorRanges(i, vectorLayout(shape, options.axis)));
  const all: Float64Array[][] = [];
  for (const loss of losses) all.push(await momentsOf(source, ranges, loss, features, inputs, options));
  return ranges.map((range, r) => {
    const moments = new Float64Array(range.layout.length ** 2);
    for (const ofTask of all) for (let i = 0; i < moments.length; i++) moments[i] += ofTask[r][i] / losses.length;
    return { ...range, moments };
  });
}

/** One task's moments of each range, scaled to a mean of 1. */
async function momentsOf(
  source: CodecSource,
  ranges: readonly VectorRange[],
  loss: TaskLoss,
  features: Features,
  inputs: readonly Input[],
  options: SensitivityOptions,
): Promise<Float64Array[]> {
  const { cache, seed, onImages } = options;
  const asked = drawAsks(loss, inputs, seed);
  const key = cacheKey([
    'sensitivity',
    SENSITIVITY_VERSION,
    contentHash(writeGraph(loss.tail)),
    features.identity,
    ranges,
    inputs.map(({ hash }, i) => [hash, asked[i]]),
    seed,
  ]);
  const kept = await cache.read('sensitivities', key);
  const found = kept && unpackTensors(kept);
  if (found) {
    onImages?.(inputs.length);
    return found.map(({ data }) => data as Float64Array);
  }
  const sums = ranges.map(({ layout: { length } }) => new Float64Array(length * length));
  for await (const gradients of gradientsOf(source, loss, features, inputs, asked, options)) {
    for (const [r, range] of ranges.entries()) addGradient(sums[r], range, gradients[range.tensor]);
  }
  const moments = meanOne(loss.name, ranges, sums);
  await cache.write('sensitivities', key, packTensors(moments.map((data) => tensor('float64', [data.length], data))));
  return moments;
}

/** Everything that decides a task's gradients but features and seed. */
export function lossIdentity({ name, tail, asks }: TaskLoss): readonly unknown[] {
  return [name, contentHash(writeGraph(tail)), [...asks]];
}

/** What is asked of each image: its own, or one that is drawn from all. */
function drawAsks({ asks }: TaskLoss, inputs: readonly Input[], seed: number): (readonly unknown[])[] {
  const pool = [...asks.values()].flat();
  const random = xoroshiro128plus(seed);
  if (pool.length === 0) pool.push(null);
  return inputs.map(({ path }) => asks.get(path) ?? [pool[uniformInt(random, 0, pool.length - 1)]]);
}

/** The gradients at the cut of each row that is taught, one array a tensor: the loss of a row depends on its own feature alone. */
async function* gradientsOf(
  source: CodecSource,
  { tail: graph, teach }: TaskLoss,
  features: Features,
  inputs: readonly Input[],
  asked: readonly (readonly unknown[])[],
  { open, batch, seed, signal, onImages }: SensitivityOptions,
): AsyncGenerator<Float32Array[]> {
  const names = source.features.map(({ name }) => name);
  const tokens = tokensOf(graph, names);
  const random = xoroshiro128plus(seed);
  const tail = await openTail(graph, names, open);
  let backward: Session | undefined;
  try {
    for (const part of batchesOf([...inputs.keys()], batch)) {
      throwIfAborted(signal);
      const each = await Promise.all(part.map((i) => features.of(inputs[i])));
      const feature = names.map((_, k) => stackRows(each.map((tensors) => tensors[k])));
      const teaching = await teach(
        tail,
        feature,
        part.map((i) => asked[i]),
      );
      backward ??= await openBackward(graph, names, teaching, open);
      for (const rows of batchesOf([...teaching.images.keys()], batch)) {
        const images = rows.map((row) => teaching.images[row]);
        // An image that goes alone may be several rows: windows, or tokens before the batch.
        const given = batch === 1 ? feature : feature.map((whole) => gatherRows(whole, images));
        const feeds: Record<string, Tensor> = lossFeeds(teaching, rows, random);
        for (const [k, name] of names.entries()) feeds[name] = asFloat(given[k], dtypeOf(backward, name));
        if (tokens !== undefined && teaching.tokens) feeds[tokens] = gatherRows(teaching.tokens, rows);
        const result = await backward.run(feeds);
        const [, ...outputs] = backward.outputs;
        const gradients = outputs.map(({ name }) => toFloat32(result[name]));
        for (const r of rows.keys()) {
          yield gradients.map((all) =>
            all.subarray((r * all.length) / rows.length, ((r + 1) * all.length) / rows.length),
          );
        }
      }
      onImages?.(part.length);
    }
  } finally {
    await tail.release();
    await backward?.release();
  }
}

/** The loss and its gradients by the tensors at the cut, in this order. */
async function openBackward(tail: Graph, names: readonly string[], { choices }: Teaching, open: OpenSession) {
  return open(writeGraph(differentiate(drawnLoss(tail, choices !== undefined), { of: LOSS, with: names })));
}

/** Uniform numbers for the labels of some rows, and a weight of 1 for each position that is a choice. */
function lossFeeds(
  { choices, tokens }: Teaching,
  rows: readonly number[],
  random: RandomGenerator,
): Record<string, Tensor> {
  const length = choices && tokens ? tokens.shape[1] : 1;
  const shape = choices ? [rows.length, length, 1] : [rows.length, 1];
  const draws = Float32Array.from({ length: rows.length * length }, () => uniformFloat32(random));
  const weights = Float32Array.from(draws, (_, i) =>
    i % length < (choices?.[rows[Math.floor(i / length)]] ?? 1) ? 1 : 0,
  );
  return { [DRAWS]: tensor('float32', shape, draws), [WEIGHTS]: tensor('float32', shape, weights) };
}

function dtypeOf({ inputs }: Session, name: string): DType {
  return inputs.find((input) => input.name === name)?.dtype ?? 'float32';
}

/** The gradients of a range's vectors onto the lower triangle of the sum of their products. */
function addGradient(sums: Float64Array, { layout, first, vectors }: VectorRange, gradient: Float32Array): void {
  const { length } = layout;
  const none = new Float32Array(vectors * length);
  addSquares(sums, centre(layout, none, gradient, new Float64Array(none.length), first), length);
}

/**
 * Means over rows and vectors, whole matrices, scaled so that over all elements of the feature the mean square of the gradient is 1: so much
 * do tasks count alike, however sure their answers are. Throws `TENSOR_INVALID`, `INVALID_ARGUMENT`.
 */
function meanOne(name: string, ranges: readonly VectorRange[], sums: readonly Float64Array[]): Float64Array[] {
  let squares = 0;
  let elements = 0;
  for (const [r, { layout, vectors }] of ranges.entries()) {
    for (let a = 0; a < layout.length; a++) squares += sums[r][a * (layout.length + 1)];
    elements += vectors * layout.length;
  }
  if (!Number.isFinite(squares)) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `gradients of the loss of ${name} are not finite: cut elsewhere, or leave the task out`,
    );
  }
  if (squares === 0) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `the loss of ${name} does not depend on the feature: leave the task out`,
    );
  }
  return ranges.map(({ layout: { length }, vectors }, r) => {
    const scale = elements / (squares * vectors);
    const moments = new Float64Array(length * length);
    for (let a = 0; a < length; a++) {
      for (let b = 0; b <= a; b++) moments[a * length + b] = moments[b * length + a] = scale * sums[r][a * length + b];
    }
    return moments;
  });
}
