import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  AdaptiveModel,
  decodeSequences,
  type EntropyModel,
  encodeSegments,
  encodeSequences,
  lanesFor,
  type Segment,
  type Sequence,
  segmentsOf,
  splitSegments,
  useKernels,
} from '../../src/entropy/index.ts';
import { KERNELS } from '../../src/kernels/inlined.ts';
import { codeOf } from '../code-of.ts';
import { bank } from './banks.ts';
import { uniforms } from './cases.ts';

const module = new WebAssembly.Module(Buffer.from(KERNELS, 'base64'));

const wide = bank(64, 2000); // 1.5 bits a value
const narrow = bank(64, 4000); // 0.19 bits a value
const adaptive = new AdaptiveModel(64, { terms: [{ vector: 1, component: 0, weight: 1 }], cap: 3, thresholds: [1, 2] });

/** Values as the tables expect them, and some escapes. */
function values(length: number, zero: number, seed: number): Int32Array {
  const next = uniforms(seed);
  const values = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const u = next() * 4096;
    if (u >= zero) values[i] = u < 4095 ? (u < (4096 + zero) / 2 ? -1 : 1) : Math.floor(next() * 1000) - 500;
  }
  return values;
}

const of = (sequences: readonly Sequence[]) =>
  segmentsOf(sequences.map(({ model, values: { length } }) => ({ model, length })));

function decode(body: Uint8Array, models: readonly EntropyModel[], segments: readonly Segment[]): Int32Array[] {
  const all: number[] = models.map(() => 0);
  for (const { ranges } of segments) for (const { part, to } of ranges) all[part] = to * models[part].components;
  const whole = all.map((length) => new Int32Array(length));
  for (const [i, stream] of splitSegments(body, segments).entries()) {
    const { ranges, lanes } = segments[i];
    const sequences = ranges.map(({ part, from, to }) => {
      const { components } = models[part];
      return { model: models[part], values: whole[part].subarray(from * components, to * components) };
    });
    decodeSequences(stream, sequences, lanes);
  }
  return whole;
}

describe('segments', () => {
  const count = (model: EntropyModel, length: number) => segmentsOf([{ model, length }]).length;

  it('are one for each 2^20 values and 2^19 bits of static tables', () => {
    expect(count(wide, 0)).toBe(1);
    expect(count(wide, 2 ** 21 - 64)).toBe(1);
    expect(count(wide, 2 ** 21)).toBe(2);
    expect(count(wide, 3 * 2 ** 20 - 64)).toBe(2);
    expect(count(wide, 3 * 2 ** 20)).toBe(3);
    // Tables that expect few bits ask for more values.
    expect(count(narrow, 2 ** 22)).toBe(1);
    expect(count(narrow, 2 ** 23)).toBe(2);
    // Other models wait for each value.
    expect(count(adaptive, 2 ** 24)).toBe(1);
    // Vectors so long that fewer than 32 would be left for a segment.
    const long = bank(2 ** 16, 2000);
    expect(count(long, 2 ** 22)).toBe(2);
    expect(count(long, 2 ** 21)).toBe(1);
  });

  it('are one stream of all parts unless a part is long', () => {
    expect(
      segmentsOf([
        { model: wide, length: 2 ** 21 - 64 },
        { model: narrow, length: 64 * 5 },
      ]),
    ).toEqual([
      {
        ranges: [
          { part: 0, from: 0, to: 2 ** 15 - 1 },
          { part: 1, from: 0, to: 5 },
        ],
        lanes: 32,
      },
    ]);
    expect(
      segmentsOf([
        { model: narrow, length: 64 * 5 },
        { model: wide, length: 2 ** 21 + 64 * 37 },
        { model: adaptive, length: 64 * 7 },
      ]),
    ).toEqual([
      { ranges: [{ part: 0, from: 0, to: 5 }], lanes: 1 },
      { ranges: [{ part: 1, from: 0, to: 16384 }], lanes: 32 },
      { ranges: [{ part: 1, from: 16384, to: 32805 }], lanes: 32 },
      { ranges: [{ part: 2, from: 0, to: 7 }], lanes: 1 },
    ]);
  });

  it('cover each vector once, none is empty, and all but the last start and end at multiples of 32', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 24 }), fc.integer({ min: 1, max: 5000 }), (length, components) => {
        const vectors = Math.floor(length / components);
        const model = bank(components, 2000);
        const segments = segmentsOf([{ model, length: vectors * components }]);
        let at = 0;
        for (const { ranges, lanes } of segments) {
          expect(ranges).toHaveLength(1);
          expect(ranges[0].from).toBe(at);
          at = ranges[0].to;
          if (segments.length > 1) expect(at).toBeGreaterThan(ranges[0].from);
          if (at < vectors) expect(at % 32).toBe(0);
          expect(lanes).toBe(lanesFor([{ model, length: (at - ranges[0].from) * components }]));
        }
        expect(at).toBe(vectors);
      }),
      { seed: 11, numRuns: 100 },
    );
  });
});

