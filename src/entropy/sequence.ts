import { IsthmusError } from '../errors.ts';
import { kernels } from '../kernels/index.ts';
import { COST_PER_BIT, costOf } from './cost.ts';
import { KernelDecoder, KernelEncoder } from './kernel-coder.ts';
import { LANES, LaneDecoder, LaneEncoder } from './lanes.ts';
import { RansDecoder, RansEncoder } from './rans.ts';
import type { TableBank } from './tables.ts';

/** Integers and the tables that code them: vectors of `bank.size` components, one after the other. */
export interface Sequence {
  readonly bank: TableBank;
  /** Its length is a multiple of `bank.size`; each within ±MAX_SYMBOL. */
  readonly values: Int32Array;
}

export type Lanes = 1 | typeof LANES;

/** Bits that tables must expect of a stream for 32 lanes: their 124 bytes more are then less than 0.2 %. */
const LONG_BITS = 2 ** 19;

/**
 * How many states code sequences of these banks and numbers of values: a rule of integers that both sides know, so that no packet needs to
 * say it. One state for short streams; 32 where the tables themselves expect at least 64 KiB.
 */
export function lanesFor(sequences: readonly { readonly bank: TableBank; readonly length: number }[]): Lanes {
  let cost = 0;
  for (const { bank, length } of sequences) cost += (length / bank.size) * expectedCost(bank);
  return cost >= LONG_BITS * COST_PER_BIT ? LANES : 1;
}

/** What a vector costs on average if values come as the tables say, without what follows an escape: bits x 2^16, an integer. */
function expectedCost({ size, precision, offset, frequency }: TableBank): number {
  let cost = 0;
  for (let table = 0; table < size; table++) {
    let sum = 0;
    for (let i = offset[table]; i < offset[table + 1]; i++) sum += frequency[i] * costOf(frequency[i], precision);
    cost += Math.floor(sum / 2 ** precision);
  }
  return cost;
}

/**
 * One stream of all `sequences` in order: the same bytes from WebAssembly, where there is its SIMD, as from plain TypeScript.
 * Throws `INVALID_ARGUMENT` where values are not whole vectors.
 */
export function encodeSequences(sequences: readonly Sequence[], lanes: Lanes): Uint8Array {
  const backwards = sequences.toReversed();
  for (const sequence of sequences) checkWhole(sequence);
  const twin = kernels();
  if (twin) {
    const encoder = new KernelEncoder(twin, lanes);
    if (backwards.every(({ bank, values }) => encoder.push(bank, values))) return encoder.finish();
  }
  if (lanes === 1) {
    const encoder = new RansEncoder();
    for (const { bank, values } of backwards) bank.encode(values, encoder);
    return encoder.finish();
  }
  const encoder = new LaneEncoder();
  for (const { bank, values } of backwards) encoder.push(bank, values);
  return encoder.finish();
}

/** Fills the values of `sequences` from a stream. Throws `PACKET_CORRUPT` where it is not theirs to the last bit. */
export function decodeSequences(stream: Uint8Array, sequences: readonly Sequence[], lanes: Lanes): void {
  for (const sequence of sequences) checkWhole(sequence);
  const twin = kernels();
  if (twin) {
    const decoder = new KernelDecoder(twin, stream, lanes);
    if (sequences.every(({ bank, values }) => decoder.pop(bank, values))) {
      decoder.finish();
      return;
    }
  }
  if (lanes === 1) {
    const decoder = new RansDecoder(stream);
    for (const { bank, values } of sequences) bank.decode(decoder, values);
    decoder.finish();
  } else {
    const decoder = new LaneDecoder(stream);
    for (const { bank, values } of sequences) decoder.pop(bank, values);
    decoder.finish();
  }
}

function checkWhole({ bank, values }: Sequence): void {
  if (values.length % bank.size !== 0) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `${values.length} values are not whole vectors of the ${bank.size} components that the tables are for`,
    );
  }
}
