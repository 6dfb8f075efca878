import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { deflateSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { writeArchive } from '../../src/codec/archive.ts';
import {
  type Codec,
  int8DeflateCodec,
  kltCodec,
  rawCodec,
  readCard,
  readCodec,
  type VectorLayout,
} from '../../src/codec/index.ts';
import { TableBank } from '../../src/entropy/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { sealPacket } from '../../src/packet/index.ts';
import { elements, fromFloat32, toFloat32 } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';
import { uniforms } from '../codec/features.ts';

/*
 * Codec files that an attacker makes: with right checksums and hashes, so that only what they say can give them away. What
 * passes the reader must work: no crash, no hang, nothing but an IsthmusError.
 */

const utf8 = (text: string) => new TextEncoder().encode(text);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const sorted = (_: string, value: unknown): unknown =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

/** The codec file of a definition and entries, with the hashes put right. */
function forge(definition: object, entries: Readonly<Record<string, Uint8Array>> = {}): Uint8Array {
  const hashes = Object.fromEntries(Object.entries(entries).map(([name, bytes]) => [name, sha256(bytes)]));
  const json = JSON.stringify({ ...definition, entries: hashes }, sorted);
  return writeArchive(new Map([['codec.json', utf8(json)], ...Object.entries(entries)]));
}

const base = { format: 'isthmus-codec', version: 1, model: null };
const tensorOf = (shape: readonly unknown[], dtype = 'float32', name = 'f') => ({ name, dtype, shape });

/** Uses a codec as its owner would; throws what it throws. */
function use(codec: Codec): void {
  const random = uniforms(1);
  for (const scale of [0, 1, 1e30]) {
    const feature = codec.coded.map(({ dtype, shape }) => {
      const values = Float32Array.from({ length: elements(shape) }, () => (random() - 0.5) * scale);
      return fromFloat32(
        dtype,
        shape,
        dtype === 'float16' ? values.map((x) => Math.max(-6e4, Math.min(6e4, x))) : values,
      );
    });
    const packet = codec.encode(feature);
    const decoded = codec.decode(packet);
    for (const [i, { data, shape }] of decoded.entries()) {
      expect(shape).toEqual(codec.coded[i].shape);
      expect(data.length).toBe(elements(shape));
      expect(toFloat32(decoded[i]).some(Number.isNaN)).toBe(false);
    }
    const sum = codec.itemize(packet).reduce((bytes, item) => bytes + item.bytes, 0);
    expect(sum).toBeCloseTo(packet.length, 6);
    codec.idealBytes(feature);
  }
  codec.toBytes('card');
}

/** Reads and uses a file; `refused` with an IsthmusError, `works` otherwise. Anything else thrown fails the test. */
function outcome(file: Uint8Array): 'refused' | 'works' {
  let codec: Codec;
  try {
    codec = readCodec(file);
  } catch (error) {
    if (error instanceof IsthmusError) return 'refused';
    throw error;
  }
  if (codec.coded.every(({ shape }) => elements(shape) <= 10_000)) use(codec);
  return 'works';
}

describe('forged codec files', () => {
  const length = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 6 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, -1, 1.5, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 53, 1e300, null, '3') },
  );
  const shape = fc.array(length, { maxLength: 5 });
  const dtype = fc.constantFrom('float32', 'float16', 'float64');

  it('of raw and int8-deflate kinds are refused or work', () => {
    const seen = { refused: 0, works: 0 };
    const kind = fc.constantFrom('raw-f32', 'raw-f16', 'int8-deflate');
    const levels = fc.constantFrom(1, 2, 127, 128, 0, -1, 1.5, Number.NaN);
    fc.assert(
      fc.property(kind, fc.array(fc.tuple(shape, dtype), { maxLength: 3 }), levels, (kind, tensors, levels) => {
        const features = tensors.map(([shape, dtype], i) => tensorOf(shape, dtype, `f${i}`));
        seen[outcome(forge({ ...base, kind, features, ...(kind === 'int8-deflate' ? { levels } : {}) }))]++;
      }),
      { seed: 21, numRuns: 1500 },
    );
    expect(seen.works).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(100);
  });

  it('of the klt kind, with any layouts, floats and tables, are refused or work', () => {
    const seen = { refused: 0, works: 0 };
    const side = fc.integer({ min: 1, max: 4 });
    const float = fc.oneof(
      { weight: 20, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
      { weight: 1, arbitrary: fc.constantFrom(3.4028234663852886e38, -3.4028234663852886e38, 1e-45, Number.NaN) },
    );
    const step = fc.constantFrom(1, 0.01, 2 ** -126, 2 ** 127, 2 ** -127, 0, 5e-324, 1e308);
    const table = fc.record({
      low: fc.constantFrom(0, -3, 2 ** 29, -(2 ** 29), 2 ** 29 - 2, 2 ** 29 + 1, -(2 ** 31)),
      weights: fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }),
      error: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
    });
    const precision = fc.integer({ min: 8, max: 15 });
    fc.assert(
      fc.property(
        fc.tuple(side, side, side),
        side,
        step,
        precision,
        fc.array(float, { minLength: 1, maxLength: 20 }),
        fc.array(table, { minLength: 1, maxLength: 4 }),
        ([outer, length, inner], components, step, precision, floats, tables) => {
          const total = outer * length * inner;
          const take = (count: number, from: number) => {
            const view = new DataView(new ArrayBuffer(4 * count));
            for (let i = 0; i < count; i++) view.setFloat32(4 * i, floats[(from + i) % floats.length], true);
            return new Uint8Array(view.buffer);
          };
          const bytes: number[] = [1, precision, components, 0, 0, 0];
          const u16 = (value: number) => bytes.push(value & 255, (value >> 8) & 255);
          for (let c = 0; c < components; c++) {
            const { low, weights, error } = tables[c % tables.length];
            const frequencies = [1, ...weights.map((weight) => weight + 1)];
            frequencies[frequencies.length - 1] += 2 ** precision + error - frequencies.reduce((a, b) => a + b);
            u16(low & 0xffff);
            u16(low >> 16);
            u16(frequencies.length);
            frequencies.forEach(u16);
          }
          const layout: VectorLayout = { outer, length, inner };
          const definition = {
            ...base,
            kind: 'klt',
            features: [tensorOf([1, total])],
            parts: [{ layout, components, step }],
          };
          const entries = {
            'mean-0.f32': take(total, 0),
            'basis-0.f32': take(components * length, 7),
            'tables-0.bin': Uint8Array.from(bytes),
          };
          seen[outcome(forge(definition, entries))]++;
        },
      ),
      { seed: 22, numRuns: 2000 },
    );
    expect(seen.works).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(100);
  });

  it('of the klt kind with any ranges of vectors, and rows that synthesize, are refused or work', () => {
    const seen = { refused: 0, works: 0 };
    const table = (components: number) =>
      Uint8Array.from(
        [1, 8, components, 0, 0, 0, ...Array(components).fill([255, 255, 255, 255, 3, 0, 55, 0, 200, 0, 1, 0])].flat(),
      );
    const part = fc.record({
      tensor: fc.constantFrom(0, 0, 0, 0, 1, 2),
      first: fc.constantFrom(null, null, null, null, null, 0, 1, 2, 3, -1, 0.5, 2 ** 31),
      vectors: fc.constantFrom(1, 1, 2, 2, 3, 4, 0, 2 ** 31 - 1),
      components: fc.integer({ min: 1, max: 3 }),
      own: fc.boolean(),
      rows: fc.constantFrom(0, 0, 0, 0, 0, 0, 4, -4),
    });
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(4, 4, 4, 4, 4, 4, 3),
        (given, vectors) => {
          const layout: VectorLayout = { outer: 2, length: 3, inner: vectors / 2 };
          const entries: Record<string, Uint8Array> = {};
          let next = 0;
          const parts = given.map(({ own, rows, ...part }, i) => {
            // Mostly the last part ends where the tensor does.
            const rest = i === given.length - 1 && part.vectors > 1 && next < 4 ? 4 - next : part.vectors;
            const count = rest < 10 ? rest : 1;
            entries[`mean-${i}.f32`] = new Uint8Array(12 * count);
            entries[`basis-${i}.f32`] = new Uint8Array(12 * part.components);
            if (own) entries[`synthesis-${i}.f32`] = new Uint8Array(Math.max(0, 12 * part.components + rows)).fill(63);
            entries[`tables-${i}.bin`] = table(part.components);
            const first = part.first ?? next;
            next = first + count;
            return { ...part, vectors: rest, first, layout, step: 0.5 };
          });
          const definition = { ...base, version: 3, kind: 'klt', features: [tensorOf([2, 3, 2])], parts };
          seen[outcome(forge(definition, entries))]++;
        },
      ),
      { seed: 23, numRuns: 2000 },
    );
    expect(seen.works).toBeGreaterThan(50);
    expect(seen.refused).toBeGreaterThan(100);
  });

  it('with any bytes of codec.json changed are refused or work', () => {
    const json = rawCodec('raw-f32', { features: [{ name: 'f', dtype: 'float32', shape: [1, 2, 3] }] }).entries.get(
      'codec.json',
    ) as Uint8Array;
    const edit = fc.record({
      at: fc.nat(json.length),
      remove: fc.nat(3),
      insert: fc.string({ unit: 'binary', maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        let text = new TextDecoder().decode(json);
        for (const { at, remove, insert } of edits) text = text.slice(0, at) + insert + text.slice(at + remove);
        outcome(writeArchive(new Map([['codec.json', utf8(text)]])));
      }),
      { seed: 23, numRuns: 3000 },
    );
  });

  it('that are any bytes are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(outcome(bytes)).toBe('refused');
        expect(outcome(Uint8Array.from([0x50, 0x4b, 3, 4, ...bytes]))).toBe('refused');
      }),
      { seed: 24, numRuns: 2000 },
    );
  });
});

