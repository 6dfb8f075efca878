import type { ByteItem } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { stackRows, type Task } from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import type { Answerer } from './answerer.ts';
import { meanItems } from './evidence.ts';
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
  /** What the bytes go to, where that was looked into. */
  readonly items?: readonly ByteItem[];
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
  /** Mean over the images whose bytes were looked into; empty where there are none. */
  readonly spent: readonly ByteItem[];
}

export interface MeasureOptions {
  readonly batch: number;
  readonly signal?: AbortSignal;
  /** Called with the number of images just finished. */
  readonly onImages?: (count: number) => void;
}

/** Batches of a way that run alone, so that nothing beside them slows what is timed. */
const TIMED_BATCHES = 1;

interface Batch {
  readonly carried: readonly Carried[];
  readonly answers: readonly (readonly unknown[])[];
  readonly tailMs: number;
}

/**
 * Sends every image by `carry` and has the answerers answer, a batch at a time; without any, nothing is answered. Times
 * are taken of the first batches, one image after the other, which `carry` is told; the others share the machine, a batch an
 * answerer. Throws `ABORTED` between batches.
 */
export async function measure<Image extends Asked>(
  answerers: readonly Answerer[],
  images: readonly Image[],
  carry: (image: Image, alone: boolean) => Promise<Carried>,
  { batch: size, signal, onImages }: MeasureOptions,
): Promise<Measured> {
  const batches = batchesOf(images, size);
  const done: Batch[] = [];
  const run = async (at: number, answerer: Answerer | undefined) => {
    throwIfAborted(signal);
    const batch = batches[at];
    const carried =
      at < TIMED_BATCHES
        ? await oneByOne(batch, (image) => carry(image, true))
        : await Promise.all(batch.map((image) => carry(image, false)));
    done[at] = { carried, ...(await answer(answerer, batch, carried)) };
    onImages?.(batch.length);
  };
  let next = 0;
  for (; next < Math.min(TIMED_BATCHES, batches.length); next++) await run(next, answerers[0]);
  const lane = async (answerer: Answerer | undefined) => {
    while (next < batches.length) await run(next++, answerer);
  };
  await Promise.all((answerers.length > 0 ? answerers : [undefined]).map(lane));
  const sent = done.flatMap(({ carried }) => carried);
  const timed = done.slice(0, TIMED_BATCHES);
  const known = sent.flatMap(({ idealBytes }) => (idealBytes === null ? [] : [idealBytes]));
  return {
    answers: done.flatMap(({ answers }) => answers),
    sizes: sent.map(({ bytes }) => bytes),
    idealBytes: known.length === sent.length ? known.reduce((a, b) => a + b, 0) / known.length : null,
    encodeMs: median(timed.flatMap(({ carried }) => carried.map((each) => each.encodeMs))),
    decodeMs: median(timed.flatMap(({ carried }) => carried.map((each) => each.decodeMs))),
    tailMs: median(timed.map(({ tailMs }) => tailMs)),
    spent: meanItems(sent.flatMap(({ items }) => (items === undefined ? [] : [items]))),
  };
}

async function answer(
  answerer: Answerer | undefined,
  batch: readonly Asked[],
  carried: readonly Carried[],
): Promise<Pick<Batch, 'answers' | 'tailMs'>> {
  if (answerer === undefined) return { answers: [], tailMs: Number.NaN };
  const feature = carried[0].received.map((_, k) => stackRows(carried.map(({ received }) => received[k])));
  const start = performance.now();
  const answers = await answerer.answer(
    feature,
    batch.map(({ asks }) => asks),
  );
  return { answers, tailMs: (performance.now() - start) / batch.length };
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
