import { describe, expect, it } from 'vitest';
import { apportion, ParametricModel, SCALES, SHAPES, type Shape, shapeWeights } from '../../src/entropy/index.ts';
import { codeOf } from '../code-of.ts';

const scaleOf = (index: number) => 2 ** (index / 8 - 4);

/** Probability of more than x >= 0, in floats; the Gaussian's by a midpoint sum. */
function beyond(shape: Shape, scale: number, x: number): number {
  if (shape === 'laplace') return Math.exp(-x / scale) / 2;
  if (shape === 'logistic') return 1 / (1 + Math.exp(x / scale));
  const pieces = 20_000;
  const from = x / scale;
  let sum = 0;
  for (let i = 0; i < pieces; i++) sum += Math.exp(-((from + ((i + 0.5) * 9) / pieces) ** 2) / 2);
  return (sum * 9) / pieces / Math.sqrt(2 * Math.PI);
}

describe.each(SHAPES)('%s', (shape) => {
  it.each([0, 5, 16, 31, 32, 47, 72, SCALES - 1])('is the distribution at scale %d, in integers', (index) => {
    const { weights, tails } = shapeWeights(shape, index);
    for (const k of [0, 1, 2, 3, 7, 20, 100, 400].filter((k) => k < weights.length)) {
      const scale = scaleOf(index);
      const expected =
        k === 0 ? 1 - 2 * beyond(shape, scale, 0.5) : beyond(shape, scale, k - 0.5) - beyond(shape, scale, k + 0.5);
      expect(Math.abs(weights[k] / 2 ** 36 - expected)).toBeLessThan(1e-8);
      expect(Math.abs(tails[k] / 2 ** 36 - beyond(shape, scale, k + 0.5))).toBeLessThan(2e-8);
    }
    expect([...weights, ...tails].every(Number.isSafeInteger)).toBe(true);
  });

  it('gives tables at every scale: frequencies from 1 that sum exactly, falling from the middle', () => {
    for (let index = 0; index < SCALES; index++) {
      const { weights, tails } = shapeWeights(shape, index);
      for (const precision of [12, 13, 14, 15]) {
        const { low, frequencies } = apportion(weights, tails, precision);
        expect(frequencies.reduce((a, b) => a + b)).toBe(2 ** precision);
        expect(frequencies.length).toBe(2 - 2 * low);
        expect(frequencies.every((f) => f >= 1 && f < 2 ** precision)).toBe(true);
        for (let i = 1 - low; i < frequencies.length - 1; i++) {
          // Units are dealt out one by one, so equal neighbours may differ by one.
          expect(frequencies[i]).toBeLessThanOrEqual(frequencies[i - 1] + 1);
        }
      }
    }
  });
});

it('the tables of every shape are the same on every machine', () => {
  let hash = 0x811c9dc5;
  for (const shape of SHAPES) {
    for (let index = 0; index < SCALES; index++) {
      const { weights, tails } = shapeWeights(shape, index);
      for (const frequency of apportion(weights, tails, 14).frequencies) hash = Math.imul(hash ^ frequency, 0x01000193);
    }
  }
  expect(hash >>> 0).toMatchInlineSnapshot(`2663504945`);
});

it('refuses shapes, precisions and scales that are not there', () => {
  const make = (shape: string, precision: number, scale: number) =>
    codeOf(() => new ParametricModel(shape as Shape, precision, Uint8Array.of(scale)));
  expect(make('laplace', 14, SCALES - 1)).toBe('none');
  expect(make('laplace', 14, SCALES)).toBe('INVALID_ARGUMENT');
  expect(make('cauchy', 14, 0)).toBe('INVALID_ARGUMENT');
  expect(make('laplace', 16, 0)).toBe('INVALID_ARGUMENT');
  expect(make('laplace', 12.5, 0)).toBe('INVALID_ARGUMENT');
});
