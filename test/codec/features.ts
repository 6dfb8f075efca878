import {
  type CodecSource,
  type FeatureStream,
  kltCodecs,
  kltStatistics,
  type VectorSensitivity,
  vectorLayout,
  vectorRanges,
} from '../../src/codec/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';

/** Uniform numbers in [0, 1), seeded (mulberry32). */
export function uniforms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A feature whose vectors are correlated, with a mean of their own at each position. */
export function feature(shape: readonly number[], seed: number): Tensor {
  const random = uniforms(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(count);
  let last = 0;
  for (let i = 0; i < count; i++) {
    last = 0.8 * last + (random() + random() + random() - 1.5);
    data[i] = last + 2 * Math.sin(i);
  }
  return tensor('float32', shape, data);
}

export const tokens: CodecSource = { features: [{ name: 'tokens', dtype: 'float32', shape: [1, 17, 24] }] };
export const pair: CodecSource = {
  features: [
    { name: 'image', dtype: 'float32', shape: [1, 6, 5, 5] },
    { name: 'vector', dtype: 'float32', shape: [1, 10] },
  ],
};

export function streamOf(source: CodecSource, count: number): FeatureStream {
  return async function* () {
    for (let i = 0; i < count; i++) yield source.features.map(({ shape }, j) => feature(shape, 1000 * j + i));
  };
}

export async function fitted(
  source: CodecSource,
  steps: readonly number[],
  count = 40,
  weighting?: readonly VectorSensitivity[],
) {
  const stream = streamOf(source, count);
  return kltCodecs(source, await kltStatistics(source, stream, { weighting }), stream, steps);
}

/** Second moments of gradients along random directions, which each range feels in its own measure: `share` of them have all but a little. */
export function weightingOf(source: CodecSource, seed: number, share = 0.3): VectorSensitivity[] {
  const random = uniforms(seed);
  return source.features
    .flatMap(({ shape }, tensor) => vectorRanges(tensor, vectorLayout(shape)))
    .map((range, r) => {
      const { length } = range.layout;
      const moments = new Float64Array(length * length);
      for (let k = 0; k < 2 * length; k++) {
        const size = (r + 1) * (k < 2 * length * share ? 1 : 0.1);
        const direction = Array.from({ length }, () => size * (random() - 0.5));
        for (let a = 0; a < length; a++) {
          for (let b = 0; b < length; b++) moments[a * length + b] += direction[a] * direction[b];
        }
      }
      return { ...range, moments };
    });
}
