import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AdaptiveBinaryModel,
  ContextModel,
  type EntropyModel,
  MAX_SYMBOL,
  modelCost,
  ParametricModel,
  PredictiveModel,
  RansEncoder,
  readModel,
  SparseModel,
  StreamReader,
  StreamWriter,
  type TableBank,
} from '../../src/entropy/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { codeOf } from '../code-of.ts';
import { COMPONENTS, gridFeature, MODELS, NEIGHBOURS, SAMPLES, uniforms } from './cases.ts';

const RUNS = { seed: 8, numRuns: 60 };

function write(model: EntropyModel, values: Int32Array): Uint8Array {
  const writer = new StreamWriter();
  const given = values.slice();
  model.code(writer, given);
  expect(given, 'writing leaves the values as they are').toEqual(values);
  return writer.finish();
}

function read(model: EntropyModel, bytes: Uint8Array, length: number): Int32Array {
  const values = new Int32Array(length);
  const reader = new StreamReader(bytes);
  model.code(reader, values);
  reader.finish();
  return values;
}

/** Runs `attempt` and takes an IsthmusError for an answer, nothing else. */
function orError<T>(attempt: () => T): T | IsthmusError {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof IsthmusError) return error;
    throw error;
  }
}

const value = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 2, arbitrary: fc.integer({ min: -5000, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: -MAX_SYMBOL, max: MAX_SYMBOL }) },
  { weight: 1, arbitrary: fc.constantFrom(MAX_SYMBOL, -MAX_SYMBOL, 13, 14, 15, 16, -14, -15, 4095, -4096) },
);
const feature = fc
  .array(fc.array(value, { minLength: COMPONENTS, maxLength: COMPONENTS }), { maxLength: 40 })
  .map((vectors) => Int32Array.from(vectors.flat()));

describe.each(MODELS)('%s', (_, model) => {
  it('decodes what it encoded, for any integers within the range', () => {
    fc.assert(
      fc.property(feature, (values) => {
        expect(read(model, write(model, values), values.length)).toEqual(values);
      }),
      RUNS,
    );
    const none = new Int32Array(0);
    expect(read(model, write(model, none), 0)).toEqual(none);
  });

  it('costs what the stream takes, to within the 4 bytes of the state, half a word and what the state rounds', () => {
    const random = uniforms(3);
    for (const values of [...SAMPLES.slice(0, 5), gridFeature(400, COMPONENTS, random)]) {
      const cost = modelCost(model, values);
      expect(Number.isSafeInteger(cost)).toBe(true);
      const bytes = write(model, values).length;
      expect(Math.abs(bytes - cost / 2 ** 16 / 8)).toBeLessThanOrEqual(8);
    }
    fc.assert(
      fc.property(feature, (values) => {
        const bytes = write(model, values).length;
        expect(Math.abs(bytes - modelCost(model, values) / 2 ** 16 / 8)).toBeLessThanOrEqual(8);
      }),
      RUNS,
    );
  });

  it('is the same model after its file form', () => {
    const bytes = model.toBytes();
    const again = readModel(bytes, COMPONENTS);
    expect(again.toBytes()).toEqual(bytes);
    for (const values of SAMPLES.slice(0, 5)) expect(write(again, values)).toEqual(write(model, values));
  });

  it('learns nothing from one call for the next', () => {
    const first = write(model, SAMPLES[0]);
    write(model, SAMPLES[1]);
    expect(write(model, SAMPLES[0])).toEqual(first);
  });

  it('belongs to one number of components', () => {
    expect(codeOf(() => readModel(model.toBytes(), COMPONENTS + 1))).toBe('CODEC_INVALID');
  });

  it('is refused at each truncation and with a byte too many', () => {
    const bytes = model.toBytes();
    const step = Math.max(1, Math.floor(bytes.length / 500));
    for (let length = 0; length < bytes.length; length += length < 100 ? 1 : step) {
      expect(codeOf(() => readModel(bytes.subarray(0, length), COMPONENTS))).toBe('CODEC_INVALID');
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(codeOf(() => readModel(longer, COMPONENTS))).toBe('CODEC_INVALID');
  });

  it('with a flipped bit is refused, or is a model that codes and decodes', () => {
    const bytes = model.toBytes();
    const step = Math.max(1, Math.floor((bytes.length * 8) / 400));
    for (let bit = 0; bit < bytes.length * 8; bit += bit < 400 ? 1 : step) {
      const bent = bytes.slice();
      bent[bit >> 3] ^= 1 << (bit & 7);
      const got = orError(() => readModel(bent, COMPONENTS));
      if (got instanceof IsthmusError) {
        expect(['CODEC_INVALID', 'CODEC_VERSION']).toContain(got.code);
      } else {
        const values = SAMPLES[bit % SAMPLES.length];
        expect(read(got, write(got, values), values.length)).toEqual(values);
      }
    }
  });

  it('made of random bytes after its own first ones is refused, or works', () => {
    const own = model.toBytes();
    fc.assert(
      fc.property(fc.nat(60), fc.uint8Array({ maxLength: 120 }), feature, (keep, noise, values) => {
        const bytes = new Uint8Array(Math.min(keep, own.length) + noise.length);
        bytes.set(own.subarray(0, keep));
        bytes.set(noise, Math.min(keep, own.length));
        const got = orError(() => readModel(bytes, COMPONENTS));
        if (!(got instanceof IsthmusError)) expect(read(got, write(got, values), values.length)).toEqual(values);
      }),
      { seed: 8, numRuns: 400 },
    );
  });

  it('reads damaged, cut and random streams to an error or to integers in range, never for long', () => {
    const good = write(model, SAMPLES[2]);
    const decoded = (bytes: Uint8Array) => {
      const got = orError(() => read(model, bytes, SAMPLES[2].length));
      if (got instanceof IsthmusError) expect(got.code).toBe('PACKET_CORRUPT');
      else expect(got.every((v) => Math.abs(v) <= MAX_SYMBOL)).toBe(true);
      return got;
    };
    for (let length = 0; length < good.length; length++)
      expect(decoded(good.subarray(0, length))).toBeInstanceOf(Error);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bent = good.slice();
      bent[bit >> 3] ^= 1 << (bit & 7);
      decoded(bent);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => void decoded(noise)),
      { seed: 8, numRuns: 500 },
    );
  });
});

