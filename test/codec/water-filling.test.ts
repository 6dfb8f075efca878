import { expect, it } from 'vitest';
import { stepForBits } from '../../src/codec/water-filling.ts';

it('finds the step of a rate: six decibels a bit where all components are in use', () => {
  const parts = [{ vectors: 3, variances: Float64Array.of(100, 100) }];
  const step = stepForBits(parts, 6 * 3);
  expect(0.5 * Math.log2((12 * 100) / step ** 2)).toBeCloseTo(3, 6);
  expect(stepForBits(parts, 6 * 4)).toBeCloseTo(step / 2, 6);
});

it('gives a step of 1 where nothing varies', () => {
  expect(stepForBits([{ vectors: 3, variances: Float64Array.of(0, 0) }], 10)).toBe(1);
});
