import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { IsthmusError } from '../errors.ts';
import { asTensor, elements, type TensorLike, toFloat32 } from '../tensor.ts';
import type { Codec } from './codec.ts';
import { allFinite } from './feature.ts';
import { type CodecSource, kltCodec } from './file.ts';
import { type KltModel, neighbours, SeenIntegers } from './fit-model.ts';
import type { KltPart } from './klt.ts';
import { analyze, centre, type LinearTransform, type VectorLayout, vectorCount, vectorsOf } from './transform.ts';
import { stepForBits } from './water-filling.ts';
import { euclidean, type Metric, type VectorRange, type VectorSensitivity } from './weighting.ts';

/** Features to learn from, the same ones at each call: for each, the tensors at the cut in order, or several one after the other along axis 0. */
export type FeatureStream = () => AsyncIterable<readonly TensorLike[]>;

/** Vectors longer than this are split into equal pieces: an eigenbasis of more takes minutes and has too few samples. */
const LONGEST_VECTOR = 1024;

/** What one pass over features tells of one tensor, or of a range of its vectors: means and the whole eigenbasis, components by falling variance. */
export interface KltStatistics {
  /** Number of the tensor in the feature. */
  readonly tensor: number;
  readonly transform: LinearTransform;
  /** Variance of each component's coefficients: in the feature's units squared, on average over vectors where they are weighted. */
  readonly variances: Float64Array;
  /** Features that were seen. */
  readonly count: number;
}

/**
 * The vectors of a feature tensor: channels (axis 1) where there are space axes, else the last axis. `axis` chooses another.
 * Throws `INVALID_ARGUMENT` for an axis that is not there.
 */
export function vectorLayout(shape: readonly number[], axis = shape.length >= 4 ? 1 : shape.length - 1): VectorLayout {
  if (shape.length === 0) return { outer: 1, length: 1, inner: 1 };
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
    throw new IsthmusError('INVALID_ARGUMENT', `axis ${axis} is not one of the ${shape.length} axes of [${shape}]`);
  }
  let pieces = 1;
  while (shape[axis] / pieces > LONGEST_VECTOR || shape[axis] % pieces !== 0) pieces++;
  return {
    outer: elements(shape.slice(0, axis)) * pieces,
    length: shape[axis] / pieces,
    inner: elements(shape.slice(axis + 1)),
  };
}

/**
 * First pass: means, covariances and eigenbases of each tensor of the feature, or of each range of a `weighting`, whose vectors are then the
 * weighting's own. A few hundred features are enough.
 * With a weighting, components are orthogonal and steps equal in coordinates in which squared error is what the loss feels
 * ({@link VectorSensitivity}): the coefficients of a vector x are U T (x - mean), T T = E[g gᵀ] and U the eigenvectors of T C T, C being the
 * covariance; synthesis is the inverse, not the transpose.
 * Throws `TENSOR_INVALID` for a feature of another shape or with a value that is not finite, `INVALID_ARGUMENT` for none, and for a
 * weighting that is all zeros.
 */
export async function kltStatistics(
  source: CodecSource,
  stream: FeatureStream,
  options: { axis?: number; weighting?: readonly VectorSensitivity[]; signal?: AbortSignal } = {},
): Promise<KltStatistics[]> {
  const { axis, weighting } = options;
  const ranges = weighting ?? source.features.map(({ shape }, tensor) => wholeRange(tensor, vectorLayout(shape, axis)));
  const moments = ranges.map(momentsOf);
  for await (const values of samples(source, stream, options.signal)) {
    for (const [i, { tensor }] of ranges.entries()) moments[i].add(values[tensor]);
  }
  const metrics = weighting && euclidean(weighting);
  return moments.map((moment, i) => moment.finish(metrics?.[i]));
}

function wholeRange(tensor: number, layout: VectorLayout): VectorRange {
  return { tensor, layout, first: 0, vectors: vectorsOf(layout) };
}

