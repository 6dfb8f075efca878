import { describe, expect, it } from 'vitest';
import {
  type Codec,
  type CodecSource,
  type FeatureTensor,
  int8DeflateCodec,
  kltCodecs,
  kltStatistics,
  readCodec,
  stepForRate,
  vectorLayout,
  vectorRanges,
} from '../../src/codec/index.ts';
import { fromFloat32, type Tensor, tensor, toFloat32 } from '../../src/tensor.ts';
import { feature, weightingOf } from './features.ts';

function sourceOf(shape: readonly number[], dtype: FeatureTensor['dtype'] = 'float32'): CodecSource {
  return { features: [{ name: 'x', dtype, shape }] };
}

/** A codec fitted on some features at `bits` an element, and the same read back from its file. */
async function fitOn(source: CodecSource, features: readonly Tensor[], bits: number, axis?: number): Promise<Codec> {
  const stream = async function* () {
    for (const each of features) yield [each];
  };
  const statistics = await kltStatistics(source, stream, { axis });
  const [codec] = await kltCodecs(source, statistics, stream, [stepForRate(statistics, bits)]);
  return readCodec(codec.toBytes());
}

/** Largest difference after a round trip, relative to the largest magnitude sent. */
function loss(codec: Codec, sent: Tensor): number {
  const [x, y] = [sent, codec.decode(codec.encode([sent]))[0]].map(toFloat32);
  const largest = x.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const worst = x.reduce((a, b, i) => Math.max(a, Math.abs(b - y[i])), 0);
  expect(y.every(Number.isFinite)).toBe(true);
  return worst / (largest || 1);
}

const scaled = (given: Tensor, factor: number): Tensor =>
  tensor(
    'float32',
    given.shape,
    (given.data as Float32Array).map((value) => value * factor),
  );

describe('features of any shape', () => {
  const shapes = [[1], [1, 1], [1, 3, 1, 1], [1, 2, 3, 4, 5], [50, 1, 8], [4, 3, 6], [1, 1031], []];
  it.each(shapes.map((shape) => [shape]))('[%s]', async (shape) => {
    const features = Array.from({ length: 12 }, (_, seed) => feature(shape, seed));
    const codec = await fitOn(sourceOf(shape), features, 8);
    expect(loss(codec, features[3])).toBeLessThan(0.1);
    expect(loss(int8DeflateCodec(sourceOf(shape)), features[3])).toBeLessThan(0.01);
  });

  it('a batch of windows is taken apart into images, not into windows', async () => {
    const windows = Array.from({ length: 8 }, (_, seed) => feature([4, 3, 6], seed));
    const batches = [0, 4].map((from) =>
      tensor('float32', [16, 3, 6], Float32Array.from(windows.slice(from, from + 4).flatMap((w) => [...toFloat32(w)]))),
    );
    const source = sourceOf([4, 3, 6]);
    expect((await fitOn(source, batches, 4)).id).toBe((await fitOn(source, windows, 4)).id);
  });

  it('what is no number of features is refused', async () => {
    const source = sourceOf([4, 3, 6]);
    for (const shape of [
      [1, 3, 6],
      [6, 3, 6],
      [4, 6, 3],
      [4, 3, 6, 1],
    ]) {
      await expect(fitOn(source, [feature(shape, 1)], 4)).rejects.toMatchObject({ code: 'TENSOR_INVALID' });
    }
  });
});

