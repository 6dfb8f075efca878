import fc from 'fast-check';
import ndarray from 'ndarray';
import { describe, expect, it } from 'vitest';
import {
  asTensor,
  bfloatToFloat,
  byteLength,
  elements,
  floatToBfloat,
  floatToHalf,
  halfToFloat,
  tensor,
  toNdarray,
} from '../src/tensor.ts';
import { codeOf } from './code-of.ts';

/** Every half-precision number by its definition (IEEE 754-2019, 3.4). */
function halfByDefinition(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
const ALL_HALVES = Uint16Array.from({ length: 65_536 }, (_, i) => i);

describe('half precision', () => {
  it('widens all 65,536 bit patterns to what they mean', () => {
    const values = halfToFloat(ALL_HALVES);
    for (const bits of ALL_HALVES) expect(values[bits]).toBe(halfByDefinition(bits));
  });

  it('narrows every half to its own bits', () => {
    const back = floatToHalf(halfToFloat(ALL_HALVES));
    const wrong = [...ALL_HALVES].filter((bits) => !Number.isNaN(halfByDefinition(bits)) && back[bits] !== bits);
    expect(wrong).toEqual([]);
    expect(halfToFloat(floatToHalf(Float32Array.of(Number.NaN)))[0]).toBeNaN();
  });

  it('rounds to the nearest half, ties to even, at and beside every midpoint', () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < 0x7c00; bits++) {
      const [low, high] = [halfByDefinition(bits), bits === 0x7bff ? 65_536 : halfByDefinition(bits + 1)];
      const middle = (low + high) / 2;
      const word = new Uint32Array(Float32Array.of(middle).buffer)[0];
      const beside = new Float32Array(Uint32Array.of(word - 1, word, word + 1).buffer);
      const want = [bits, bits % 2 === 0 ? bits : bits + 1, bits + 1];
      if (`${floatToHalf(beside)}` !== `${want}`) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });
});

describe('bfloat16', () => {
  it('is the nearest float32 with a 16-bit word, ties to even', () => {
    expect(bfloatToFloat(floatToBfloat(Float32Array.of(1, -2.5, 3.3895313892515355e38)))[1]).toBe(-2.5);
    const word = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0];
    const given = Float32Array.of(word(0x3f808000), word(0x3f818000), word(0x3f808001), Number.NaN);
    expect([...floatToBfloat(given)]).toEqual([0x3f80, 0x3f82, 0x3f81, 0x7fc0]);
  });
});

describe('tensor', () => {
  it('refuses data that does not go with dtype or shape', () => {
    expect(codeOf(() => tensor('float32', [2], new Float64Array(2)))).toBe('TENSOR_INVALID');
    expect(codeOf(() => tensor('float32', [2, 2], new Float32Array(3)))).toBe('TENSOR_INVALID');
    expect(codeOf(() => elements([2, -1]))).toBe('TENSOR_INVALID');
    expect(codeOf(() => elements([2 ** 40, 2 ** 40]))).toBe('TENSOR_INVALID');
    for (const dtype of ['float31', 'constructor', '__proto__'] as never[]) {
      expect(codeOf(() => tensor(dtype, [1], new Float32Array(1)))).toBe('TENSOR_INVALID');
    }
    for (const shape of [undefined, null, 1, '1', { length: 1 }] as never[]) {
      expect(codeOf(() => asTensor({ dtype: 'float32', shape, data: new Float32Array(1) }))).toBe('TENSOR_INVALID');
    }
  });

  it('counts bytes with sub-byte types packed', () => {
    expect(byteLength('int4', [3])).toBe(2);
    expect(byteLength('float32', [2, 3])).toBe(24);
    expect(byteLength('uint2', [5])).toBe(2);
  });

  it('takes any ndarray view as the row-major tensor it shows', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), fc.nat(), (shape, pick) => {
        const data = Float32Array.from({ length: elements(shape) }, (_, i) => i);
        const order = shape.map((_, axis) => (axis + pick) % shape.length);
        const view = ndarray(data, shape)
          .transpose(...order)
          .step(...shape.map((_, axis) => (axis % 2 === pick % 2 ? -1 : 1)));
        const got = asTensor(view);
        expect(got.shape).toEqual(view.shape);
        const again = toNdarray(got);
        for (let i = 0; i < data.length; i++) {
          const index = got.shape.map(
            (_, axis) => Math.floor(i / elements(got.shape.slice(axis + 1))) % got.shape[axis],
          );
          expect(again.get(...index)).toBe(view.get(...index));
        }
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  it('views a contiguous ndarray without a copy', () => {
    const data = new Float32Array(6);
    expect((asTensor(ndarray(data, [2, 3])).data as Float32Array).buffer).toBe(data.buffer);
  });
});
