import { dequantize } from './quantizer.ts';

/**
 * How a tensor is a list of vectors: element (o, a, i) of [outer, length, inner] is component a of vector o * inner + i.
 * Tokens `[1, 197, 192]` are [197, 192, 1]; channels `[1, 64, 28, 28]` are [1, 64, 784].
 */
export interface VectorLayout {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/** An orthonormal basis, `components` rows of `length`, around a mean of its own for every vector of the tensor. */
export interface LinearTransform {
  readonly layout: VectorLayout;
  readonly components: number;
  /** [vectors, length], so that what is the same in every picture (a position's embedding, say) costs nothing. */
  readonly mean: Float32Array;
  /** [components, length], float32 values kept as float64, which multiply without a conversion. */
  readonly basis: Float64Array;
}

/** Number of vectors of a layout. */
export function vectorsOf(layout: VectorLayout): number {
  return layout.outer * layout.inner;
}

/** A tensor's vectors one after the other, less their means; float64, so that the sums that follow round once. */
export function centredVectors(layout: VectorLayout, mean: Float32Array, values: Float32Array): Float64Array {
  const { outer, length, inner } = layout;
  const vectors = new Float64Array(values.length);
  if (inner === 1) {
    for (let i = 0; i < values.length; i++) vectors[i] = values[i] - mean[i];
    return vectors;
  }
  for (let o = 0; o < outer; o++) {
    for (let a = 0; a < length; a++) {
      const row = (o * length + a) * inner;
      for (let i = 0; i < inner; i++) {
        const at = (o * inner + i) * length + a;
        vectors[at] = values[row + i] - mean[at];
      }
    }
  }
  return vectors;
}

/**
 * Analysis: the coefficients [vectors, components] of a tensor in units of `step`.
 * Four vectors by two components at a time: eight sums stay in registers, and each load serves two or four of them.
 */
export function analyze(transform: LinearTransform, values: Float32Array, step: number): Float64Array {
  const { layout, components, mean, basis: b } = transform;
  const { length } = layout;
  const count = vectorsOf(layout);
  const x = centredVectors(layout, mean, values);
  const scale = 1 / step;
  const y = new Float64Array(count * components);
  let v = 0;
  for (; v + 4 <= count; v += 4) {
    const [x0, x1, x2, x3] = [v * length, (v + 1) * length, (v + 2) * length, (v + 3) * length];
    let c = 0;
    for (; c + 2 <= components; c += 2) {
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
        s00 += x[x0 + a] * p;
        s01 += x[x0 + a] * q;
        s10 += x[x1 + a] * p;
        s11 += x[x1 + a] * q;
        s20 += x[x2 + a] * p;
        s21 += x[x2 + a] * q;
        s30 += x[x3 + a] * p;
        s31 += x[x3 + a] * q;
      }
      const at = v * components + c;
      y[at] = s00 * scale;
      y[at + 1] = s01 * scale;
      y[at + components] = s10 * scale;
      y[at + components + 1] = s11 * scale;
      y[at + 2 * components] = s20 * scale;
      y[at + 2 * components + 1] = s21 * scale;
      y[at + 3 * components] = s30 * scale;
      y[at + 3 * components + 1] = s31 * scale;
    }
    for (; c < components; c++) {
      for (let w = v; w < v + 4; w++) y[w * components + c] = dot(x, w * length, b, c * length, length) * scale;
    }
  }
  for (; v < count; v++) {
    for (let c = 0; c < components; c++) y[v * components + c] = dot(x, v * length, b, c * length, length) * scale;
  }
  return y;
}

/** Synthesis, the transpose: a tensor from its integers [vectors, components]. Zeros, which are most, cost nothing. */
export function synthesize(transform: LinearTransform, integers: Int32Array, step: number): Float32Array {
  const { layout, components, mean, basis } = transform;
  const { outer, length, inner } = layout;
  const values = new Float32Array(mean.length);
  const sum = new Float64Array(length);
  const used = new Int32Array(components);
  for (let v = 0; v < outer * inner; v++) {
    for (let a = 0; a < length; a++) sum[a] = mean[v * length + a];
    let count = 0;
    for (let c = 0; c < components; c++) if (integers[v * components + c] !== 0) used[count++] = c;
    let k = 0;
    for (; k + 4 <= count; k += 4) {
      const [c0, c1, c2, c3] = [used[k], used[k + 1], used[k + 2], used[k + 3]];
      const y0 = dequantize(integers[v * components + c0], step);
      const y1 = dequantize(integers[v * components + c1], step);
      const y2 = dequantize(integers[v * components + c2], step);
      const y3 = dequantize(integers[v * components + c3], step);
      const [b0, b1, b2, b3] = [c0 * length, c1 * length, c2 * length, c3 * length];
      for (let a = 0; a < length; a++) {
        sum[a] += y0 * basis[b0 + a] + y1 * basis[b1 + a] + y2 * basis[b2 + a] + y3 * basis[b3 + a];
      }
    }
    for (; k < count; k++) {
      const y = dequantize(integers[v * components + used[k]], step);
      const from = used[k] * length;
      for (let a = 0; a < length; a++) sum[a] += y * basis[from + a];
    }
    const first = Math.floor(v / inner) * length * inner + (v % inner);
    for (let a = 0; a < length; a++) values[first + a * inner] = sum[a];
  }
  return values;
}

function dot(x: Float64Array, at: number, b: Float64Array, from: number, length: number): number {
  let sum = 0;
  for (let a = 0; a < length; a++) sum += x[at + a] * b[from + a];
  return sum;
}
