import { type Kernels, kernels } from '../kernels/index.ts';
import { dequantize, quantize } from './quantizer.ts';

/**
 * How a tensor is a list of vectors: element (o, a, i) of [outer, length, inner] is component a of vector o * inner + i.
 * Tokens `[1, 197, 192]` are [197, 192, 1]; channels `[1, 64, 28, 28]` are [1, 64, 784].
 */
export interface VectorLayout {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/**
 * `components` rows of `length` that analyze, and as many that synthesize, around a mean of its own for every vector; of a tensor, or of a
 * range of its vectors. Immutable.
 */
export interface LinearTransform {
  /** Of the whole tensor. */
  readonly layout: VectorLayout;
  /** Number of the first vector that it is for, 0 where absent. */
  readonly first?: number;
  readonly components: number;
  /** [vectors, length], so that what is the same in every picture (a position's embedding, say) costs nothing. */
  readonly mean: Float32Array;
  /** [components, length]: a coefficient is the product of a row and the vector less its mean. */
  readonly basis: Float32Array;
  /** [components, length]: what a coefficient of 1 adds to the vector; the basis where absent, which is right for an orthonormal one. */
  readonly synthesis?: Float32Array;
}

/** Values that are synthesized at a time, so that they stay in a processor's cache. */
const PIECE_VALUES = 2 ** 16;
/** Vectors that go into their places side by side: two lines of a processor's cache in each row of the tensor. */
const SCATTERED = 32;

/** Number of vectors of a layout. */
export function vectorsOf(layout: VectorLayout): number {
  return layout.outer * layout.inner;
}

/** Number of vectors that a transform is for. */
export function vectorCount({ mean, layout }: LinearTransform): number {
  return mean.length / layout.length;
}

/** A tensor's vectors from number `first` on, one after the other, less their means, into `vectors` (as long as `mean`). */
export function centre<T extends Float32Array | Float64Array>(
  layout: VectorLayout,
  mean: Float32Array,
  values: Float32Array,
  vectors: T,
  first = 0,
): T {
  gather(layout, first, values, vectors);
  for (let i = 0; i < vectors.length; i++) vectors[i] -= mean[i];
  return vectors;
}

/** A tensor's vectors from number `first` on, one after the other, as many as there is room for in `vectors`. */
function gather(
  { outer, length, inner }: VectorLayout,
  first: number,
  values: Float32Array,
  vectors: Float32Array | Float64Array,
): void {
  if (inner === 1) {
    vectors.set(values.subarray(first * length, first * length + vectors.length));
    return;
  }
  const end = first + vectors.length / length;
  for (let o = 0; o < outer; o++) {
    // What of the range lies in this row of the layout.
    const from = Math.max(0, first - o * inner);
    const to = Math.min(inner, end - o * inner);
    const at = (o * inner - first) * length;
    for (let a = 0; a < length; a++) {
      const row = (o * length + a) * inner;
      for (let i = from; i < to; i++) vectors[at + i * length + a] = values[row + i];
    }
  }
}

/*
 * Both directions work in float32, every product and every sum rounded, in one order: sums run by rising element or component. So the
 * kernels in WebAssembly and the plain code below give the same bits on every machine, integers and values both.
 */

/** Analysis: the integers [vectors, components] of the coefficients that a tensor's vectors have, quantized by `step`. */
export function analyze(transform: LinearTransform, values: Float32Array, step: number): Int32Array {
  const { layout, mean, first } = transform;
  const integers = new Int32Array(vectorCount(transform) * transform.components);
  const twin = kernels();
  if (!twin || !analyzeByKernel(twin, transform, values, step, integers)) {
    const vectors = centre(layout, mean, values, new Float32Array(mean.length), first);
    const coefficients = new Float32Array(integers.length);
    multiplyTransposed(vectors, transform.basis, layout.length, coefficients, Math.fround(1 / step));
    quantize(coefficients, integers);
  }
  return integers;
}

/**
 * Synthesis: a tensor from integers [vectors, components], zero where the transform has no vectors. Zeros among the integers, which are
 * most, cost nothing.
 */
export function synthesize(transform: LinearTransform, integers: Int32Array, step: number): Float32Array {
  const { layout } = transform;
  const values = new Float32Array(vectorsOf(layout) * layout.length);
  synthesizeVectors(transform, 0, integers, step, values);
  return values;
}

/**
 * The same for the transform's vectors from its `from`-th on, as many as there are integers for: their elements go into their places in the
 * tensor `values`, and nothing else of it is touched.
 */
export function synthesizeVectors(
  transform: LinearTransform,
  from: number,
  integers: Int32Array,
  step: number,
  values: Float32Array,
): void {
  const { layout, components, mean, first = 0 } = transform;
  const { length } = layout;
  const count = integers.length / components;
  const most = Math.max(1, Math.floor(PIECE_VALUES / length));
  const twin = kernels();
  for (let v = 0; v < count; v += most) {
    const some = integers.subarray(v * components, (v + most) * components);
    const means = mean.subarray((from + v) * length, (from + Math.min(v + most, count)) * length);
    const byKernel = twin && synthesizeByKernel(twin, transform, means, some, step);
    scatter(layout, byKernel ?? addRows(transform, means, some, step), first + from + v, values);
  }
}

/** Puts vectors, the first of them number `first`, into their places in a tensor. */
function scatter({ length, inner }: VectorLayout, vectors: Float32Array, first: number, values: Float32Array): void {
  if (inner === 1) {
    values.set(vectors, first * length);
    return;
  }
  const count = vectors.length / length;
  for (let v = 0; v < count; ) {
    const i = (first + v) % inner;
    const beside = Math.min(SCATTERED, inner - i, count - v);
    let to = (first + v - i) * length + i;
    for (let a = 0; a < length; a++, to += inner) {
      for (let k = 0, at = v * length + a; k < beside; k++, at += length) values[to + k] = vectors[at];
    }
    v += beside;
  }
}

/**
 * y = scale * x bᵀ for rows of `length` of x and of b. Four rows of x by two of b at a time: eight sums stay in registers,
 * and six loads serve sixteen operations.
 */
function multiplyTransposed(x: Float32Array, b: Float32Array, length: number, y: Float32Array, scale: number): void {
  const { fround } = Math;
  const rows = x.length / length;
  const columns = b.length / length;
  const fullRows = rows - (rows % 4);
  const fullColumns = columns - (columns % 2);
  for (let v = 0; v < fullRows; v += 4) {
    const x0 = v * length;
    const x1 = x0 + length;
    const x2 = x1 + length;
    const x3 = x2 + length;
    for (let c = 0; c < fullColumns; c += 2) {
      const b0 = c * length;
      const b1 = b0 + length;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      let s20 = 0;
      let s21 = 0;
      let s30 = 0;
      let s31 = 0;
      for (let a = 0; a < length; a++) {
        const p = b[b0 + a];
        const q = b[b1 + a];
        const u0 = x[x0 + a];
        const u1 = x[x1 + a];
        const u2 = x[x2 + a];
        const u3 = x[x3 + a];
        s00 = fround(s00 + fround(u0 * p));
        s01 = fround(s01 + fround(u0 * q));
        s10 = fround(s10 + fround(u1 * p));
        s11 = fround(s11 + fround(u1 * q));
        s20 = fround(s20 + fround(u2 * p));
        s21 = fround(s21 + fround(u2 * q));
        s30 = fround(s30 + fround(u3 * p));
        s31 = fround(s31 + fround(u3 * q));
      }
      const at = v * columns + c;
      y[at] = s00 * scale;
      y[at + 1] = s01 * scale;
      y[at + columns] = s10 * scale;
      y[at + columns + 1] = s11 * scale;
      y[at + 2 * columns] = s20 * scale;
      y[at + 2 * columns + 1] = s21 * scale;
      y[at + 3 * columns] = s30 * scale;
      y[at + 3 * columns + 1] = s31 * scale;
    }
  }
  for (let v = 0; v < rows; v++) {
    for (let c = v < fullRows ? fullColumns : 0; c < columns; c++) {
      let sum = 0;
      for (let a = 0; a < length; a++) sum = fround(sum + fround(x[v * length + a] * b[c * length + a]));
      y[v * columns + c] = sum * scale;
    }
  }
}

/** means + (integers * step) times the rows that synthesize; four components at a time, so that sums stay in registers. */
function addRows(transform: LinearTransform, means: Float32Array, integers: Int32Array, step: number): Float32Array {
  const { fround } = Math;
  const { components, synthesis: basis = transform.basis } = transform;
  const { length } = transform.layout;
  const rows = new Int32Array(components);
  const amplitudes = new Float32Array(components);
  const vectors = means.slice();
  for (let v = 0, i = 0; v < vectors.length; v += length) {
    let count = 0;
    for (let c = 0; c < components; c++, i++) {
      if (integers[i] === 0) continue;
      rows[count] = c * length;
      amplitudes[count++] = dequantize(integers[i], step);
    }
    let k = 0;
    for (; k + 4 <= count; k += 4) {
      const r0 = rows[k];
      const r1 = rows[k + 1];
      const r2 = rows[k + 2];
      const r3 = rows[k + 3];
      const y0 = amplitudes[k];
      const y1 = amplitudes[k + 1];
      const y2 = amplitudes[k + 2];
      const y3 = amplitudes[k + 3];
      for (let a = 0; a < length; a++) {
        let x = fround(vectors[v + a] + fround(y0 * basis[r0 + a]));
        x = fround(x + fround(y1 * basis[r1 + a]));
        x = fround(x + fround(y2 * basis[r2 + a]));
        vectors[v + a] = x + fround(y3 * basis[r3 + a]);
      }
    }
    for (; k < count; k++) {
      for (let a = 0; a < length; a++) vectors[v + a] += fround(amplitudes[k] * basis[rows[k] + a]);
    }
  }
  // Only infinities of both signs give a NaN.
  for (let i = 0; i < vectors.length; i++) if (Number.isNaN(vectors[i])) vectors[i] = 0;
  return vectors;
}

/** Images that kernels keep: the means and then the basis by elements, rows padded to 8; or the rows that synthesize, padded to 4. */
const analysisImages = new WeakMap<LinearTransform, object>();

function analyzeByKernel(
  twin: Kernels,
  transform: LinearTransform,
  values: Float32Array,
  step: number,
  integers: Int32Array,
): boolean {
  const { layout, components, mean, first = 0 } = transform;
  let owner = analysisImages.get(transform);
  if (!owner) {
    owner = {};
    analysisImages.set(transform, owner);
  }
  const image = twin.keep(owner, () => analysisImage(transform));
  if (image === null) return false;
  const x = twin.room(4 * (mean.length + integers.length) + 16);
  if (x === null) return false;
  const out = x + 4 * mean.length + 16;
  gather(layout, first, values, twin.floats.subarray(x / 4, x / 4 + mean.length));
  const basis = image + 4 * mean.length;
  twin.run.subtract(x, image, mean.length);
  twin.run.analyze(x, basis, out, vectorCount(transform), layout.length, components, 1 / step);
  integers.set(twin.integers.subarray(out / 4, out / 4 + integers.length));
  return true;
}

function analysisImage({ layout, components, mean, basis }: LinearTransform): Uint8Array {
  const width = (components + 7) & ~7;
  const image = new Float32Array(mean.length + layout.length * width);
  image.set(mean);
  for (let c = 0; c < components; c++) {
    for (let a = 0; a < layout.length; a++) image[mean.length + a * width + c] = basis[c * layout.length + a];
  }
  return new Uint8Array(image.buffer);
}

/** The vectors, in the kernels' memory until its next use; null where the kernels lack the memory. */
function synthesizeByKernel(
  twin: Kernels,
  transform: LinearTransform,
  means: Float32Array,
  integers: Int32Array,
  step: number,
): Float32Array | null {
  const { layout, components } = transform;
  const basis = twin.keep(transform, () => synthesisImage(transform));
  if (basis === null) return null;
  const given = twin.room(4 * (integers.length + means.length) + 16 + 8 * components);
  if (given === null) return null;
  const out = given + 4 * integers.length;
  const used = out + 4 * means.length;
  const vectors = twin.floats.subarray(out / 4, used / 4);
  twin.integers.set(integers, given / 4);
  // In place: the kernel reads a mean before it writes the value there.
  vectors.set(means);
  twin.run.synthesize(given, out, basis, out, means.length / layout.length, layout.length, components, step, used);
  return vectors;
}

function synthesisImage({ layout, components, basis, synthesis = basis }: LinearTransform): Uint8Array {
  const width = (layout.length + 3) & ~3;
  const image = new Float32Array(components * width);
  for (let c = 0; c < components; c++) {
    image.set(synthesis.subarray(c * layout.length, (c + 1) * layout.length), c * width);
  }
  return new Uint8Array(image.buffer);
}
