import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { LinearStart } from './transform.ts';

/** Second moments of vectors of one kind, as they are added up: covariance, and how the loss feels a change. */
export interface Moments {
  /** [vectors, length]: mean of each vector. */
  readonly mean: Float64Array;
  /** [length, length]: covariance around these means, over all vectors. */
  readonly covariance: Float64Array;
  /** [length, length]: mean of g gᵀ over all vectors, g the gradient of the loss with sampled answers: Fisher information. */
  readonly sensitivity: Float64Array;
}

/** Share of the mean sensitivity that every direction has at least, so that none is thrown away for lack of samples. */
const FLOOR = 0.02;

/**
 * The linear maps under which a uniform quantizer loses least: coordinates T = sensitivity^(1/2) in which an error's square is
 * what the loss feels (to second order half of it, in nats), and in these the Karhunen-Loeve transform. Components by falling
 * variance; `components` of them are kept. Latents are in root nats; see {@link scaled}.
 */
export function weightedKlt({ mean, covariance, sensitivity }: Moments, components: number): LinearStart {
  const length = Math.sqrt(covariance.length);
  const felt = symmetric(sensitivity, length);
  const trace = felt.trace();
  for (let i = 0; i < length; i++) felt.set(i, i, felt.get(i, i) + (FLOOR * trace) / length + Number.MIN_VALUE);
  const { vectors, values } = eigen(felt);
  const power = (exponent: number) => {
    const diagonal = Matrix.diag(values.map((value) => Math.max(value, (FLOOR * trace) / length / 2) ** exponent));
    return vectors.mmul(diagonal).mmul(vectors.transpose());
  };
  const root = power(0.5);
  const inner = eigen(root.mmul(symmetric(covariance, length)).mmul(root));
  const basis = inner.vectors.subMatrix(0, length - 1, 0, components - 1);
  return {
    mean: Float32Array.from(mean),
    analysis: Float32Array.from(root.mmul(basis).to1DArray()),
    synthesis: Float32Array.from(basis.transpose().mmul(power(-0.5)).to1DArray()),
    variances: Float64Array.from(inner.values.slice(0, components), (value) => Math.max(0, value)),
  };
}

/** The same maps with latents in units of `step`. */
export function scaled({ mean, analysis, synthesis, variances }: LinearStart, step: number): LinearStart {
  return {
    mean,
    analysis: analysis.map((value) => value / step),
    synthesis: synthesis.map((value) => value * step),
    variances: variances.map((value) => value / (step * step)),
  };
}

function symmetric(values: Float64Array, length: number): Matrix {
  return Matrix.from1DArray(length, length, Array.from(values));
}

/** Eigenvectors as columns by falling eigenvalue, each with its largest entry positive so that they are unique. */
function eigen(matrix: Matrix): { vectors: Matrix; values: number[] } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const order = realEigenvalues.map((_, i) => i).sort((i, j) => realEigenvalues[j] - realEigenvalues[i]);
  const vectors = new Matrix(matrix.rows, matrix.rows);
  for (const [to, from] of order.entries()) {
    const column = eigenvectorMatrix.getColumn(from);
    const largest = column.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    vectors.setColumn(to, largest < 0 ? column.map((value) => -value) : column);
  }
  return { vectors, values: order.map((i) => realEigenvalues[i]) };
}
