import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Histogram,
  MAX_SYMBOL,
  quantizeFrequencies,
  RansDecoder,
  RansEncoder,
  TableBank,
} from '../../src/entropy/index.ts';
import { IsthmusError } from '../../src/errors.ts';

const RUNS = { seed: 7, numRuns: 300 };

function bankOf(columns: readonly (readonly number[])[], precision: number): TableBank {
  return TableBank.fromHistograms(
    columns.map((values) => {
      const histogram = new Histogram();
      for (const value of values) histogram.add(value);
      return histogram;
    }),
    precision,
  );
}

function encode(bank: TableBank, values: Int32Array): Uint8Array {
  const encoder = new RansEncoder();
  bank.encode(values, encoder);
  return encoder.finish();
}

function decode(bank: TableBank, bytes: Uint8Array, length: number): Int32Array {
  const values = new Int32Array(length);
  const decoder = new RansDecoder(bytes);
  bank.decode(decoder, values);
  decoder.finish();
  return values;
}

/** Laplacian integers by the inverse of the distribution, seeded (mulberry32). */
function laplacian(count: number, scale: number, seed: number): Int32Array {
  let state = seed;
  return Int32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    const u = ((t ^ (t >>> 14)) >>> 0) / 2 ** 32 - 0.5;
    return Math.round(-Math.sign(u) * scale * Math.log(1 - 2 * Math.abs(u)));
  });
}

describe('quantizeFrequencies', () => {
  it('sums to 2^p with every frequency at least 1, for all weights', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true })), {
          minLength: 1,
          maxLength: 200,
        }),
        fc.integer({ min: 8, max: 15 }),
        (weights, precision) => {
          const frequencies = quantizeFrequencies(weights, precision);
          expect(frequencies.reduce((a, b) => a + b, 0)).toBe(2 ** precision);
          expect(Math.min(...frequencies)).toBeGreaterThanOrEqual(1);
        },
      ),
      RUNS,
    );
  });

  it('costs no more than any other table, found by trying all small ones', () => {
    const weights = [13, 5, 2, 0.3];
    const cost = (f: ArrayLike<number>) => weights.reduce((sum, w, i) => sum - w * Math.log2(f[i] / 16), 0);
    let best = Infinity;
    for (let a = 1; a < 16; a++)
      for (let b = 1; a + b < 16; b++)
        for (let c = 1; a + b + c < 16; c++) best = Math.min(best, cost([a, b, c, 16 - a - b - c]));
    expect(cost(quantizeFrequencies(weights, 4))).toBeCloseTo(best, 10);
  });

  it.each([
    [[1, Number.NaN], 8],
    [[], 8],
    [[1, -1], 8],
    [new Array(300).fill(1), 8],
    [[1, 1], 16],
  ])('refuses case %# ', (weights, precision) => {
    expect(() => quantizeFrequencies(weights as number[], precision as number)).toThrow(IsthmusError);
  });
});

describe('TableBank with rANS', () => {
  const value = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -4, max: 4 }) },
    { weight: 1, arbitrary: fc.integer({ min: -MAX_SYMBOL, max: MAX_SYMBOL }) },
    { weight: 1, arbitrary: fc.constantFrom(MAX_SYMBOL, -MAX_SYMBOL, 4096, -4096, 4097) },
  );
  const column = fc.array(fc.integer({ min: -40, max: 40 }), { maxLength: 30 });

  it('decodes what it encoded: any tables, any values, escapes at both ends', () => {
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 8, max: 15 }),
        fc.array(value, { maxLength: 200 }),
        (columns, precision, list) => {
          const bank = bankOf(columns, precision);
          const values = Int32Array.from(list);
          const bytes = encode(bank, values);
          expect(decode(bank, bytes, values.length)).toEqual(values);
          expect(bytes.length).toBeLessThanOrEqual(bank.bits(values) / 8 + 5 + 0.001 * values.length);
        },
      ),
      RUNS,
    );
  });

  it('survives its file form unchanged', () => {
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 1, maxLength: 5 }),
        fc.array(value, { maxLength: 100 }),
        (columns, list) => {
          const bank = bankOf(columns, 12);
          const again = TableBank.fromBytes(bank.toBytes(), columns.length);
          expect(encode(again, Int32Array.from(list))).toEqual(encode(bank, Int32Array.from(list)));
        },
      ),
      RUNS,
    );
  });

  it.each([0.08, 0.3, 1, 4])(
    'is as small as its tables allow, to 0.3 percent, on a long Laplacian of scale %d',
    (scale) => {
      const values = laplacian(200_000, scale, 1);
      const bank = bankOf([[...values.subarray(0, 60_000)]], 14);
      const bytes = encode(bank, values);
      expect(decode(bank, bytes, values.length)).toEqual(values);
      expect(bytes.length).toBeLessThanOrEqual((bank.bits(values) / 8) * 1.003 + 8);
    },
  );

  it('charges nearly nothing for a component that is always zero', () => {
    const bank = bankOf([new Array(60_000).fill(0)], 14);
    expect(bank.bits(new Int32Array(197)) / 197).toBeLessThan(0.0002);
  });

  it('adds up by table to the whole', () => {
    const values = laplacian(999, 2, 3);
    const bank = bankOf([[...values], [0, 1], [5]], 12);
    expect(bank.bitsByTable(values).reduce((a, b) => a + b)).toBeCloseTo(bank.bits(values), 6);
  });

  it('throws only IsthmusErrors on hostile streams and tables, and never reads on for ever', () => {
    const bank = bankOf([[0, 0, 0, 1, -1], [3]], 12);
    const good = encode(bank, laplacian(200, 1, 5));
    const tables = bank.toBytes();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(), fc.nat(255), (noise, at, byte) => {
        const damaged = good.slice();
        damaged[at % damaged.length] ^= byte;
        const bent = tables.slice();
        bent[at % bent.length] ^= byte;
        const tries = [
          () => decode(bank, noise, 100),
          () => decode(bank, damaged, 200),
          () => decode(bank, good.subarray(0, at % good.length), 200),
          () => TableBank.fromBytes(noise, 2),
          () => TableBank.fromBytes(bent, 2),
        ];
        for (const attempt of tries) {
          try {
            attempt();
          } catch (error) {
            expect(error).toBeInstanceOf(IsthmusError);
          }
        }
      }),
      { seed: 7, numRuns: 2000 },
    );
  });
});
