import { dequantize, quantize } from './quantizer.ts';
import { centre, type LinearTransform, vectorsOf } from './transform.ts';

/*
 * The arithmetic of codec files of version 1: float64. Codecs made since work in float32 (transform.ts); what was written before goes on
 * giving the same packets and values.
 */

/** Analysis as in version 1: the integers [vectors, components] of a tensor's coefficients, quantized by `step`. */
export function analyzeV1(transform: LinearTransform, values: Float32Array, step: number): Int32Array {
  const { layout, components, mean, basis } = transform;
  const { length } = layout;
  const vectors = centre(layout, mean, values, new Float64Array(values.length));
  const coefficients = new Float64Array(vectorsOf(layout) * components);
  const scale = 1 / step;
  for (let v = 0, at = 0; v < vectors.length; v += length) {
    for (let c = 0; c < components; c++, at++) {
      let sum = 0;
      for (let a = 0; a < length; a++) sum += vectors[v + a] * basis[c * length + a];
      coefficients[at] = sum * scale;
    }
  }
  const integers = new Int32Array(coefficients.length);
  quantize(coefficients, integers);
  return integers;
}

/** Synthesis as in version 1: four components at a time, those that are zero left out. */
export function synthesizeV1(transform: LinearTransform, integers: Int32Array, step: number): Float32Array {
  const { layout, components, mean, basis } = transform;
  const { outer, length, inner } = layout;
  const values = new Float32Array(mean.length);
  const sum = new Float64Array(length);
  const used = new Int32Array(components);
  const amplitudes = new Float64Array(components);
  for (let v = 0; v < outer * inner; v++) {
    for (let a = 0; a < length; a++) sum[a] = mean[v * length + a];
    let count = 0;
    for (let c = 0; c < components; c++) {
      const integer = integers[v * components + c];
      if (integer === 0) continue;
      used[count] = c * length;
      amplitudes[count++] = dequantize(integer, step);
    }
    let k = 0;
    for (; k + 4 <= count; k += 4) {
      const [b0, b1, b2, b3] = used.subarray(k, k + 4);
      const [y0, y1, y2, y3] = amplitudes.subarray(k, k + 4);
      for (let a = 0; a < length; a++) {
        sum[a] += y0 * basis[b0 + a] + y1 * basis[b1 + a] + y2 * basis[b2 + a] + y3 * basis[b3 + a];
      }
    }
    for (; k < count; k++) {
      for (let a = 0; a < length; a++) sum[a] += amplitudes[k] * basis[used[k] + a];
    }
    const first = Math.floor(v / inner) * length * inner + (v % inner);
    for (let a = 0; a < length; a++) values[first + a * inner] = sum[a];
  }
  return values;
}
