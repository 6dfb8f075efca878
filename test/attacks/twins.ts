import { KernelDecoder, KernelEncoder } from '../../src/entropy/kernel-coder.ts';
import { LANES, LaneDecoder, LaneEncoder } from '../../src/entropy/lanes.ts';
import { RansDecoder, RansEncoder } from '../../src/entropy/rans.ts';
import type { Lanes } from '../../src/entropy/sequence.ts';
import { TableBank } from '../../src/entropy/tables.ts';
import { kernels } from '../../src/kernels/index.ts';
import { Dice } from './dice.ts';
import type { Subject } from './golden.ts';

/** A bank of tables, integers under it and their stream, for the coder in TypeScript and its twin in WebAssembly. */
export interface TwinSample {
  readonly name: string;
  readonly lanes: Lanes;
  readonly bank: TableBank;
  readonly values: Int32Array;
  readonly stream: Uint8Array;
}

/** For the tables of each golden klt codec: one lane with a few vectors, 32 lanes with whole groups and a rest. */
export function twinSamples(subjects: readonly Subject[]): TwinSample[] {
  return subjects.flatMap(({ file, codec }) =>
    [...codec.entries]
      .filter(([name, bytes]) => name.startsWith('tables') && bytes[0] === 1)
      .flatMap(([name, bytes], i) => {
        const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(2, true);
        const bank = TableBank.fromBytes(bytes, size);
        return ([1, LANES] as const).map((lanes) => {
          const dice = new Dice(lanes, i);
          const values = Int32Array.from({ length: (lanes === 1 ? 7 : 2 * LANES + 5) * size }, (_, k) => {
            const near = bank.low[k % size] + dice.below(4);
            return dice.below(30) === 0 ? dice.int32() >> (2 + dice.below(29)) : near;
          });
          return { name: `${file}/${name}`, lanes, bank, values, stream: encodePlain([bank], [values], lanes) };
        });
      }),
  );
}

/** In TypeScript: the stream of several lists of values, each under its own bank. */
export function encodePlain(banks: readonly TableBank[], values: readonly Int32Array[], lanes: Lanes): Uint8Array {
  if (lanes === 1) {
    const encoder = new RansEncoder();
    for (let i = banks.length - 1; i >= 0; i--) banks[i].encode(values[i], encoder);
    return encoder.finish();
  }
  const encoder = new LaneEncoder();
  for (let i = banks.length - 1; i >= 0; i--) encoder.push(banks[i], values[i]);
  return encoder.finish();
}

/** In TypeScript: lists of `lengths` values, each under its own bank. */
export function decodePlain(
  banks: readonly TableBank[],
  stream: Uint8Array,
  lengths: readonly number[],
  lanes: Lanes,
): Int32Array[] {
  if (lanes === 1) {
    const decoder = new RansDecoder(stream);
    const values = banks.map((bank, i) => {
      const list = new Int32Array(lengths[i]);
      bank.decode(decoder, list);
      return list;
    });
    decoder.finish();
    return values;
  }
  const decoder = new LaneDecoder(stream);
  const values = banks.map((bank, i) => {
    const list = new Int32Array(lengths[i]);
    decoder.pop(bank, list);
    return list;
  });
  decoder.finish();
  return values;
}

/** Null where there is no WebAssembly. */
export function encodeByKernels(bank: TableBank, values: Int32Array, lanes: Lanes): Uint8Array | null {
  const twin = kernels();
  if (twin === null) return null;
  const encoder = new KernelEncoder(twin, lanes);
  return encoder.push(bank, values) ? encoder.finish() : null;
}

/** Null where there is no WebAssembly. */
export function decodeByKernels(bank: TableBank, stream: Uint8Array, count: number, lanes: Lanes): Int32Array | null {
  const twin = kernels();
  if (twin === null) return null;
  const values = new Int32Array(count);
  const decoder = new KernelDecoder(twin, stream, lanes);
  if (!decoder.pop(bank, values)) return null;
  decoder.finish();
  return values;
}
