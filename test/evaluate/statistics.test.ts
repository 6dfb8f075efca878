import { describe, expect, it } from 'vitest';
import { scoreReference, scoreWay } from '../../src/evaluate/point.ts';
import {
  percentileInterval,
  quantile,
  resample,
  resampledScores,
  sample,
  summarizeBytes,
  totalScore,
} from '../../src/evaluate/statistics.ts';

/** Share of right answers, as the classification metric sums it. */
const accuracy = { size: 2, score: ([right, asked]: Float64Array) => (100 * right) / asked };

function answers(right: readonly (0 | 1)[]): Float64Array {
  return Float64Array.from(right.flatMap((value) => [value, 1]));
}

describe('resample', () => {
  it('draws as many images as there are, and the same ones for the same seed', () => {
    const first = resample(50, 7, 200);
    expect(resample(50, 7, 200).counts).toEqual(first.counts);
    expect(resample(50, 8, 200).counts).not.toEqual(first.counts);
    for (let r = 0; r < 200; r++) {
      expect(first.counts.subarray(r * 50, (r + 1) * 50).reduce((a, b) => a + b, 0)).toBe(50);
    }
  });

  it('draws every image equally often', () => {
    const { counts } = resample(10, 3, 10_000);
    for (let i = 0; i < 10; i++) {
      let drawn = 0;
      for (let r = 0; r < 10_000; r++) drawn += counts[r * 10 + i];
      // Binomial with n = 100,000 and p = 0.1: standard deviation 95.
      expect(Math.abs(drawn - 10_000)).toBeLessThan(500);
    }
  });
});

describe('intervals', () => {
  it("meet the binomial's own for a share of 80 of 200", () => {
    const right = Array.from({ length: 200 }, (_, i) => (i % 5 < 2 ? 1 : 0));
    const statistics = answers(right);
    const resampled = resampledScores(accuracy, statistics, resample(200, 1, 2000));
    const { value, low, high } = percentileInterval(totalScore(accuracy, statistics), resampled);
    const half = 1.96 * 100 * Math.sqrt((0.4 * 0.6) / 200);
    expect(value).toBeCloseTo(40, 12);
    expect(Math.abs(low - (40 - half))).toBeLessThan(0.8);
    expect(Math.abs(high - (40 + half))).toBeLessThan(0.8);
  });

  it('of a paired loss are narrower than those of two separate scores', () => {
    const reference = Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? 0 : 1));
    const way = reference.map((value, i) => (i % 40 === 1 ? 0 : value)) as (0 | 1)[];
    const resamples = resample(200, 1, 1000);
    const base = scoreReference(accuracy, answers(reference as (0 | 1)[]), resamples);
    const point = scoreWay(accuracy, answers(way), resamples, base);
    expect(point.loss).toBeCloseTo(base.score - point.score, 12);
    expect(point.lossLow).toBeLessThanOrEqual(point.loss);
    expect(point.lossHigh).toBeGreaterThanOrEqual(point.loss);
    expect(point.lossHigh - point.lossLow).toBeLessThan((point.scoreHigh - point.scoreLow) / 2);
    // A loss that only ever takes right answers away cannot be negative.
    expect(point.lossLow).toBeGreaterThanOrEqual(0);
  });

  it('of the reference against itself are nothing', () => {
    const statistics = answers([1, 0, 1, 1, 0]);
    const resamples = resample(5, 1, 300);
    const base = scoreReference(accuracy, statistics, resamples);
    expect(scoreWay(accuracy, statistics, resamples, base)).toMatchObject({ loss: 0, lossLow: 0, lossHigh: 0 });
  });

  it('count an image with several questions as one cluster', () => {
    // 50 images with four answers each, all right or all wrong: as uncertain as 50 answers, not as 200.
    const statistics = Float64Array.from(Array.from({ length: 50 }, (_, i) => [i % 2 === 0 ? 4 : 0, 4]).flat());
    const { low, high } = percentileInterval(50, resampledScores(accuracy, statistics, resample(50, 1, 2000)));
    const half = 1.96 * 100 * Math.sqrt(0.25 / 50);
    expect(Math.abs((high - low) / 2 - half)).toBeLessThan(1.5);
  });

  it('leave out resamples in which nothing was asked', () => {
    const statistics = Float64Array.from([1, 1, 0, 0, 0, 0]);
    const resampled = resampledScores(accuracy, statistics, resample(3, 1, 200));
    expect(resampled.some(Number.isNaN)).toBe(true);
    expect(percentileInterval(100, resampled)).toEqual({ value: 100, low: 100, high: 100 });
  });

  it('refuse statistics of another number of images', () => {
    expect(() => resampledScores(accuracy, new Float64Array(6), resample(4, 1, 10))).toThrow(/4 images/);
  });
});

describe('quantile', () => {
  it('interpolates between order statistics', () => {
    const sorted = Float64Array.of(1, 2, 3, 4);
    expect(quantile(sorted, 0)).toBe(1);
    expect(quantile(sorted, 1)).toBe(4);
    expect(quantile(sorted, 0.5)).toBe(2.5);
    expect(quantile(new Float64Array(0), 0.5)).toBeNaN();
  });
});

describe('summarizeBytes', () => {
  it('gives sizes that occur', () => {
    const sizes = Array.from({ length: 100 }, (_, i) => (i + 1) * 10);
    expect(summarizeBytes(sizes)).toEqual({ mean: 505, p50: 500, p95: 950, max: 1000 });
    expect(summarizeBytes([7])).toEqual({ mean: 7, p50: 7, p95: 7, max: 7 });
  });
});

describe('sample', () => {
  it('draws without replacement, in order, by seed', () => {
    const items = Array.from({ length: 100 }, (_, i) => i);
    const drawn = sample(items, 20, 5);
    expect(new Set(drawn).size).toBe(20);
    expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
    expect(sample(items, 20, 5)).toEqual(drawn);
    expect(sample(items, 20, 6)).not.toEqual(drawn);
    expect(sample(items, 100, 5)).toEqual(items);
    expect(sample(items, 1000, 5)).toEqual(items);
  });
});