it('the stream of static tables is the one they always had', () => {
  const bank = MODELS[0][1] as TableBank;
  fc.assert(
    fc.property(fc.array(value, { maxLength: 300 }), (list) => {
      const values = Int32Array.from(list);
      const encoder = new RansEncoder();
      bank.encode(values, encoder);
      expect(write(bank, values)).toEqual(encoder.finish());
    }),
    RUNS,
  );
});

it('prediction from neighbours is worth more than their magnitudes, and those more than nothing, on a smooth grid', () => {
  const random = uniforms(77);
  const fresh = Array.from({ length: 10 }, () => gridFeature(37, COMPONENTS, random));
  const cost = (name: string) => {
    const model = MODELS.find(([known]) => known === name)?.[1] as EntropyModel;
    return fresh.reduce((sum, values) => sum + modelCost(model, values), 0);
  };
  expect(cost('context')).toBeLessThan(cost('static tables'));
  expect(cost('predictive')).toBeLessThan(cost('context') * 0.95);
  expect(cost('adaptive binary')).toBeLessThan(cost('static tables'));
});

it.each([
  ['sparse', () => SparseModel.fit([], 3)],
  ['parametric', () => ParametricModel.fit([], 3, 'logistic')],
  ['context', () => ContextModel.fit([], 3, NEIGHBOURS)],
  ['adaptive binary', () => AdaptiveBinaryModel.fit([], 3, NEIGHBOURS)],
  ['predictive', () => PredictiveModel.fit([], 3, [1])],
])('a %s model that was fitted on nothing still codes everything', (_, make) => {
  const model = make();
  const values = Int32Array.of(0, 1, -1, 40, -5000, MAX_SYMBOL, 0, 0, -MAX_SYMBOL);
  expect(read(readModel(model.toBytes(), 3), write(model, values), values.length)).toEqual(values);
});

it.each([[[]], [[0]], [[-1]], [[1.5]], [[70_000]], [[1, 2, 3, 4, 5, 6, 7, 8, 9]]])(
  'prediction refuses neighbours %j',
  (back) => {
    expect(codeOf(() => PredictiveModel.fit(SAMPLES, COMPONENTS, back))).toBe('INVALID_ARGUMENT');
  },
);

it('a format that is not known asks for a newer isthmus', () => {
  expect(codeOf(() => readModel(Uint8Array.of(0, 1, 2), 1))).toBe('CODEC_VERSION');
  expect(codeOf(() => readModel(Uint8Array.of(200, 1, 2), 1))).toBe('CODEC_VERSION');
  expect(codeOf(() => readModel(new Uint8Array(0), 1))).toBe('CODEC_INVALID');
});
