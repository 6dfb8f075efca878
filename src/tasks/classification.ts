import { IsthmusError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { topAccuracy } from './metrics/accuracy.ts';
import { largest, logSumExp } from './rank.ts';
import { checkLogits } from './rows.ts';
import type { Tail, Task, Teaching } from './task.ts';

export interface ClassProbability {
  readonly index: number;
  readonly label: string;
  /** Softmax of the logits. */
  readonly probability: number;
}

/** The most probable class and the five first, in falling order; fewer where there are fewer classes. */
export interface ClassificationAnswer extends ClassProbability {
  readonly top: readonly ClassProbability[];
}

const TOP = 5;

/**
 * One class of many. The tail gives logits `[batch, labels.length]` (trailing axes of length 1 are fine); the truth is
 * the index of a label. Scored by `top1` and `top5`. Throws `INVALID_ARGUMENT` without labels.
 */
export function classification({
  labels,
}: {
  readonly labels: readonly string[];
}): Task<null, ClassificationAnswer, number> {
  if (labels.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'classification needs at least one label');
  const bytes = indexBytes(labels.length);
  return {
    name: 'classification',
    async answer(tail, feature, asks) {
      const state = await tail.begin(feature);
      const logits = await tail.logits(state);
      const values = checkLogits(withoutTrailingOnes(logits), 2, asks.length, labels.length, 'labels');
      return asks.map((ask, row) => {
        const answer = read(values, row, labels);
        return ask.map(() => answer);
      });
    },
    teach: teachImages,
    lessons: (_ask, label) => [{ labels: [label] }],
    metrics: [topAccuracy(1), topAccuracy(TOP)],
    answerBytes: () => bytes,
    text: ({ label }) => label,
    truthTexts: (index) => [labels[index]],
    credit: ({ index }, truth) => (index === truth ? 1 : 0),
    same: (a, b) => a.index === b.index,
  };
}

/** A row for each image, whose logits are one choice: all that there is to teach where a tail takes the feature alone. */
export async function teachImages(
  _tail: Tail,
  _feature: readonly Tensor[],
  asks: readonly (readonly unknown[])[],
): Promise<Teaching> {
  return { images: asks.map((_, image) => image) };
}

/** Bytes of an index below `count`: one up to 256, two up to 65,536. */
export function indexBytes(count: number): number {
  return Math.max(1, Math.ceil(Math.log2(count) / 8));
}

function read(values: Float32Array, row: number, labels: readonly string[]): ClassificationAnswer {
  const start = row * labels.length;
  const end = start + labels.length;
  const norm = logSumExp(values, start, end);
  const top = largest(values, Math.min(TOP, labels.length), start, end).map((index) => ({
    index,
    label: labels[index],
    probability: Math.exp(values[start + index] - norm),
  }));
  return { ...top[0], top };
}

/** Convolutional classifiers often end in `[batch, classes, 1, 1]`. */
function withoutTrailingOnes<T extends { readonly shape: readonly number[] }>(logits: T): T {
  const rest = logits.shape.slice(2);
  return rest.every((length) => length === 1) ? { ...logits, shape: logits.shape.slice(0, 2) } : logits;
}
