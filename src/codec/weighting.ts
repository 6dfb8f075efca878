import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { IsthmusError } from '../errors.ts';
import { type VectorLayout, vectorsOf } from './transform.ts';

/** A range of one tensor's vectors. */
export interface VectorRange {
  /** Number of the tensor in the feature. */
  readonly tensor: number;
  /** Of the whole tensor. */
  readonly layout: VectorLayout;
  /** Number of the first vector. */
  readonly first: number;
  readonly vectors: number;
}

/**
 * How much a loss feels errors of a range of vectors: the mean over features and vectors of g gᵀ, g being the gradient of the loss at a
 * vector. To first order an error e changes the loss by g · e, so that eᵀ E[g gᵀ] e is the mean square of that change; where the loss is a
 * cross-entropy of labels drawn from the model's own answers, E[g gᵀ] is the Fisher information, and half of it the Kullback-Leibler
 * divergence of the answers to second order (S. Amari, "Natural gradient works efficiently in learning", 1998).
 */
export interface VectorSensitivity extends VectorRange {
  /** [length, length], symmetric and not negative; all ranges in the same unit. */
  readonly moments: Float64Array;
}

/** A symmetric matrix whose square is how errors of vectors are weighted, and its inverse. */
export interface Metric {
  readonly root: Matrix;
  readonly inverse: Matrix;
}

/**
 * Share of a range's mean weight that every direction gets beside: moments of a few hundred gradients miss directions, and errors are not
 * small enough for the first order alone. On the tails of a ViT-Tiny 0.01 to 0.1 are equally good, 0.003 and 0.3 somewhat worse.
 */
const RIDGE = 0.05;
/** The same of the mean weight of all ranges, so that a range that no loss feels still has an inverse. */
const LEAST = 1e-6;

/**
 * Vectors that are coded apart because losses feel them differently: the one or two tokens before those of a square grid (class token,
 * distillation token) and the grid. Other tensors are one range.
 */
export function vectorRanges(tensor: number, layout: VectorLayout): VectorRange[] {
  const vectors = vectorsOf(layout);
  const first = layout.inner > 1 ? -1 : [0, 1, 2].findIndex((before) => isGrid(vectors - before));
  if (first <= 0) return [{ tensor, layout, first: 0, vectors }];
  return [
    { tensor, layout, first: 0, vectors: first },
    { tensor, layout, first, vectors: vectors - first },
  ];
}

function isGrid(vectors: number): boolean {
  return vectors >= 4 && Number.isInteger(Math.sqrt(vectors));
}

/**
 * For each range the coordinates in which squared error is what the loss feels. Weights are scaled so that their mean over all elements is
 * 1, which keeps quantization steps near the feature's units. Throws `INVALID_ARGUMENT` where all moments are zero or some are no numbers.
 */
export function euclidean(weighting: readonly VectorSensitivity[]): Metric[] {
  let sum = 0;
  let values = 0;
  for (const { layout, vectors, moments } of weighting) {
    sum += vectors * trace(moments, layout.length);
    values += vectors * layout.length;
  }
  const mean = sum / values;
  if (!(mean > 0 && mean < Infinity)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      'a weighting needs moments that are numbers and not all zero: the loss does not depend on the feature, or overflows',
    );
  }
  return weighting.map(({ layout: { length }, moments }) => {
    const weights = Matrix.from1DArray(length, length, moments).div(mean);
    const ridge = LEAST + (RIDGE * trace(moments, length)) / (mean * length);
    return metricOf(weights.add(Matrix.eye(length, length, ridge)));
  });
}

function trace(moments: Float64Array, length: number): number {
  let sum = 0;
  for (let a = 0; a < length; a++) sum += moments[a * (length + 1)];
  return sum;
}

function metricOf(weights: Matrix): Metric {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(weights, { assumeSymmetric: true });
  // Rounding may leave an eigenvalue below the ridge, even below zero.
  const roots = realEigenvalues.map((value) => Math.sqrt(Math.max(value, LEAST)));
  const scaled = (by: (root: number) => number) =>
    Matrix.mul(eigenvectorMatrix, 1).mulRowVector(roots.map(by)).mmul(eigenvectorMatrix.transpose());
  return { root: scaled((root) => root), inverse: scaled((root) => 1 / root) };
}
