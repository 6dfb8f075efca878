import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { IsthmusError } from '../errors.ts';

/** A value with its 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Bootstrap resamples of the same images: `counts[r * images + i]` says how often resample r drew image i. Made once
 * for a task and used for every way, so that losses are paired.
 */
export interface Resamples {
  readonly images: number;
  readonly count: number;
  readonly counts: Uint16Array;
}

/** A score from the sums of its statistics over images (a `Metric`, as far as resampling goes). */
export interface SummedScore {
  readonly size: number;
  score(sums: Float64Array): number;
}

/** Resamples of a bootstrap: the ends of a 95 % interval are then uncertain by about 5 % of its width. */
export const RESAMPLES = 1000;

/** Resamples with replacement, drawn by a seeded generator: same images, seed and count, same resamples everywhere. */
export function resample(images: number, seed: number, count = RESAMPLES): Resamples {
  const random = xoroshiro128plus(seed);
  const counts = new Uint16Array(images * count);
  for (let r = 0; r < count; r++) {
    for (let draw = 0; draw < images; draw++) counts[r * images + uniformInt(random, 0, images - 1)]++;
  }
  return { images, count, counts };
}

/** `count` of `items` drawn without replacement by seed, in their old order; all of them where there are no more. */
export function sample<T>(items: readonly T[], count: number, seed: number): T[] {
  if (count >= items.length) return [...items];
  const random = xoroshiro128plus(seed);
  const order = items.map((_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = uniformInt(random, i, items.length - 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order
    .slice(0, count)
    .sort((a, b) => a - b)
    .map((i) => items[i]);
}

/** The score of every resample. `statistics` holds one row of `score.size` sums an image: its questions summed. */
export function resampledScores(score: SummedScore, statistics: Float64Array, resamples: Resamples): Float64Array {
  const { images, count, counts } = resamples;
  if (statistics.length !== images * score.size) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `${statistics.length} statistics are not ${score.size} for each of ${images} images`,
    );
  }
  const scores = new Float64Array(count);
  const sums = new Float64Array(score.size);
  for (let r = 0; r < count; r++) {
    sums.fill(0);
    for (let i = 0; i < images; i++) {
      const times = counts[r * images + i];
      if (times === 0) continue;
      for (let k = 0; k < score.size; k++) sums[k] += times * statistics[i * score.size + k];
    }
    scores[r] = score.score(sums);
  }
  return scores;
}

/** Score over all images, each counted once. */
export function totalScore(score: SummedScore, statistics: Float64Array): number {
  const sums = new Float64Array(score.size);
  for (let i = 0; i < statistics.length; i++) sums[i % score.size] += statistics[i];
  return score.score(sums);
}

/**
 * Percentile interval (2.5 % to 97.5 %) of resampled values around the value measured. Resamples without a value (a
 * type of question that none of its images has) are left out.
 * Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13.
 */
export function percentileInterval(value: number, resampled: Float64Array): Estimate {
  const sorted = resampled.filter(Number.isFinite).sort();
  return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}

/** Quantile of sorted values, interpolated (type 7 of Hyndman & Fan); NaN of none. */
export function quantile(sorted: Float64Array, p: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * p;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

export interface ByteSummary {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** Mean, and percentiles by nearest rank: sizes that were really sent. */
export function summarizeBytes(sizes: readonly number[]): ByteSummary {
  if (sizes.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'no sizes to summarize');
  const sorted = Float64Array.from(sizes).sort();
  const rank = (p: number) => sorted[Math.ceil(p * sorted.length) - 1];
  const sum = sorted.reduce((a, b) => a + b, 0);
  return { mean: sum / sorted.length, p50: rank(0.5), p95: rank(0.95), max: sorted[sorted.length - 1] };
}
