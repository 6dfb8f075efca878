import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  COST_PER_BIT,
  decodeSequences,
  type EntropyModel,
  encodeSequences,
  Histogram,
  type Lanes,
  lanesFor,
  MAX_SYMBOL,
  modelCost,
  PredictiveModel,
  StreamWriter,
  TableBank,
  useKernels,
} from '../../src/entropy/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { kernels } from '../../src/kernels/index.ts';
import { codeOf } from '../code-of.ts';
import { laplacian, MODELS, uniforms } from './cases.ts';

const RUNS = { seed: 8, numRuns: 150 };
const LANES: readonly Lanes[] = [1, 32];
const [PLAIN, KERNELS] = ['TypeScript', 'WebAssembly'] as const;

/** The module that the package carries, opened once. */
let module: WebAssembly.Module;
beforeAll(async () => {
  const { KERNELS } = await import('../../src/kernels/inlined.ts');
  module = new WebAssembly.Module(Buffer.from(KERNELS, 'base64'));
});
const use = (way: typeof PLAIN | typeof KERNELS): void => useKernels(way === PLAIN ? null : module);
afterEach(() => use(KERNELS));
afterAll(() => use(KERNELS));

/** A table's integers and frequencies as a file holds them; the last frequency is the escape's. */
interface Alphabet {
  readonly low: number;
  readonly weights: readonly number[];
}

/** Frequencies that sum to 2^precision: each 1 and its share of the rest, what is left over to the first. */
function bankOf(alphabets: readonly Alphabet[], precision: number): TableBank {
  const bytes: number[] = [1, precision];
  const put = (value: number, width: number) => {
    for (let i = 0; i < width; i++) bytes.push((value >> (8 * i)) & 255);
  };
  put(alphabets.length, 4);
  for (const { low, weights } of alphabets) {
    put(low, 4);
    put(weights.length, 2);
    const sum = weights.reduce((a, b) => a + b, 0) || 1;
    const rest = 2 ** precision - weights.length;
    const frequencies = weights.map((weight) => 1 + Math.floor((weight / sum) * rest));
    frequencies[0] += 2 ** precision - frequencies.reduce((a, b) => a + b, 0);
    for (const frequency of frequencies) put(frequency, 2);
  }
  return TableBank.fromBytes(Uint8Array.from(bytes), alphabets.length);
}

/** Alphabets of 1 to 40 values, some with one likely value, some anywhere within the range. */
const alphabet = fc.record({
  low: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: -20, max: 5 }) },
    fc.integer({ min: -MAX_SYMBOL, max: MAX_SYMBOL }),
  ),
  weights: fc
    .tuple(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 41 }), fc.nat(40), fc.nat(20_000))
    .map(([weights, at, peak]) => weights.map((weight, i) => (i === at % weights.length ? weight + peak : weight))),
});

/** A bank, and vectors of which most values lie in their alphabets. */
const sequence = fc
  .tuple(
    fc.array(alphabet, { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 8, max: 15 }),
    fc.oneof(fc.nat(3), fc.nat(40), fc.nat(300)),
    fc.integer(),
    fc.constantFrom(0, 0.01, 0.3),
  )
  .map(([alphabets, precision, vectors, seed, escapes]) => {
    const random = uniforms(seed);
    const model = bankOf(alphabets, precision);
    const values = Int32Array.from({ length: vectors * alphabets.length }, (_, i) => {
      const { low, weights } = alphabets[i % alphabets.length];
      if (random() < escapes) return Math.round((random() - 0.5) * 2 ** (2 + 28 * random()));
      const value = low + Math.floor(random() * random() * (weights.length - 1));
      return Math.min(value, MAX_SYMBOL);
    });
    return { model, values };
  });

function inBothWays<T>(work: () => T): [T, T] {
  use(PLAIN);
  const plain = work();
  use(KERNELS);
  expect(kernels()).not.toBeNull();
  return [plain, work()];
}

/** What `toEqual` would compare too, a thousand times slower. */
const bytesOf = (values: Int32Array): Uint8Array => new Uint8Array(values.buffer, 0, values.byteLength);

describe.each(LANES)('a stream of %i lanes', (lanes) => {
  it('has the same bytes from TypeScript and WebAssembly, and decodes in both, for all tables and values', () => {
    fc.assert(
      fc.property(fc.array(sequence, { minLength: 1, maxLength: 3 }), (sequences) => {
        const [plain, twin] = inBothWays(() => encodeSequences(sequences, lanes));
        expect(twin).toEqual(plain);
        for (const way of [PLAIN, KERNELS]) {
          use(way);
          const decoded = sequences.map(({ model, values }) => ({ model, values: new Int32Array(values.length) }));
          decodeSequences(plain, decoded, lanes);
          expect(decoded.map(({ values }) => values)).toEqual(sequences.map(({ values }) => values));
        }
      }),
      RUNS,
    );
  });

  it('refuses damaged and foreign streams alike, with the same code', () => {
    fc.assert(
      fc.property(
        sequence,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        fc.integer({ min: -6, max: 6 }),
        ({ model, values }, edits, longer) => {
          const stream = encodeSequences([{ model, values }], lanes);
          const damaged = new Uint8Array(Math.max(0, stream.length + longer));
          damaged.set(stream.subarray(0, damaged.length));
          for (const [at, byte] of edits) if (damaged.length > 0) damaged[at % damaged.length] = byte;
          const outcome = (): unknown => {
            const decoded = new Int32Array(values.length);
            try {
              decodeSequences(damaged, [{ model, values: decoded }], lanes);
              return decoded;
            } catch (error) {
              if (error instanceof IsthmusError) return error.code;
              throw error;
            }
          };
          const [plain, twin] = inBothWays(outcome);
          expect(twin).toEqual(plain);
        },
      ),
      RUNS,
    );
  });

  it('takes a whole long sequence through the pieces that the kernels work in', () => {
    const random = uniforms(5);
    for (const [components, vectors] of [
      [1, 100_003],
      [7, 9001],
      [700, 65],
    ]) {
      const values = laplacian(components * vectors, 1.5, random);
      for (let i = 0; i < values.length; i += 997) values[i] = i % 2 === 0 ? MAX_SYMBOL : -MAX_SYMBOL;
      const histogram = new Histogram();
      for (const value of laplacian(5000, 1.5, random)) histogram.add(value);
      const model = TableBank.fromHistograms(Array(components).fill(histogram), 12);
      const [plain, twin] = inBothWays(() => encodeSequences([{ model, values }], lanes));
      expect(Buffer.compare(twin, plain)).toBe(0);
      const [one, other] = inBothWays(() => {
        const decoded = new Int32Array(values.length);
        decodeSequences(plain, [{ model, values: decoded }], lanes);
        return decoded;
      });
      expect(Buffer.compare(bytesOf(one), bytesOf(values))).toBe(0);
      expect(Buffer.compare(bytesOf(other), bytesOf(values))).toBe(0);
    }
  });
});

