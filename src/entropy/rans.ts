import { IsthmusError } from '../errors.ts';

/*
 * Range asymmetric numeral systems (J. Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman
 * coding with compression rate of arithmetic coding", arXiv:1311.2540), with integers that fit plain JavaScript's int32.
 *
 * Invariants, for a symbol of frequency f out of 2^p, whose cumulated frequency starts at c (1 <= f < 2^p, p <= 15):
 *   between symbols   LOW <= state < 2^31           (LOW = 2^15)
 *   before a push     state < f * 2^(31 - p)        (reached by emitting at most one 16-bit word)
 *   push              state' = floor(state / f) * 2^p + state mod f + c
 *   pop               c <= state' mod 2^p < c + f names the symbol, and push is undone exactly
 * A stream is the last state (32 bits, little-endian), then the words in the order a decoder takes them. An encoder starts at
 * LOW, so a decoder that ends at LOW with no words left has read exactly what was written.
 */
export const LOW = 1 << 15;

/** Most bits that {@link RansEncoder.pushBits} takes at once. */
export const MAX_RAW_BITS = 15;

/** Encodes symbols last to first; what is pushed last is decoded first. */
export class RansEncoder {
  #state = LOW;
  #words: Uint16Array;
  #count = 0;

  /** `capacity` is a guess of the 16-bit words needed; the buffer grows. */
  constructor(capacity = 1024) {
    this.#words = new Uint16Array(capacity);
  }

  /** A symbol with `frequency` of 2^`precision`, its cumulated frequency from `start`; frequency < 2^precision. */
  push(start: number, frequency: number, precision: number): void {
    let state = this.#state;
    if (state >>> (31 - precision) >= frequency) {
      if (this.#count === this.#words.length) this.#grow();
      this.#words[this.#count++] = state & 0xffff;
      state >>>= 16;
    }
    const quotient = (state / frequency) | 0;
    this.#state = (quotient << precision) + (state - quotient * frequency) + start;
  }

  /** The low `bits` bits of `value`, each as likely as the other; 1 <= bits <= 15. */
  pushBits(value: number, bits: number): void {
    this.push(value, 1, bits);
  }

  /** The stream. The encoder must not be used afterwards. */
  finish(): Uint8Array {
    const bytes = new Uint8Array(4 + 2 * this.#count);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.#state, true);
    for (let i = 0; i < this.#count; i++) view.setUint16(4 + 2 * i, this.#words[this.#count - 1 - i], true);
    return bytes;
  }

  #grow(): void {
    const words = new Uint16Array(2 * this.#words.length + 16);
    words.set(this.#words);
    this.#words = words;
  }
}

/** Decodes what {@link RansEncoder} wrote, first to last. */
export class RansDecoder {
  #state: number;
  #offset = 4;
  readonly #bytes: Uint8Array;

  /** Throws `PACKET_CORRUPT` where no encoder can have written `bytes`. */
  constructor(bytes: Uint8Array) {
    if (bytes.length < 4 || (bytes.length & 1) !== 0) {
      throw new IsthmusError(
        'PACKET_CORRUPT',
        `an entropy-coded stream has an even length from 4, this one ${bytes.length}`,
      );
    }
    this.#bytes = bytes;
    this.#state = bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24);
    if (this.#state < LOW)
      throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream starts with an impossible state');
  }

  /** The position within 2^`precision` that names the next symbol; {@link pop} takes the symbol off. */
  peek(precision: number): number {
    return this.#state & ((1 << precision) - 1);
  }

  /** Takes off the symbol that {@link peek} named. Throws `PACKET_CORRUPT` past the end. */
  pop(start: number, frequency: number, precision: number): void {
    const state = this.#state;
    const next = frequency * (state >>> precision) + (state & ((1 << precision) - 1)) - start;
    if (next >= LOW) {
      this.#state = next;
      return;
    }
    const offset = this.#offset;
    if (offset >= this.#bytes.length) {
      throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream ends before its symbols do');
    }
    this.#state = (next << 16) | this.#bytes[offset] | (this.#bytes[offset + 1] << 8);
    this.#offset = offset + 2;
  }

  /** The inverse of {@link RansEncoder.pushBits}. */
  popBits(bits: number): number {
    const value = this.peek(bits);
    this.pop(value, 1, bits);
    return value;
  }

  /** Checks that the stream was read to its end. Throws `PACKET_CORRUPT`. */
  finish(): void {
    if (this.#offset !== this.#bytes.length || this.#state !== LOW) {
      throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream holds more than its symbols');
    }
  }
}
