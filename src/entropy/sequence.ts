import { IsthmusError } from '../errors.ts';
import { kernels } from '../kernels/index.ts';
import { StreamReader, StreamWriter } from './coder.ts';
import { COST_PER_BIT, costOf } from './cost.ts';
import { KernelDecoder, KernelEncoder } from './kernel-coder.ts';
import { LANES, LaneDecoder, LaneEncoder } from './lanes.ts';
import type { EntropyModel } from './model.ts';
import { RansDecoder, RansEncoder } from './rans.ts';
import { TableBank } from './tables.ts';

/** Integers and the model that codes them: vectors of the model's components, one after the other. */
export interface Sequence {
  readonly model: EntropyModel;
  /** Whole vectors; each integer within ±MAX_SYMBOL. */
  readonly values: Int32Array;
}

export type Lanes = 1 | typeof LANES;

/** Bits that tables must expect of a stream for 32 lanes: their 124 bytes more are then less than 0.2 %. */
const LONG_BITS = 2 ** 19;

/**
 * How many states code sequences of these models and numbers of values: a rule of integers that both sides know, so that no packet needs to
 * say it. 32 where static tables are all there is and themselves expect at least 64 KiB, else one: other models wait for each value
 * before the next, so that lanes would not make them faster.
 */
export function lanesFor(sequences: readonly { readonly model: EntropyModel; readonly length: number }[]): Lanes {
  let cost = 0;
  for (const { model, length } of sequences) {
    if (!(model instanceof TableBank)) return 1;
    cost += (length / model.size) * expectedCost(model);
  }
  return cost >= LONG_BITS * COST_PER_BIT ? LANES : 1;
}

/** What a vector costs on average if values come as the tables say, without what follows an escape: bits x 2^16, an integer. */
export function expectedCost({ size, precision, offset, frequency }: TableBank): number {
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
 * 32 lanes take static tables only. Throws `INVALID_ARGUMENT`.
 */
export function encodeSequences(sequences: readonly Sequence[], lanes: Lanes): Uint8Array {
  for (const sequence of sequences) checkWhole(sequence);
  const backwards = sequences.toReversed();
  const twin = kernels();
  if (twin) {
    const encoder = new KernelEncoder(twin, lanes);
    if (backwards.every(({ model, values }) => encoder.push(model, values))) return encoder.finish();
  }
  if (lanes === 1) {
    if (banksOnly(sequences)) {
      const encoder = new RansEncoder();
      for (const { model, values } of backwards) bankOf(model).encode(values, encoder);
      return encoder.finish();
    }
    const writer = new StreamWriter();
    for (const { model, values } of sequences) model.code(writer, values);
    return writer.finish();
  }
  const encoder = new LaneEncoder();
  for (const { model, values } of backwards) encoder.push(bankOf(model), values);
  return encoder.finish();
}

/** Fills the values of `sequences` from a stream. Throws `PACKET_CORRUPT` where it is not theirs to the last bit. */
export function decodeSequences(stream: Uint8Array, sequences: readonly Sequence[], lanes: Lanes): void {
  for (const sequence of sequences) checkWhole(sequence);
  const twin = kernels();
  if (twin) {
    const decoder = new KernelDecoder(twin, stream, lanes);
    if (sequences.every(({ model, values }) => decoder.pop(model, values))) {
      decoder.finish();
      return;
    }
  }
  if (lanes === 1 && banksOnly(sequences)) {
    const decoder = new RansDecoder(stream);
    for (const { model, values } of sequences) bankOf(model).decode(decoder, values);
    decoder.finish();
  } else if (lanes === 1) {
    const reader = new StreamReader(stream);
    for (const { model, values } of sequences) model.code(reader, values);
    reader.finish();
  } else {
    const decoder = new LaneDecoder(stream);
    for (const { model, values } of sequences) decoder.pop(bankOf(model), values);
    decoder.finish();
  }
}

function checkWhole({ model, values }: Sequence): void {
  if (values.length % model.components !== 0) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `${values.length} values are not whole vectors of the ${model.components} components that the model is for`,
    );
  }
}

/** Tables alone go straight to the coder, twice as fast as through the calls that serve every model; the stream is the same. */
function banksOnly(sequences: readonly Sequence[]): boolean {
  return sequences.every(({ model }) => model instanceof TableBank);
}

function bankOf(model: EntropyModel): TableBank {
  if (model instanceof TableBank) return model;
  throw new IsthmusError('INVALID_ARGUMENT', `${LANES} lanes code static tables only, not this model`);
}
