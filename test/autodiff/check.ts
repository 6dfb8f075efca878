import type { Tensor } from '../../src/tensor.ts';
import { uniforms } from '../codec/features.ts';
import {
  feedsOf,
  type GradientOptions,
  gradientsOf,
  modelOf,
  openModel,
  openWeighted,
  type Real,
  type Sample,
  wantedOf,
} from './applied.ts';

export interface Checked {
  readonly dtype: Real;
  /** Largest |gradient - difference| over a tensor, relative to the tensor's largest difference (at least 0.1). */
  readonly error: number;
}

/**
 * Compares the gradients of a random linear function of an operator's outputs with central differences: in float64, or in
 * float32 where the runtime lacks a float64 kernel of the operator or of its gradient.
 */
export async function checkRule(
  op: string,
  opset: number,
  sample: Sample,
  seed: number,
  options: GradientOptions,
): Promise<Checked> {
  const forward = await openWeighted(op, opset, sample, seed);
  const { of } = forward;
  let { session } = forward;
  const { real, gradients } = await gradientsOf(of, options);
  const bare = { ...of, weights: [] };
  if (real !== forward.real) {
    await session.release();
    session = await openModel(modelOf(bare, real, false));
  }
  const feeds = feedsOf(bare, real);
  const loss = async () => {
    const ys = await session.run(feeds);
    let sum = 0;
    for (const [i, weight] of of.weights.entries()) {
      const y = ys[`y${i}`]?.data as Float64Array;
      weight?.values.forEach((r, k) => {
        sum += y[k] * r;
      });
    }
    return sum;
  };
  const random = uniforms(seed);
  let worst = 0;
  for (const [i, at] of wantedOf(sample).entries()) {
    worst = Math.max(worst, await worstOf(gradients[i], feeds[`x${at}`], loss, random, real));
  }
  await session.release();
  return { dtype: real, error: worst };
}

/** At most this many elements of a tensor are varied. */
const ELEMENTS = 24;

async function worstOf(
  gradient: Tensor,
  x: Tensor,
  loss: () => Promise<number>,
  random: () => number,
  real: Real,
): Promise<number> {
  const data = x.data as Float64Array;
  const at = Array.from(data.keys());
  while (at.length > ELEMENTS) at.splice(Math.floor(random() * at.length), 1);
  const step = real === 'float64' ? 1e-3 : 2e-2;
  let difference = 0;
  let scale = 0.1;
  for (const i of at) {
    const original = data[i];
    const moved = async (steps: number) => {
      data[i] = original + steps * step;
      // The distance as rounded to the type.
      const value = await loss();
      return { value, distance: data[i] - original };
    };
    const [a, b, c, d] = [await moved(-2), await moved(-1), await moved(1), await moved(2)];
    data[i] = original;
    const narrow = (c.value - b.value) / (c.distance - b.distance);
    const wide = (d.value - a.value) / (d.distance - a.distance);
    const numeric = (4 * narrow - wide) / 3;
    const error = Math.abs((gradient.data as Float64Array)[i] - numeric);
    difference = Math.max(difference, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
    scale = Math.max(scale, Math.abs(numeric));
  }
  return difference / scale;
}
