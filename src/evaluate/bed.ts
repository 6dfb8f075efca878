import type { TaskName } from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import type { Answerer } from './answerer.ts';
import { type Cache, cacheKey } from './cache.ts';
import { evidenceOf, type Finding } from './evidence.ts';
import type { Input } from './inputs.ts';
import { type AnyTask, agreementOf, type Measured, type MeasureOptions, measure, statisticsOf } from './measure.ts';
import { byteColumns, type Point, type ReferenceScores, scoreReference, scoreWay } from './point.ts';
import { type Resamples, resample, summarizeBytes, totalScore } from './statistics.ts';

/** A task's images, with the answers of the uncut model that every way is compared with. */
export interface Bed {
  readonly name: TaskName;
  /** Everything that decides the reference's score: models, images and truths, preparation, runtime, seed. */
  readonly identity: readonly unknown[];
  readonly task: AnyTask;
  readonly inputs: readonly Input[];
  readonly resamples: Resamples;
  readonly answers: readonly (readonly unknown[])[];
  readonly scores: ReferenceScores;
  /** Every metric of the task for the reference, by name. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Milliseconds an image of the uncut model, answer included. */
  readonly wholeMs: number;
}

export interface BedOptions extends MeasureOptions {
  readonly cache: Cache;
  /** Everything but the image and its questions that decides an answer: models, preparation, runtime, the task's settings. */
  readonly model: readonly unknown[];
  /** What decides the score beside: the truths, and what the metrics were made of. */
  readonly truths: unknown;
  readonly seed: number;
}

/**
 * Has the uncut model answer for every image, through the cache; where all answers are kept, a batch is run for its
 * time alone. `prepared` gives an image as the model takes it.
 */
export async function openBed(
  name: TaskName,
  task: AnyTask,
  inputs: readonly Input[],
  whole: readonly Answerer[],
  prepared: (input: Input) => Promise<Tensor>,
  { cache, model, truths, seed, ...options }: BedOptions,
): Promise<Bed> {
  const key = (input: Input) => cacheKey(['answers', ...model, input.hash, input.asks]);
  const answers = new Map<Input, readonly unknown[]>();
  for (const input of inputs) {
    const kept = await cache.readJson<unknown[]>('answers', key(input));
    if (kept) answers.set(input, kept);
  }
  const missing = inputs.filter((input) => !answers.has(input));
  options.onImages?.(answers.size);
  const run = missing.length > 0 ? missing : inputs.slice(0, options.batch);
  const onImages = missing.length > 0 ? options.onImages : undefined;
  const carry = async (input: Input) => ({
    received: [await prepared(input)],
    bytes: 0,
    idealBytes: null,
    encodeMs: 0,
    decodeMs: 0,
  });
  const measured = await measure(whole, run, carry, { ...options, onImages });
  for (const [i, input] of run.entries()) {
    if (answers.has(input)) continue;
    answers.set(input, measured.answers[i]);
    await cache.writeJson('answers', key(input), measured.answers[i]);
  }
  const all = inputs.map((input) => answers.get(input) as readonly unknown[]);
  const resamples = resample(inputs.length, seed);
  const [metric] = task.metrics;
  return {
    name,
    identity: [...model, truths, seed, inputs.map(({ hash }) => hash)],
    task,
    inputs,
    resamples,
    answers: all,
    scores: scoreReference(metric, statisticsOf(metric, inputs, all), resamples),
    metrics: Object.fromEntries(
      task.metrics.map((each) => [each.name, totalScore(each, statisticsOf(each, inputs, all))]),
    ),
    wholeMs: measured.tailMs,
  };
}

/** What a point says beside what was measured of the answers and the bytes. */
export type Sent = Pick<
  Point,
  'way' | 'setting' | 'cut' | 'headShare' | 'headMs' | 'encodeMs' | 'decodeMs' | 'tailMs'
> &
  Pick<Measured, 'answers' | 'sizes' | 'idealBytes'> &
  Partial<Pick<Measured, 'spent'>>;

/** The point of a way on a bed, with its evidence. */
export function findingOf(bed: Bed, sent: Sent): Finding {
  return { point: pointOf(bed, sent), evidence: evidenceOf(bed, sent) };
}

function pointOf({ name, task, inputs, resamples, answers, scores }: Bed, sent: Sent): Point {
  const [metric] = task.metrics;
  return {
    task: name,
    way: sent.way,
    setting: sent.setting,
    cut: sent.cut,
    images: inputs.length,
    ...scoreWay(metric, statisticsOf(metric, inputs, sent.answers), resamples, scores),
    ...byteColumns(summarizeBytes(sent.sizes)),
    idealBytes: sent.idealBytes,
    agreement: agreementOf(task, sent.answers, answers),
    headShare: sent.headShare,
    headMs: sent.headMs,
    encodeMs: sent.encodeMs,
    decodeMs: sent.decodeMs,
    tailMs: sent.tailMs,
  };
}