describe('a body of segments', () => {
  afterEach(() => useKernels(module));
  const large: Sequence[] = [
    { model: wide, values: values(2 ** 21 + 64 * 37, 2000, 1) },
    { model: adaptive, values: values(64 * 7, 2000, 2) },
  ];

  it('is the one stream where there is one segment', () => {
    const small = [
      { model: wide, values: values(64 * 300, 2000, 3) },
      { model: adaptive, values: values(64 * 7, 2000, 4) },
    ];
    expect(encodeSegments(small, of(small))).toEqual(encodeSequences(small, 1));
  });

  it('is lengths and then the streams that the segments are by themselves', () => {
    const [first, second] = [0, 1].map((i) => {
      const cut = [0, 16384 * 64, large[0].values.length];
      return encodeSequences([{ model: wide, values: large[0].values.slice(cut[i], cut[i + 1]) }], 32);
    });
    const third = encodeSequences([large[1]], 1);
    const lengths = [first, second].flatMap(({ length: n }) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24]);
    expect(encodeSegments(large, of(large))).toEqual(Uint8Array.from([...lengths, ...first, ...second, ...third]));
  });

  it('is the same in TypeScript, and read by it', () => {
    const body = encodeSegments(large, of(large));
    useKernels(null);
    expect(Buffer.compare(encodeSegments(large, of(large)), body)).toBe(0);
    for (const [i, got] of decode(body, [wide, adaptive], of(large)).entries())
      expect(same(got, large[i].values)).toBe(true);
  });

  it('decodes to the same integers as one stream of them', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 2 ** 21 + 20_000, max: 2 ** 22 + 2 ** 20 }),
        fc.constantFrom(1, 3, 64, 1000, 20_000),
        (seed, length, components) => {
          const model = bank(components, 2000);
          const sequence = { model, values: values(Math.floor(length / components) * components, 2000, seed) };
          const segments = of([sequence]);
          expect(segments.length).toBeGreaterThan(1);
          const [got] = decode(encodeSegments([sequence], segments), [model], segments);
          const whole = { model, values: new Int32Array(sequence.values.length) };
          decodeSequences(encodeSequences([sequence], 32), [whole], 32);
          expect(same(got, whole.values)).toBe(true);
          expect(same(got, sequence.values)).toBe(true);
        },
      ),
      { seed: 12, numRuns: 8 },
    );
  });

  it('costs at most 0.3 % more than one stream', () => {
    const [sequence] = large;
    const whole = encodeSequences([sequence], 32).length;
    expect(encodeSegments([sequence], of([sequence])).length).toBeLessThan(whole * 1.003);
  });

  it('is refused where its lengths are not those of such streams, before a stream is read', () => {
    const segments = of(large);
    const body = encodeSegments(large, segments);
    const lengths = new DataView(body.buffer);
    const [first, second] = [lengths.getUint32(0, true), lengths.getUint32(4, true)];
    const withLengths = (a: number, b: number, bytes = body): string => {
      const other = bytes.slice();
      new DataView(other.buffer).setUint32(0, a, true);
      new DataView(other.buffer).setUint32(4, b, true);
      return codeOf(() => splitSegments(other, segments));
    };
    expect(withLengths(first, second)).toBe('none');
    // Shorter than the lengths, than the states of 32 lanes, than those of one.
    for (const length of [0, 1, 7, 8, 135, 137, 8 + 128 + 128, 8 + 128 + 128 + 2]) {
      expect(withLengths(128, 128, body.slice(0, Math.max(length, 8))), `${length}`).toBe('PACKET_CORRUPT');
      expect(
        codeOf(() => splitSegments(body.subarray(0, length), segments)),
        `${length}`,
      ).toBe('PACKET_CORRUPT');
    }
    expect(withLengths(128, 128, body.slice(0, 8 + 128 + 128 + 4))).toBe('none');
    const rest = body.length - 8;
    for (const [a, b] of [
      [0, second],
      [2, second],
      [126, second],
      [first, 126],
      [first + 1, second],
      [first, second - 1],
      [first - 1, second + 1],
      [rest, 0],
      [rest - 128, 128],
      [rest - 130, 128],
      [2 ** 31, second],
      [2 ** 32 - 2, 2 ** 32 - 2],
      [2 ** 32 - 1, first + second + 1],
      [first, rest - first],
      [first, rest - first - 2],
    ]) {
      expect(withLengths(a, b), `${a}, ${b}`).toBe('PACKET_CORRUPT');
    }
  });

  it('is refused where a length is moved from one stream to the next', () => {
    const segments = of(large);
    const body = encodeSegments(large, segments);
    const view = new DataView(body.buffer);
    view.setUint32(0, view.getUint32(0, true) + 2, true);
    view.setUint32(4, view.getUint32(4, true) - 2, true);
    expect(codeOf(() => decode(body, [wide, adaptive], segments))).toBe('PACKET_CORRUPT');
  });
});

function same(a: Int32Array, b: Int32Array): boolean {
  return (
    Buffer.compare(
      Buffer.from(a.buffer, a.byteOffset, a.byteLength),
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}
