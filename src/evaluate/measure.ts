import { IsthmusError } from '../errors.ts';
import { stackRows, type Tail, type Task } from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import { quantile } from './statistics.ts';

/** A task whatever it asks and answers. */
export type AnyTask = Task<unknown, unknown, unknown>;

/** What is asked of one image, and the truth of each question. */
export interface Asked {
  readonly asks: readonly unknown[];
  readonly truths: readonly unknown[];
}

/** One image after it was sent: what the tail takes of it, at batch 1, and what the way cost. */
export interface Carried {
  readonly received: readonly Tensor[];
  readonly bytes: number;
  readonly idealBytes: number | null;
  readonly encodeMs: number;
  readonly decodeMs: number;
}

export interface Measured {
  /** Answers of every image. */
  readonly answers: readonly (readonly unknown[])[];
  /** Bytes of every image. */
  readonly sizes: readonly number[];
  /** Mean, or null where an image has none. */
  readonly idealBytes: number | null;
  /** Medians over the images that were timed. */
  readonly encodeMs: number;
  readonly decodeMs: number;
  /** Median over the batches that were timed, for one image. */
  readonly tailMs: number;
}

export interface MeasureOptions {
  readonly batch: number;
  readonly signal?: AbortSignal;
  /** Called with the number of images just finished. */
  readonly onImages?: (count: number) => void;
}

/** Batches of a way that run alone, so that nothing beside them slows what is timed. */
const TIMED_BATCHES = 2;

/**
 * Sends every image by `carry` and has the tail answer, a batch at a time; with null for `answering` nothing is
 * answered. Times are taken of the first batches, one image after the other; from then on the next batch is sent while
 * the tail works on this one. Throws `ABORTED` between batches.
 */
export async function measure<Image extends Asked>(
  answering: { readonly task: AnyTask; readonly tail: Tail } | null,
  images: readonly Image[],
  carry: (image: Image) => Promise<Carried>,
  options: MeasureOptions,
): Promise<Measured> {
  const answers: (readonly unknown[])[] = [];
  const sizes: number[] = [];
  const ideals: (number | null)[] = [];
  const encodeMs: number[] = [];
  const decodeMs: number[] = [];
  const tailMs: number[] = [];
  const batches = batchesOf(images, options.batch);
  const send = async (at: number) =>
    at < TIMED_BATCHES ? oneByOne(batches[at], carry) : Promise.all(batches[at].map(carry));
  let next: Promise<Carried[]> | undefined;
  for (const [at, batch] of batches.entries()) {
    throwIfAborted(options.signal);
    const carried = await (next ?? send(at));
    const timed = at < TIMED_BATCHES;
    next = at + 1 < batches.length && !timed ? send(at + 1) : undefined;
    // It is awaited in the next round; should this one fail first, nobody is left to hear of it.
    next?.catch(() => {});
    if (answering) {
      const feature = carried[0].received.map((_, k) => stackRows(carried.map(({ received }) => received[k])));
      const asks = batch.map((image) => image.asks);
      const start = performance.now();
      answers.push(...(await answering.task.answer(answering.tail, feature, asks)));
      if (timed) tailMs.push((performance.now() - start) / batch.length);
    }
    for (const each of carried) {
      sizes.push(each.bytes);
      ideals.push(each.idealBytes);
      if (timed) encodeMs.push(each.encodeMs);
      if (timed) decodeMs.push(each.decodeMs);
    }
    options.onImages?.(batch.length);
  }
  const known = ideals.filter((ideal) => ideal !== null);
  return {
    answers,
    sizes,
    idealBytes: known.length === ideals.length ? known.reduce((a, b) => a + b, 0) / known.length : null,
    encodeMs: median(encodeMs),
    decodeMs: median(decodeMs),
    tailMs: median(tailMs),
  };
}

/** One row of the metric's statistics an image: the sum over its questions. */
export function statisticsOf(
  metric: AnyTask['metrics'][number],
  images: readonly Asked[],
  answers: readonly (readonly unknown[])[],
): Float64Array {
  const rows = new Float64Array(images.length * metric.size);
  for (const [i, { truths }] of images.entries()) {
    for (const [j, truth] of truths.entries()) {
      const statistics = metric.statistics(answers[i][j], truth);
      for (let k = 0; k < metric.size; k++) rows[i * metric.size + k] += statistics[k];
    }
  }
  return rows;
}

/** Share of answers, in points of 100, that say the same. */
export function agreementOf(
  task: AnyTask,
  answers: readonly (readonly unknown[])[],
  reference: readonly (readonly unknown[])[],
): number {
  let same = 0;
  let all = 0;
  for (const [i, ofImage] of answers.entries()) {
    for (const [j, answer] of ofImage.entries()) {
      if (task.same(answer, reference[i][j])) same++;
      all++;
    }
  }
  return (100 * same) / all;
}

export function batchesOf<T>(items: readonly T[], size: number): T[][] {
  const batches: T[][] = [];
  for (let from = 0; from < items.length; from += size) batches.push(items.slice(from, from + size));
  return batches;
}

/** Throws `ABORTED`. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new IsthmusError('ABORTED', 'stopped; what was finished is kept, run the same command again to go on', {
      cause: signal.reason,
    });
  }
}

async function oneByOne<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

/** NaN of none. */
export function median(values: readonly number[]): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}
