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

/** Analysis: the coefficients [vectors, components] of a tensor in units of `step`. */
export function analyze(transform: LinearTransform, values: Float32Array, step: number): Float64Array {
  const { layout, components, mean, basis } = transform;
  const coefficients = new Float64Array(vectorsOf(layout) * components);
  multiplyTransposed(centredVectors(layout, mean, values), basis, layout.length, coefficients, 1 / step);
  return coefficients;
}

/**
 * y = scale * x bᵀ for rows of `length` of x and of b. Four rows of x by two of b at a time: eight sums stay in registers,
 * and six loads serve sixteen operations.
 */
function multiplyTransposed(x: Float64Array, b: Float64Array, length: number, y: Float64Array, scale: number): void {
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
        s00 += u0 * p;
        s01 += u0 * q;
        s10 += u1 * p;
        s11 += u1 * q;
        s20 += u2 * p;
        s21 += u2 * q;
        s30 += u3 * p;
        s31 += u3 * q;
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
      for (let a = 0; a < length; a++) sum += x[v * length + a] * b[c * length + a];
      y[v * columns + c] = sum * scale;
    }
  }
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