describe('features of any size', () => {
  const shape = [1, 5, 6];
  it.each([1e30, 1e-30, 1e37])('times %f', async (factor) => {
    const features = Array.from({ length: 12 }, (_, seed) => scaled(feature(shape, seed), factor));
    expect(loss(await fitOn(sourceOf(shape), features, 8), features[3])).toBeLessThan(0.1);
    expect(loss(int8DeflateCodec(sourceOf(shape)), features[3])).toBeLessThan(0.01);
  });

  it('denormal ones have a codec, too', async () => {
    const features = Array.from({ length: 12 }, (_, seed) => scaled(feature(shape, seed), 1e-41));
    const codec = await fitOn(sourceOf(shape), features, 8);
    expect(toFloat32(codec.decode(codec.encode([features[0]]))[0]).every((x) => Math.abs(x) < 1e-38)).toBe(true);
    expect(loss(int8DeflateCodec(sourceOf(shape)), features[3])).toBeLessThan(1);
  });

  it('half-precision ones', async () => {
    const features = Array.from({ length: 12 }, (_, s) => fromFloat32('float16', shape, toFloat32(feature(shape, s))));
    const codec = await fitOn(sourceOf(shape, 'float16'), features, 8);
    expect(codec.decode(codec.encode([features[3]]))[0].dtype).toBe('float16');
    expect(loss(codec, features[3])).toBeLessThan(0.1);
  });

  it.each([
    ['one feature to learn from', [feature(shape, 1)]],
    ['features that are all the same', [feature(shape, 1), feature(shape, 1), feature(shape, 1)]],
    ['features of zeros', [tensor('float32', shape, new Float32Array(30))]],
  ])('%s', async (_, features) => {
    const codec = await fitOn(sourceOf(shape), features, 2);
    expect(loss(codec, features[0])).toBeLessThan(1e-6);
    expect(codec.encode([features[0]]).length).toBeLessThan(20);
  });

  it('vectors along the axis that is asked for', async () => {
    const features = Array.from({ length: 12 }, (_, seed) => feature(shape, seed));
    expect(loss(await fitOn(sourceOf(shape), features, 8, 1), features[3])).toBeLessThan(0.1);
    for (const axis of [3, -1, 0.5]) {
      await expect(fitOn(sourceOf(shape), features, 8, axis)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});

describe('a weighting', () => {
  const source: CodecSource = { features: [{ name: 'tokens', dtype: 'float32', shape: [1, 17, 24] }] };
  const weighting = weightingOf(source, 12);
  const sent = Array.from({ length: 60 }, (_, seed) => feature([1, 17, 24], seed));
  const stream = async function* () {
    for (const each of sent) yield [each];
  };

  /** Mean bytes, and mean over features of the sum over vectors of eᵀ E[g gᵀ] e. */
  const costOf = (codec: Codec) => {
    let [bytes, distortion] = [0, 0];
    for (const each of sent) {
      const packet = codec.encode([each]);
      bytes += packet.length / sent.length;
      const [x, y] = [each, codec.decode(packet)[0]].map(toFloat32);
      for (const { first, vectors, moments } of weighting) {
        for (let v = first; v < first + vectors; v++) {
          const e = x.subarray(24 * v, 24 * (v + 1)).map((value, a) => value - y[24 * v + a]);
          for (let a = 0; a < 24; a++) {
            for (let b = 0; b < 24; b++) distortion += (e[a] * moments[24 * a + b] * e[b]) / sent.length;
          }
        }
      }
    }
    return { bytes, distortion };
  };

  it('sends the same bytes with less of the error that counts', async () => {
    const plain = await kltStatistics(source, stream);
    const weighted = await kltStatistics(source, stream, { weighting });
    expect(weighted.map(({ tensor, transform: { first, mean } }) => [tensor, first, mean.length / 24])).toEqual([
      [0, 0, 1],
      [0, 1, 16],
    ]);
    const [before] = await kltCodecs(source, plain, stream, [1]);
    const target = costOf(before);
    let [low, high] = [-6, 6];
    let after = target;
    for (let i = 0; i < 7; i++) {
      const step = 2 ** ((low + high) / 2);
      const [codec] = await kltCodecs(source, weighted, stream, [step]);
      after = costOf(codec);
      if (after.bytes > target.bytes) low = Math.log2(step);
      else high = Math.log2(step);
    }
    expect(after.bytes / target.bytes).toBeCloseTo(1, 1);
    expect(after.distortion).toBeLessThan(0.7 * target.distortion);
  });

  it('has a synthesis that undoes its analysis, and steps near the units of the feature', async () => {
    const statistics = await kltStatistics(source, stream, { weighting });
    for (const { transform } of statistics) {
      const { basis, synthesis } = transform;
      for (let c = 0; c < 24; c++) {
        for (let d = 0; d < 24; d++) {
          let sum = 0;
          for (let a = 0; a < 24; a++) sum += basis[24 * c + a] * (synthesis as Float32Array)[24 * d + a];
          expect(sum).toBeCloseTo(c === d ? 1 : 0, 4);
        }
      }
    }
    const [plain] = await kltStatistics(source, stream);
    expect(stepForRate(statistics, 2) / stepForRate([plain], 2)).toBeGreaterThan(0.3);
    expect(stepForRate(statistics, 2) / stepForRate([plain], 2)).toBeLessThan(3);
  });

  it('of a range that nothing feels sends nothing of it, and of none at all is refused', async () => {
    const [token, grid] = weighting;
    const none = new Float64Array(24 * 24);
    const statistics = await kltStatistics(source, stream, { weighting: [{ ...token, moments: none }, grid] });
    const [codec] = await kltCodecs(source, statistics, stream, [0.5]);
    const [x, y] = [sent[0], codec.decode(codec.encode([sent[0]]))[0]].map(toFloat32);
    const mean = statistics[0].transform.mean;
    expect(y.subarray(0, 24)).toEqual(mean);
    expect(Math.abs(x[30] - y[30])).toBeLessThan(3);
    for (const moments of [none, none.map(() => Number.NaN)]) {
      const bad = weighting.map((range) => ({ ...range, moments }));
      await expect(kltStatistics(source, stream, { weighting: bad })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  it('takes the class token apart, and the distillation token, and no windows, words or pixels', () => {
    const rangesOf = (shape: number[]) =>
      vectorRanges(0, vectorLayout(shape)).map(({ first, vectors }) => [first, vectors]);
    expect(rangesOf([1, 197, 192])).toEqual([
      [0, 1],
      [1, 196],
    ]);
    expect(rangesOf([1, 198, 192])).toEqual([
      [0, 2],
      [2, 196],
    ]);
    expect(rangesOf([1, 196, 192])).toEqual([[0, 196]]);
    expect(rangesOf([1, 64, 14, 14])).toEqual([[0, 196]]);
    expect(rangesOf([1, 24, 768])).toEqual([[0, 24]]);
    expect(rangesOf([1, 10])).toEqual([[0, 1]]);
  });
});