describe.each(MODELS)('%s', (_, model: EntropyModel) => {
  it('makes the stream of its decisions, in WebAssembly too', () => {
    const random = uniforms(3);
    for (const vectors of [0, 1, 2, 40]) {
      const values = laplacian(vectors * model.components, 2, random);
      if (vectors > 1) values.set([MAX_SYMBOL, -MAX_SYMBOL, 5000, -70_000], 1);
      const writer = new StreamWriter();
      model.code(writer, values.slice());
      const stream = writer.finish();
      for (const encoded of inBothWays(() => encodeSequences([{ model, values }], 1))) expect(encoded).toEqual(stream);
      for (const decoded of inBothWays(() => {
        const list = new Int32Array(values.length);
        decodeSequences(stream, [{ model, values: list }], 1);
        return list;
      })) {
        expect(decoded).toEqual(values);
      }
    }
  });
});

it('predicts alike in TypeScript and WebAssembly, whatever neighbours and values are', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 40 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 65_535 })), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.constantFrom(0.2, 2, 60, 5000, 2 ** 27),
      fc.integer(),
      (components, vectors, back, scale, seed) => {
        const random = uniforms(seed);
        const some = () =>
          laplacian(vectors * components, scale, random).map((v) => Math.max(-MAX_SYMBOL, Math.min(MAX_SYMBOL, v)));
        const model = PredictiveModel.fit([some()], components, back);
        const values = some();
        const [plain, twin] = inBothWays(() => encodeSequences([{ model, values }], 1));
        expect(twin).toEqual(plain);
        const [one, other] = inBothWays(() => {
          const decoded = new Int32Array(values.length);
          decodeSequences(plain, [{ model, values: decoded }], 1);
          return decoded;
        });
        expect(one).toEqual(values);
        expect(other).toEqual(values);
      },
    ),
    { seed: 9, numRuns: 40 },
  );
});

describe('the rule of lanes', () => {
  const sparse = bankOf([{ low: -1, weights: [1, 200, 1, 1] }], 14);

  it('is one state for short streams, 32 for those that are long by their tables', () => {
    const dense = bankOf([{ low: 0, weights: Array(256).fill(1) }], 12);
    expect(lanesFor([{ model: dense, length: 60_000 }])).toBe(1);
    expect(lanesFor([{ model: dense, length: 66_000 }])).toBe(32);
    expect(lanesFor([{ model: sparse, length: 1_000_000 }])).toBe(1);
    expect(lanesFor([{ model: sparse, length: 10_000_000 }])).toBe(32);
    expect(
      lanesFor([
        { model: dense, length: 33_000 },
        { model: dense, length: 33_000 },
      ]),
    ).toBe(32);
  });

  it('costs a long stream less than 0.2 %', () => {
    const random = uniforms(12);
    const model = bankOf(
      [{ low: -8, weights: [1, 2, 4, 8, 16, 32, 64, 128, 256, 128, 64, 32, 16, 8, 4, 2, 1, 1] }],
      12,
    );
    let length = 1000;
    while (lanesFor([{ model, length }]) === 1) length += 1000;
    const values = laplacian(length, 1.4, random);
    const stream = encodeSequences([{ model, values }], 32);
    const ideal = modelCost(model, values) / COST_PER_BIT / 8;
    expect(stream.length).toBeLessThan(ideal * 1.0025);
    expect(stream.length - encodeSequences([{ model, values }], 1).length).toBeLessThanOrEqual(124);
  });

  it('is one state for models that wait for each value, however long', () => {
    for (const [name, model] of MODELS) {
      if (name !== 'static tables') expect(lanesFor([{ model, length: 5 * 2 ** 24 }]), name).toBe(1);
    }
  });
});

it('refuses what is not whole vectors, and lanes for models that cannot have them', () => {
  const [, predictive] = MODELS.find(([name]) => name === 'predictive') as (typeof MODELS)[number];
  const values = new Int32Array(predictive.components + 1);
  expect(codeOf(() => encodeSequences([{ model: predictive, values }], 1))).toBe('INVALID_ARGUMENT');
  expect(codeOf(() => decodeSequences(new Uint8Array(8), [{ model: predictive, values }], 1))).toBe('INVALID_ARGUMENT');
  const whole = { model: predictive, values: values.subarray(1) };
  expect(codeOf(() => encodeSequences([whole], 32))).toBe('INVALID_ARGUMENT');
});