describe('codec files that ask for much', () => {
  const withJson = (json: string) => writeArchive(new Map([['codec.json', utf8(json)]]));

  it('by a long codec.json are refused before it is parsed', () => {
    expect(codeOf(() => readCodec(withJson('['.repeat(2 ** 20 + 1))))).toBe('LIMIT_EXCEEDED');
  });

  it.each([
    ['lists in lists', '['.repeat(500_000) + ']'.repeat(500_000)],
    ['objects in objects', `${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}`],
    [
      'a million wrong tensors',
      JSON.stringify({ ...base, kind: 'raw-f32', entries: {}, features: new Array(300_000).fill(0) }),
    ],
    [
      'wrong dimensions',
      JSON.stringify({ ...base, kind: 'raw-f32', entries: {}, features: [tensorOf(new Array(500_000).fill(0))] }),
    ],
    ['unknown keys', `{${Array.from({ length: 90_000 }, (_, i) => `"k${i}":0`).join()},"kind":"raw-f32"}`],
    [
      'entries',
      JSON.stringify({
        ...base,
        kind: 'raw-f32',
        features: [tensorOf([1])],
        entries: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`e${i}`, 'x'])),
      }),
    ],
  ])('by %s in a megabyte of codec.json are refused with a short message', (_, json) => {
    expect(json.length).toBeLessThanOrEqual(2 ** 20);
    let message = '';
    try {
      readCodec(withJson(json));
    } catch (error) {
      expect(error).toBeInstanceOf(IsthmusError);
      message = (error as Error).message;
    }
    expect(message).not.toBe('');
    expect(message.length).toBeLessThan(500);
  });

  it('by a feature above the cap are refused, and pass where the user raises it', () => {
    const file = forge({ ...base, kind: 'raw-f32', features: [tensorOf([1, 2 ** 27])] });
    expect(codeOf(() => readCodec(file))).toBe('LIMIT_EXCEEDED');
    expect(readCodec(file, { featureBytes: 2 ** 29 }).features[0].shape).toEqual([1, 2 ** 27]);
  });

  it('decode no packet that is too short for what it would unfold to', () => {
    const codec = readCodec(forge({ ...base, kind: 'int8-deflate', levels: 127, features: [tensorOf([1, 2 ** 26])] }));
    const head = new Uint8Array(4);
    const stream = deflateSync(new Uint8Array(2 ** 20));
    const packet = sealPacket(codec.id, Uint8Array.from([...head, ...stream]));
    expect(() => codec.decode(packet)).toThrow(/cannot have/);
  });

  it('above the cap on the file are refused by both readers', () => {
    const file = forge({ ...base, kind: 'raw-f32', features: [tensorOf([1])] });
    expect(codeOf(() => readCodec(file, { codecBytes: 10 }))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => readCard(file, { codecBytes: 10 }))).toBe('LIMIT_EXCEEDED');
  });
});

