import fc from 'fast-check';
import { expect, it } from 'vitest';
import { weightedKlt } from '../../../src/train/codec/start.ts';
import { normals, randomOf } from '../../../src/train/random.ts';

/** A random symmetric positive matrix. */
function positive(length: number, ...key: (string | number)[]): Float64Array {
  const mix = normals(randomOf(...key), length * length, 1);
  return Float64Array.from({ length: length * length }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < length; k++) sum += mix[Math.floor(i / length) * length + k] * mix[(i % length) * length + k];
    return sum;
  });
}

/** xᵀ M x */
function form(matrix: Float64Array, x: ArrayLike<number>): number {
  let sum = 0;
  for (let a = 0; a < x.length; a++) for (let b = 0; b < x.length; b++) sum += x[a] * matrix[a * x.length + b] * x[b];
  return sum;
}

it('makes coordinates in which the square of an error is what the loss feels, uncorrelated, of the variances it tells', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 8 }), fc.nat(1000), (length, seed) => {
      const covariance = positive(length, 'covariance', seed);
      const sensitivity = positive(length, 'sensitivity', seed);
      const mean = new Float64Array(length);
      const { analysis, synthesis, variances } = weightedKlt({ mean, covariance, sensitivity }, length);
      // The floor under the sensitivity.
      let trace = 0;
      for (let i = 0; i < length; i++) trace += sensitivity[i * (length + 1)];
      const felt = sensitivity.map((value, i) => (i % (length + 1) === 0 ? value + (0.02 * trace) / length : value));
      const column = (c: number) => Array.from({ length }, (_, a) => analysis[a * length + c]);
      const row = (c: number) => synthesis.subarray(c * length, (c + 1) * length);
      for (let c = 0; c < length; c++) {
        expect(form(felt, row(c))).toBeCloseTo(1, 3);
        expect(form(covariance, column(c)) / variances[0]).toBeCloseTo(variances[c] / variances[0], 3);
        for (let d = 0; d < length; d++) {
          let sum = 0;
          for (let a = 0; a < length; a++) sum += row(c)[a] * analysis[a * length + d];
          expect(sum).toBeCloseTo(c === d ? 1 : 0, 3);
        }
        if (c > 0) expect(variances[c]).toBeLessThanOrEqual(variances[c - 1]);
      }
    }),
    { numRuns: 30, seed: 1 },
  );
});
