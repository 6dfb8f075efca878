import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Codec, readCodec } from '../../src/codec/index.ts';
import { lanesFor, ParametricModel, SCALES, SHAPES, TableBank } from '../../src/entropy/index.ts';
import { toFloat32 } from '../../src/tensor.ts';
import { feature, fitted, pair, tokens } from './features.ts';
import { learned } from './learned-codecs.ts';
import { decodePacket, openCodec, Refused } from './second-decoder.ts';
import { readModel as readSecond } from './second-decoder-models.ts';
import { parametricTable } from './second-decoder-parametric.ts';
import { lanesOf, Stream, takeLanes } from './second-decoder-stream.ts';

const golden = (file: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/golden/${file}`, import.meta.url)));
const manifest = JSON.parse(new TextDecoder().decode(golden('manifest.json')));

const hashOf = (integers: bigint[][]): string => {
  const all = integers.flat();
  const view = new DataView(new ArrayBuffer(4 * all.length));
  for (const [i, n] of all.entries()) view.setInt32(4 * i, Number(n), true);
  return createHash('sha256').update(new Uint8Array(view.buffer)).digest('hex');
};

describe('a decoder that follows the specifications and shares no code', () => {
  it.each(manifest.codecs as { file: string; id: string }[])('opens $file', ({ file, id }) => {
    expect(openCodec(golden(file)).identity).toBe(Number.parseInt(id, 16));
  });

  type Entry = { file: string; codec: string; integers: string | null };
  it.each(manifest.packets as Entry[])('decodes $file to the same numbers', (entry) => {
    const packet = golden(entry.file);
    const second = decodePacket(openCodec(golden(entry.codec)), packet);
    if (entry.integers !== null) expect(hashOf(second.integers)).toBe(entry.integers);
    const first = readCodec(golden(entry.codec)).decode(packet);
    expect(second.values).toEqual(first.map((tensor) => [...toFloat32(tensor)]));
  });
});

describe('streams of static tables', () => {
  type Entry = { file: string; lanes: 1 | 32; sequences: { tables: string; length: number }[]; integers: string };
  it.each(manifest.streams as Entry[])('decodes $file to the same integers', ({ file, lanes, sequences, integers }) => {
    const stream = new Stream(golden(file), lanes);
    const decoded = sequences.map(({ tables, length }) => {
      const bytes = golden(tables);
      const model = readSecond(bytes, bytes[2], 1);
      const { bank } = model;
      if (bank === undefined) throw new Error(`${tables} are no static tables`);
      const vectors = length / bank.tables.length;
      return lanes === 32 ? takeLanes(stream, bank, vectors) : model.take(stream, vectors);
    });
    stream.end();
    expect(hashOf(decoded)).toBe(integers);
  });

  it('have as many lanes by the rule, just below and just above where it changes', () => {
    for (const name of ['single', 'sparse', 'three', 'seventeen']) {
      const bytes = golden(`tables/${name}.bin`);
      const model = TableBank.fromBytes(bytes, bytes[2]);
      const { bank } = readSecond(bytes, bytes[2], 1);
      if (bank === undefined) throw new Error(`${name} are no static tables`);
      let [low, high] = [1, 2 ** 28];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (lanesOf([{ bank, vectors: middle }]) === 1) low = middle;
        else high = middle;
      }
      const lanes = [low, high].map((vectors) => lanesFor([{ model, length: vectors * model.size }]));
      expect(lanes, name).toEqual([1, 32]);
    }
  });
});

it('the second decoder has the same parametric tables', () => {
  for (const [s, shape] of SHAPES.entries()) {
    for (let scale = 0; scale < SCALES; scale++) {
      const { low, frequency } = new ParametricModel(shape, 12 + (scale % 2), Uint8Array.of(scale)).bank;
      const table = parametricTable(s, BigInt(scale), 12n + BigInt(scale % 2));
      expect(table.low, `${shape} ${scale}`).toBe(BigInt(low[0]));
      expect(table.frequencies.map(Number), `${shape} ${scale}`).toEqual([...frequency]);
    }
  }
});

describe('on codecs that were fitted', () => {
  const codecs: Codec[] = [];
  beforeAll(async () => {
    for (const source of [tokens, pair]) codecs.push(...(await fitted(source, [0.1, 2])));
    codecs.push(learned(0.1, 'predictive'), learned(2, 'static'));
  });

  it('decodes to the same numbers', () => {
    for (const codec of codecs) {
      const second = openCodec(codec.toBytes('# A card'));
      for (let seed = 500; seed < 505; seed++) {
        const packet = codec.encode(codec.coded.map(({ shape }, i) => feature(shape, seed + i)));
        const first = codec.decode(packet);
        expect(decodePacket(second, packet).values).toEqual(first.map((tensor) => [...toFloat32(tensor)]));
      }
    }
  });

  it('refuses a packet with a byte changed, which shows that it looks', () => {
    const packet = codecs[0].encode(codecs[0].features.map(({ shape }) => feature(shape, 1)));
    for (let at = 0; at < packet.length; at += 7) {
      const damaged = packet.slice();
      damaged[at] ^= 0x40;
      expect(() => decodePacket(openCodec(codecs[0].toBytes()), damaged)).toThrow(Refused);
    }
  });
});