describe('codecs made in code', () => {
  const feature = { name: 'f', dtype: 'float32', shape: [1, 2] } as const;

  it('are refused where their file could not be read', () => {
    const wrong = [
      () => int8DeflateCodec({ features: [feature] }, 500),
      () => int8DeflateCodec({ features: [feature] }, 0),
      () => rawCodec('raw-f32', { features: [] }),
      () => rawCodec('raw-f32', { features: [feature, feature] }),
      () => rawCodec('raw-f32', { features: [{ ...feature, shape: [1, 0] }] }),
      () => rawCodec('raw-f32', { features: [feature], model: { name: 'm', sha256: 'short' } }),
      () => kltCodec({ features: [feature] }, [part(Number.NaN)]),
      () => kltCodec({ features: [feature] }, [part(0)]),
    ];
    for (const make of wrong) expect(codeOf(make)).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => kltCodec({ features: [feature] }, []))).toBe('CODEC_INVALID');
    expect(codeOf(() => kltCodec({ features: [feature] }, [part(1)]))).toBe('none');
  });

  it.each([undefined, null, 'codec', [1, 2], new ArrayBuffer(4)])('are read from bytes, not from %j', (wrong) => {
    expect(codeOf(() => readCodec(wrong as unknown as Uint8Array))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => readCard(wrong as unknown as Uint8Array))).toBe('INVALID_ARGUMENT');
  });

  function part(step: number) {
    const layout = { outer: 1, length: 2, inner: 1 };
    const transform = { layout, components: 1, mean: new Float32Array(2), basis: Float32Array.of(1, 0) };
    const model = TableBank.fromBytes(Uint8Array.of(1, 8, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 255, 0, 1, 0), 1);
    return { transform, step, model: model };
  }
});
