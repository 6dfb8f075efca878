import { MAX_SYMBOL } from '../entropy/index.ts';

/**
 * The uniform quantizer with one step: to the nearest integer, halves away from zero, saturating at ±2^29.
 * Training and inference call this same definition. `values` are in units of the step already.
 */
export function quantize(values: Float32Array | Float64Array, integers: Int32Array): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const rounded = value < 0 ? value - 0.5 : value + 0.5;
    integers[i] = rounded > MAX_SYMBOL ? MAX_SYMBOL : rounded < -MAX_SYMBOL ? -MAX_SYMBOL : rounded | 0;
  }
}

/** The integers of values in their own units: each times 1 / step, both rounded to float32, as klt's analysis has it. */
export function quantizeBy(step: number, values: Float32Array): Int32Array {
  const scale = Math.fround(1 / step);
  const integers = new Int32Array(values.length);
  quantize(
    values.map((value) => value * scale),
    integers,
  );
  return integers;
}

/** The value that an integer stands for. */
export function dequantize(integer: number, step: number): number {
  return integer * step;
}
