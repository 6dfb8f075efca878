import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import type { SymbolCoder } from './coder.ts';
import { codeDistance, MAX_SYMBOL } from './escape.ts';
import {
  checkNeighbourhood,
  NeighbourGrid,
  type Neighbourhood,
  readNeighbourhood,
  writeNeighbourhood,
} from './neighbourhood.ts';

const FORMAT = 6;
/** States have 15 bits; what is coded has 14, where rANS with its 16-bit words loses little (15 bits: 0.2 %). */
const STATE_BITS = 15;
const ONE = 1 << STATE_BITS;
const PRECISION = 14;
/** Symbols: magnitudes 0 to 14, and 15 for all larger ones, which go on in Elias-gamma form. */
const SYMBOLS = 16;
/** Each symbol's share that adapting cannot take away, out of 2^14. */
const FLOOR = 1;
/** Updates move by 2^-3 at first, then less, down to 2^-SLOWEST. */
const FIRST = 3;
const SLOWEST = 7;

/**
 * Adaptive tables of 16 symbols for data that nobody trained for: one for each context of decoded neighbours, which starts as a
 * geometric distribution and moves towards what comes, first fast, then slowly. The file holds the neighbourhood alone.
 * After the symbol coder of AV1 (Alliance for Open Media, "AV1 Bitstream & Decoding Process", 8.2.6).
 */
export class AdaptiveModel {
  readonly components: number;
  readonly neighbourhood: Neighbourhood;

  /** Throws `INVALID_ARGUMENT` for a neighbourhood that a decoder could not follow. */
  constructor(components: number, neighbourhood: Neighbourhood) {
    checkNeighbourhood(neighbourhood);
    this.components = components;
    this.neighbourhood = neighbourhood;
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const { components } = this;
    const contexts = this.neighbourhood.thresholds.length + 1;
    const grid = new NeighbourGrid(this.neighbourhood, Math.ceil(values.length / components), components);
    // cumulated[x * 16 + k] is the probability, out of 2^15, of a symbol below k.
    const cumulated = new Uint16Array(contexts * SYMBOLS);
    for (let k = 0; k < SYMBOLS; k++) for (let x = 0; x < contexts; x++) cumulated[x * SYMBOLS + k] = ONE - (ONE >> k);
    const seen = new Uint16Array(contexts);
    const starts = new Uint16Array(SYMBOLS);
    for (let i = 0, vector = 0; i < values.length; vector++) {
      for (let c = 0; c < components && i < values.length; c++, i++) {
        const context = grid.context(vector, c);
        const from = context * SYMBOLS;
        for (let k = 1; k < SYMBOLS; k++) {
          starts[k] = ((cumulated[from + k] * ((1 << PRECISION) - SYMBOLS * FLOOR)) >>> STATE_BITS) + k * FLOOR;
        }
        const given = Math.abs(values[i]);
        let magnitude = coder.symbol(starts, 0, SYMBOLS, PRECISION, Math.min(given, SYMBOLS - 1));
        const rate = Math.min(SLOWEST, FIRST + (31 - Math.clz32(seen[context] + 1)) / 2) | 0;
        if (seen[context] < 1024) seen[context]++;
        for (let k = 1; k < SYMBOLS; k++) {
          const target = k > magnitude ? ONE : 0;
          cumulated[from + k] += (target - cumulated[from + k]) >> rate;
        }
        if (magnitude === SYMBOLS - 1) magnitude += codeDistance(coder, given - magnitude);
        if (magnitude > MAX_SYMBOL) throw new IsthmusError('PACKET_CORRUPT', `a magnitude is ${magnitude}`);
        if (magnitude > 0 && coder.raw(1, values[i] < 0 ? 1 : 0) === 1) magnitude = -magnitude;
        values[i] = magnitude;
        grid.set(vector, c, magnitude);
        coder.next();
      }
    }
  }

  /** The model as it stands in a codec file. */
  toBytes(): Uint8Array {
    const writer = new ByteWriter().u8(FORMAT).u32(this.components);
    writeNeighbourhood(writer, this.neighbourhood);
    return writer.finish();
  }

  /** Reads {@link toBytes}. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, components: number): AdaptiveModel {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'adaptive model');
    reader.u8();
    const stored = reader.u32();
    if (stored !== components)
      throw new IsthmusError('CODEC_INVALID', `adaptive model: ${stored} components, expected ${components}`);
    const neighbourhood = readNeighbourhood(reader);
    reader.end();
    return new AdaptiveModel(components, neighbourhood);
  }
}
