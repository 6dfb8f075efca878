import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { analyze, type LinearTransform, quantize, synthesize, vectorsOf } from '../../src/codec/index.ts';
import { synthesizeVectors } from '../../src/codec/transform.ts';
import { MAX_SYMBOL, useKernels } from '../../src/entropy/index.ts';
import { kernels } from '../../src/kernels/index.ts';
import { KERNELS } from '../../src/kernels/inlined.ts';
import { uniforms } from '../entropy/cases.ts';

const module = new WebAssembly.Module(Buffer.from(KERNELS, 'base64'));
afterEach(() => useKernels(module));

function inBothWays<T>(work: () => T): [T, T] {
  useKernels(null);
  const plain = work();
  useKernels(module);
  expect(kernels()).not.toBeNull();
  return [plain, work()];
}

const bits = (values: Float32Array): Int32Array => new Int32Array(values.buffer, values.byteOffset, values.length);

/** Layouts of odd lengths, values and steps of any size, all vectors or a range; some sums leave the range of float32. */
const transforms = fc
  .record({
    outer: fc.integer({ min: 1, max: 4 }),
    length: fc.integer({ min: 1, max: 23 }),
    inner: fc.integer({ min: 1, max: 5 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    size: fc.constantFrom(1e-30, 1e-3, 1, 1e4, 1e30, 1e38),
    step: fc.constantFrom(2 ** -126, 1e-3, 0.3, 1, 1e5, 2 ** 127),
    range: fc.option(fc.tuple(fc.nat(), fc.nat())),
    own: fc.boolean(),
    seed: fc.integer(),
  })
  .map(({ outer, length, inner, share, size, step, range, own, seed }) => {
    const random = uniforms(seed);
    const components = Math.max(1, Math.round(share * length));
    const number = () => Math.fround((random() - 0.5) * size * (random() < 0.1 ? 1e-8 : 1));
    const rows = () => Float32Array.from({ length: components * length }, () => (random() < 0.2 ? 0 : random() - 0.5));
    const all = outer * inner;
    const [first, count] = range ? [range[0] % all, 1 + (range[1] % (all - (range[0] % all)))] : [0, all];
    const transform: LinearTransform = {
      layout: { outer, length, inner },
      components,
      ...(range && { first }),
      mean: Float32Array.from({ length: count * length }, number),
      basis: rows(),
      ...(own && { synthesis: rows() }),
    };
    const values = Float32Array.from({ length: all * length }, () => number());
    const integers = Int32Array.from({ length: count * components }, () =>
      random() < 0.5 ? 0 : Math.round((random() - 0.5) * 2 ** (1 + 29 * random())),
    );
    return { transform, values, integers, step };
  });

it('gives the same integers and the same floats, to the last bit, in TypeScript and WebAssembly', () => {
  fc.assert(
    fc.property(transforms, ({ transform, values, integers, step }) => {
      const [one, other] = inBothWays(() => analyze(transform, values, step));
      expect(other).toEqual(one);
      const [plain, twin] = inBothWays(() => synthesize(transform, integers, step));
      expect(bits(twin)).toEqual(bits(plain));
      expect(plain.some(Number.isNaN)).toBe(false);
    }),
    { seed: 4, numRuns: 300 },
  );
});

it('analyzes and synthesizes a range of vectors as the whole does, and nothing else', () => {
  fc.assert(
    fc.property(transforms, ({ transform, values, integers, step }) => {
      const { layout, first = 0, components, mean, basis, synthesis } = transform;
      const { outer, length, inner } = layout;
      const [from, to] = [first * length, first * length + mean.length];
      const wholeMean = new Float32Array(outer * inner * length);
      wholeMean.set(mean, from);
      const whole: LinearTransform = { layout, components, mean: wholeMean, basis: synthesis ?? basis };
      const all = analyze({ ...whole, basis }, values, step);
      expect(analyze(transform, values, step)).toEqual(
        all.subarray(first * components, first * components + integers.length),
      );
      const padded = new Int32Array(all.length);
      padded.set(integers, first * components);
      const wanted = synthesize(whole, padded, step).map((value, at) => {
        const v = Math.floor(at / (length * inner)) * inner + (at % inner);
        return v * length >= from && v * length < to ? value : 0;
      });
      expect(bits(synthesize(transform, integers, step))).toEqual(bits(wanted));
    }),
    { seed: 5, numRuns: 200 },
  );
});

it('rounds halves away from zero and saturates, as the quantizer is defined', () => {
  const values = Float32Array.of(0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, -0.49999997, 8388607.5, 3e9, -3e9, 2 ** 29, -0);
  const wanted = new Int32Array(values.length);
  quantize(values, wanted);
  expect([...wanted]).toEqual([1, -1, 2, 3, -3, 0, 0, 8388608, MAX_SYMBOL, -MAX_SYMBOL, MAX_SYMBOL, 0]);
  const transform = {
    layout: { outer: values.length, length: 1, inner: 1 },
    components: 1,
    mean: new Float32Array(values.length),
    basis: Float32Array.of(1),
  };
  for (const integers of inBothWays(() => analyze(transform, values, 1))) expect(integers).toEqual(wanted);
});

it('undoes itself up to the step, along any axis', () => {
  const random = uniforms(6);
  for (const [outer, length, inner] of [
    [5, 8, 1],
    [1, 8, 9],
    [3, 8, 2],
  ]) {
    const basis = new Float32Array(64);
    for (let i = 0; i < 8; i++) basis[9 * i] = 1;
    const mean = Float32Array.from({ length: outer * length * inner }, random);
    const transform = { layout: { outer, length, inner }, components: 8, mean, basis };
    const values = mean.map(() => 10 * random());
    for (const back of inBothWays(() => synthesize(transform, analyze(transform, values, 0.25), 0.25))) {
      expect(Math.max(...back.map((value, i) => Math.abs(value - values[i])))).toBeLessThanOrEqual(0.1251);
    }
    expect(vectorsOf(transform.layout)).toBe(outer * inner);
  }
});

it('synthesizes any range of vectors into its places, in pieces, and touches no others', () => {
  for (const [outer, length, inner] of [
    [7001, 24, 1],
    [2, 24, 3001],
    [3001, 24, 2],
    [1, 70_000, 3],
  ]) {
    const random = uniforms(length + inner);
    const vectors = outer * inner;
    const components = 3;
    const transform: LinearTransform = {
      layout: { outer, length, inner },
      components,
      mean: Float32Array.from({ length: vectors * length }, random),
      basis: Float32Array.from({ length: components * length }, random),
    };
    const integers = Int32Array.from({ length: vectors * components }, () => Math.round(4 * random()) - 2);
    const step = 0.3;
    const { fround } = Math;
    const wanted = new Float32Array(vectors * length);
    for (let v = 0; v < vectors; v++) {
      for (let a = 0; a < length; a++) {
        let x = transform.mean[v * length + a];
        for (let c = 0; c < components; c++) {
          const integer = integers[v * components + c];
          if (integer !== 0) x = fround(x + fround(fround(integer * step) * transform.basis[c * length + a]));
        }
        wanted[(Math.floor(v / inner) * length + a) * inner + (v % inner)] = x;
      }
    }
    const first = Math.floor(vectors * 0.4);
    const last = Math.floor(vectors * 0.9);
    const some = inBothWays(() => {
      const values = new Float32Array(wanted.length).fill(-9);
      synthesizeVectors(transform, first, integers.subarray(first * components, last * components), step, values);
      return values;
    });
    for (const values of some) {
      const inside = (at: number) => {
        const v = Math.floor(at / (length * inner)) * inner + (at % inner);
        return v >= first && v < last;
      };
      expect(values.findIndex((value, at) => value !== (inside(at) ? wanted[at] : -9))).toBe(-1);
    }
    for (const values of inBothWays(() => synthesize(transform, integers, step))) {
      expect(values.findIndex((value, at) => value !== wanted[at])).toBe(-1);
    }
  }
});
