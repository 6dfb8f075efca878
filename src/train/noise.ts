import { elements, type Tensor, tensor } from '../tensor.ts';
import { randomOf } from './random.ts';

/**
 * Uniform noise in [-1/2, 1/2) of a shape: what rounding to whole numbers is trained as (Ballé, Laparra & Simoncelli 2017,
 * "End-to-end optimized image compression"), added to a feature in units of the quantization step. A graph takes it as an
 * input that a plain Add reads. A pure function of seed, step and shape: whole multiples of 2^-24, the same float32 on
 * every machine; `of` tells apart what is drawn for several tensors.
 */
export function noise(seed: number, step: number, shape: readonly number[], of = 0): Tensor {
  const random = randomOf('noise', seed, step, ...(of === 0 ? [] : [of]));
  const data = new Float32Array(elements(shape));
  for (let i = 0; i < data.length; i++) data[i] = (random.next() >> 8) * 2 ** -24;
  return tensor('float32', shape, data);
}
