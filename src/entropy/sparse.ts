import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import type { SymbolCoder } from './coder.ts';
import { MAX_SYMBOL } from './escape.ts';
import { Histogram } from './histogram.ts';
import { TableBank } from './tables.ts';

const FORMAT = 3;
/** Bits of the probabilities of flags, and of the tables of magnitudes. With 15 the coder loses more than the flags gain. */
const PRECISION = 14;
const MOST = 2 ** PRECISION - 1;

/**
 * For very sparse data: whether a value is 0, then its sign, then its magnitude less 1, each with static probabilities of its
 * component. The flag is exact to 14 bits however wide the alphabet is, and nothing is spent on a table's rare places.
 */
export class SparseModel {
  readonly components: number;
  /** Probability / 2^14 of a value other than 0, and of a negative one among these; 1 to 2^14 - 1. */
  readonly #some: Uint16Array;
  readonly #negative: Uint16Array;
  /** One table of magnitudes for each component. */
  readonly #magnitudes: TableBank;

  private constructor(some: Uint16Array, negative: Uint16Array, magnitudes: TableBank) {
    this.components = some.length;
    this.#some = some;
    this.#negative = negative;
    this.#magnitudes = magnitudes;
  }

  /** Counts sample features of `components` components. */
  static fit(samples: readonly Int32Array[], components: number): SparseModel {
    const total = new Float64Array(components);
    const some = new Float64Array(components);
    const negative = new Float64Array(components);
    const magnitudes = Array.from({ length: components }, () => new Histogram());
    for (const sample of samples) {
      for (let i = 0; i < sample.length; i++) {
        const c = i % components;
        total[c]++;
        if (sample[i] === 0) continue;
        some[c]++;
        if (sample[i] < 0) negative[c]++;
        magnitudes[c].add(Math.abs(sample[i]) - 1);
      }
    }
    // The rule of Krichevsky and Trofimov: half a value of each kind beside those seen.
    const share = (count: number, of: number) =>
      Math.max(1, Math.min(MOST, Math.round((2 ** PRECISION * (count + 0.5)) / (of + 1))));
    return new SparseModel(
      Uint16Array.from(some, (count, c) => share(count, total[c])),
      Uint16Array.from(negative, (count, c) => share(count, some[c])),
      TableBank.fromHistograms(magnitudes, PRECISION),
    );
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const { components } = this;
    for (let i = 0, c = 0; i < values.length; i++) {
      const value = values[i];
      if (coder.bit(this.#some[c], PRECISION, value === 0 ? 0 : 1) === 0) {
        values[i] = 0;
      } else {
        const negative = coder.bit(this.#negative[c], PRECISION, value < 0 ? 1 : 0);
        const magnitude = 1 + this.#magnitudes.codeOne(coder, c, Math.abs(value) - 1);
        if (magnitude < 1 || magnitude > MAX_SYMBOL)
          throw new IsthmusError('PACKET_CORRUPT', `a magnitude is ${magnitude}`);
        values[i] = negative === 1 ? -magnitude : magnitude;
      }
      coder.next();
      if (++c === components) c = 0;
    }
  }

  /** The model as it stands in a codec file. */
  toBytes(): Uint8Array {
    const writer = new ByteWriter().u8(FORMAT).u32(this.components);
    for (const each of this.#some) writer.u16(each);
    for (const each of this.#negative) writer.u16(each);
    return writer.put(this.#magnitudes.toBytes()).finish();
  }

  /** Reads {@link toBytes}. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, components: number): SparseModel {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'sparse model');
    reader.u8();
    const stored = reader.u32();
    if (stored !== components)
      throw new IsthmusError('CODEC_INVALID', `sparse model: ${stored} components, expected ${components}`);
    const probabilities = () => {
      const piece = new ByteReader(reader.take(2 * components), 'CODEC_INVALID', 'sparse model');
      const read = Uint16Array.from({ length: components }, () => piece.u16());
      const wrong = read.find((p) => p < 1 || p > MOST);
      if (wrong !== undefined)
        throw new IsthmusError('CODEC_INVALID', `sparse model: a probability of ${wrong} / 2^14`);
      return read;
    };
    const some = probabilities();
    const negative = probabilities();
    return new SparseModel(some, negative, TableBank.fromBytes(reader.take(reader.remaining), components));
  }
}
