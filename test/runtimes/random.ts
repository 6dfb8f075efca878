import { integerBytes, valueBytes } from '../../fixtures/golden/decoded.ts';
import { words } from '../../fixtures/golden/words.ts';
import type { Codec } from '../../src/codec/index.ts';
import { MAX_SYMBOL, TableBank } from '../../src/entropy/index.ts';
import { decodeSequences, encodeSequences, type Lanes } from '../../src/entropy/sequence.ts';
import { elements, fromFloat32 } from '../../src/tensor.ts';

/* Seeded inputs made of integers and float32 rounding, which are the same everywhere, and what they become, for a hash. */

type Hash = { update(bytes: Uint8Array): unknown };

/** About as many random values go through each codec, in at most `MOST_FEATURES` features. */
const RANDOM_VALUES = 4000;
const MOST_FEATURES = 50;

/**
 * Random features through a codec and back: magnitudes from far below a step to far past the ends of an alphabet. Hashes packets, integers
 * and values; gives the number of features.
 */
export function randomPackets(codec: Codec, seed: number, hash: Hash): number {
  const next = words(seed);
  const size = codec.coded.reduce((sum, { shape }) => sum + elements(shape), 0);
  const features = Math.max(1, Math.min(MOST_FEATURES, Math.ceil(RANDOM_VALUES / Math.max(1, size))));
  for (let i = 0; i < features; i++) {
    const scale = 2 ** ((next() % 16) - 6);
    const floats = (length: number) => Float32Array.from({ length }, () => (next() / 2 ** 31 - 1) * scale);
    const packet = codec.encode(
      codec.coded.map(({ dtype, shape }) => fromFloat32(dtype, shape, floats(elements(shape)))),
    );
    hash.update(packet);
    hash.update(integerBytes(codec, packet) ?? new Uint8Array());
    hash.update(valueBytes(codec.decode(packet)));
  }
  return features;
}

/** The static tables that a codec file holds. */
export function banksOf({ entries }: Codec): TableBank[] {
  return [...entries]
    .filter(([name, bytes]) => /^tables-\d+\.bin$/.test(name) && bytes[0] === 1)
    .map(([, bytes]) => TableBank.fromBytes(bytes, new DataView(bytes.buffer, bytes.byteOffset).getUint32(2, true)));
}

/** One value in so many is anything that can be coded; the others reach to one past both ends of their alphabet. */
const RARE = 64;

/** Random vectors through tables and back, hashing the stream. Tells the first value that comes back as another one, or null. */
export function randomStream(bank: TableBank, vectors: number, lanes: Lanes, seed: number, hash: Hash): string | null {
  const next = words(seed);
  const values = Int32Array.from({ length: vectors * bank.size }, (_, i) => {
    const table = i % bank.size;
    const symbols = bank.offset[table + 1] - bank.offset[table];
    if (next() % RARE === 0) return (next() % (2 * MAX_SYMBOL + 1)) - MAX_SYMBOL;
    return bank.low[table] - 1 + (next() % (symbols + 1));
  });
  const stream = encodeSequences([{ model: bank, values }], lanes);
  hash.update(stream);
  const decoded = new Int32Array(values.length);
  decodeSequences(stream, [{ model: bank, values: decoded }], lanes);
  const at = values.findIndex((value, i) => value !== decoded[i]);
  return at < 0 ? null : `value ${at} of ${values.length} is ${values[at]} and comes back as ${decoded[at]}`;
}
