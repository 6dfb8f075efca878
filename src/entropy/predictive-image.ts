import { bankImage } from './image.ts';
import type { PredictiveModel } from './predictive.ts';

/** Terms, components, width, the bank's offset, and eight places for how far back terms lie. */
const HEADER = 48;

/** A predictive model as the kernels read it; the layout is told at the head of src/kernels/assembly/predictive.ts. */
export function predictiveImage({ weights, bank }: PredictiveModel): Uint8Array {
  const { back, mean, bias, scale } = weights;
  const components = bias.length;
  const width = (components + 3) & ~3;
  const tables = bankImage(bank);
  const offset = (HEADER + 4 * width * (2 + 3 * back.length) + 15) & ~15;
  const image = new Uint8Array(offset + tables.length);
  const numbers = new Int32Array(image.buffer, 0, offset / 4);
  numbers.set([back.length, components, width, offset, ...back]);
  const row = (index: number, weightOf: (component: number) => number): void => {
    const from = HEADER / 4 + index * width;
    for (let c = 0; c < components; c++) numbers[from + c] = weightOf(c);
  };
  const each = 2 * back.length + 1;
  row(0, (c) => bias[c]);
  row(1, (c) => scale[c * each + 2 * back.length]);
  for (let k = 0; k < back.length; k++) {
    row(2 + 3 * k, (c) => mean[c * back.length + k]);
    row(3 + 3 * k, (c) => scale[c * each + 2 * k]);
    row(4 + 3 * k, (c) => scale[c * each + 2 * k + 1]);
  }
  image.set(tables, offset);
  return image;
}