/**
 * Second pass, one for each step: a codec whose entropy models have learnt what the first pass's transforms make of the features.
 * Components that never leave zero at a step are left out of its codec; leaving out more, where that costs less distortion than its bits
 * would buy, saved bytes and lost as much score (agreement on 600 photos). `model` is `predictive` unless told: 15 to 20 % fewer bytes on
 * tokens of vision transformers than `static`, whose tables code several times faster. Throws as {@link kltStatistics}.
 */
export async function kltCodecs(
  source: CodecSource,
  statistics: readonly KltStatistics[],
  stream: FeatureStream,
  steps: readonly number[],
  options: { model?: KltModel; signal?: AbortSignal } = {},
): Promise<Codec[]> {
  for (const step of steps) {
    if (!(step > 0 && step < Infinity))
      throw new IsthmusError('INVALID_ARGUMENT', `a quantization step is above 0, got ${step}`);
  }
  const codecs: Codec[] = [];
  for (const step of steps) {
    const seen = statistics.map(({ transform }) => new SeenIntegers(transform.components));
    for await (const values of samples(source, stream, options.signal)) {
      for (const [i, { tensor, transform }] of statistics.entries()) {
        seen[i].add(analyze(transform, values[tensor], step));
      }
    }
    const parts = statistics.map(({ tensor, transform }, i): KltPart => {
      const { layout } = transform;
      const components = seen[i].used();
      const rows = components * layout.length;
      const basis = transform.basis.subarray(0, rows);
      const synthesis = transform.synthesis?.subarray(0, rows);
      // Axes of space are a grid.
      const width = layout.inner > 1 ? source.features[tensor].shape.at(-1) : undefined;
      const back = neighbours(vectorCount(transform), width);
      return {
        tensor,
        transform: { ...transform, components, basis, synthesis },
        step,
        model: seen[i].model(components, options.model ?? 'predictive', back),
      };
    });
    codecs.push(kltCodec(source, parts));
  }
  return codecs;
}

/**
 * The step at which Gaussian components of these variances would take `bits` bits an element ({@link stepForBits}). Real features, with
 * their heavier tails, come out somewhat cheaper. `bits` is above 0.
 */
export function stepForRate(statistics: readonly KltStatistics[], bits: number): number {
  if (!(bits > 0 && bits <= 24))
    throw new IsthmusError('INVALID_ARGUMENT', `bits an element are above 0 and at most 24, got ${bits}`);
  const all = statistics.reduce((sum, { transform }) => sum + transform.mean.length, 0);
  const spectra = statistics.map(({ transform, variances }) => ({ vectors: vectorCount(transform), variances }));
  // Below the normal float32 numbers no codec has a step; features that small are their mean.
  return Math.max(2 ** -126, Number(stepForBits(spectra, bits * all).toPrecision(6)));
}

/** Each feature of the stream at batch 1, as checked float32 values, one array a tensor. */
async function* samples(
  source: CodecSource,
  stream: FeatureStream,
  signal?: AbortSignal,
): AsyncGenerator<Float32Array[]> {
  for await (const item of stream()) {
    if (signal?.aborted) throw new IsthmusError('ABORTED', 'fitting was cancelled', { cause: signal.reason });
    const tensors = item.map(asTensor);
    // Windows of an image, or tokens before the batch, make axis 0 longer than 1 at batch 1.
    const batch = (tensors[0]?.shape[0] ?? 1) / (source.features[0].shape[0] ?? 1);
    const values = source.features.map(({ name, shape }, i) => {
      const tensor = tensors[i];
      const rest = tensor?.shape.slice(1).join() === shape.slice(1).join();
      if (!rest || !Number.isInteger(batch) || tensor.data.length !== batch * elements(shape)) {
        throw new IsthmusError(
          'TENSOR_INVALID',
          `a feature to fit on has '${name}' as [${tensor?.shape}], the codec is for [${shape}], or several along axis 0`,
        );
      }
      const floats = toFloat32(tensor);
      if (!allFinite(floats)) {
        throw new IsthmusError('TENSOR_INVALID', `a feature to fit on holds a value in '${name}' that is not finite`);
      }
      return floats;
    });
    for (let b = 0; b < batch; b++) {
      yield values.map((floats) => floats.subarray((b * floats.length) / batch, ((b + 1) * floats.length) / batch));
    }
  }
}

/** Running sums of a range of vectors; taken around the first feature, so that nothing cancels. */
function momentsOf({ tensor, layout, first, vectors }: VectorRange): {
  add(values: Float32Array): void;
  finish(metric?: Metric): KltStatistics;
} {
  const { length } = layout;
  const sums = new Float64Array(vectors * length);
  const squares = new Float64Array(length * length);
  let origin: Float32Array | null = null;
  let count = 0;
  return {
    add(values) {
      const x = new Float64Array(sums.length);
      origin ??= Float32Array.from(centre(layout, new Float32Array(sums.length), values, x, first));
      centre(layout, origin, values, x, first);
      for (let i = 0; i < x.length; i++) sums[i] += x[i];
      addSquares(squares, x, length);
      count++;
    },
    finish(metric) {
      if (origin === null) throw new IsthmusError('INVALID_ARGUMENT', 'there are no features to fit on');
      const mean = new Float32Array(vectors * length);
      for (let i = 0; i < mean.length; i++) mean[i] = origin[i] + sums[i] / count;
      const products = new Float64Array(length * length);
      addSquares(products, sums, length);
      const covariance = Matrix.zeros(length, length);
      const samples = vectors * Math.max(1, count - 1);
      for (let a = 0; a < length; a++) {
        for (let b = 0; b <= a; b++) {
          const value = (squares[a * length + b] - products[a * length + b] / count) / samples;
          covariance.set(a, b, value);
          covariance.set(b, a, value);
        }
      }
      const seen = metric ? metric.root.mmul(covariance).mmul(metric.root) : covariance;
      const { rows, variances } = eigenbasis(seen);
      const basis = floats(metric ? rows.mmul(metric.root) : rows);
      const synthesis = metric && floats(rows.mmul(metric.inverse));
      return { tensor, transform: { layout, first, components: length, mean, basis, synthesis }, variances, count };
    },
  };
}

/** Adds the lower triangle of the sum of x xᵀ over the rows of `x`, four rows at a time. */
export function addSquares(squares: Float64Array, x: Float64Array, length: number): void {
  const rows = x.length / length;
  const padded = Math.ceil(rows / 4) * 4;
  const zero = new Float64Array(length);
  const row = (v: number): Float64Array => (v < rows ? x.subarray(v * length, (v + 1) * length) : zero);
  for (let v = 0; v < padded; v += 4) {
    const [x0, x1, x2, x3] = [row(v), row(v + 1), row(v + 2), row(v + 3)];
    for (let a = 0; a < length; a++) {
      const [p, q, r, s] = [x0[a], x1[a], x2[a], x3[a]];
      const from = a * length;
      for (let b = 0; b <= a; b++) squares[from + b] += p * x0[b] + q * x1[b] + r * x2[b] + s * x3[b];
    }
  }
}

/** Eigenvectors as rows by falling eigenvalue, each with its largest entry positive so that the basis is unique. */
function eigenbasis(covariance: Matrix): { rows: Matrix; variances: Float64Array } {
  const length = covariance.rows;
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const order = realEigenvalues.map((_, i) => i).sort((i, j) => realEigenvalues[j] - realEigenvalues[i]);
  const rows = Matrix.zeros(length, length);
  for (const [c, column] of order.entries()) {
    let largest = 0;
    for (let a = 0; a < length; a++) {
      const value = eigenvectorMatrix.get(a, column);
      if (Math.abs(value) > Math.abs(largest)) largest = value;
    }
    for (let a = 0; a < length; a++) rows.set(c, a, Math.sign(largest) * eigenvectorMatrix.get(a, column));
  }
  return { rows, variances: Float64Array.from(order, (i) => Math.max(0, realEigenvalues[i])) };
}

function floats(matrix: Matrix): Float32Array {
  return Float32Array.from(matrix.to1DArray());
}
