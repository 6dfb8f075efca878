import { COST_PER_BIT, costOf } from './cost.ts';
import { RansDecoder, RansEncoder } from './rans.ts';

/**
 * Where the decisions of an entropy model go: into a stream, out of one, or to a meter. A model is described once, in the order of
 * decoding, and so its encoder, its decoder and its cost cannot drift apart. Every function returns what was coded: writing and
 * metering that is the value given, reading ignores the value given and returns what the stream holds.
 */
export interface SymbolCoder {
  /**
   * One of `size` >= 2 symbols. `starts[at + k]` is where symbol k's cumulated frequency starts, out of 2^`precision` (at most 15);
   * starts[at] is 0, each is larger than the one before, and the last symbol reaches to 2^precision.
   */
  symbol(starts: Uint16Array, at: number, size: number, precision: number, symbol: number): number;
  /** 0 or 1; 1 has probability `one` / 2^`precision`, with 1 <= one < 2^precision and precision <= 15. */
  bit(one: number, precision: number, bit: number): number;
  /** A number of `bits` equiprobable binary digits, 1 <= bits <= 15. */
  raw(bits: number, value: number): number;
  /** Told after each value, so that who meters can say what it cost. */
  next(): void;
}

/** Notes decisions as they come and encodes them last to first, as rANS needs it, when the stream is finished. */
export class StreamWriter implements SymbolCoder {
  /** Of each decision its start and, 15 bits up, its frequency. */
  #interval = new Int32Array(4096);
  #precision = new Uint8Array(4096);
  #count = 0;

  symbol(starts: Uint16Array, at: number, size: number, precision: number, symbol: number): number {
    const start = starts[at + symbol];
    this.#note(start, (symbol + 1 < size ? starts[at + symbol + 1] : 1 << precision) - start, precision);
    return symbol;
  }

  bit(one: number, precision: number, bit: number): number {
    const zero = (1 << precision) - one;
    if (bit === 1) this.#note(zero, one, precision);
    else this.#note(0, zero, precision);
    return bit;
  }

  raw(bits: number, value: number): number {
    this.#note(value, 1, bits);
    return value;
  }

  next(): void {}

  /** The stream of {@link RansEncoder}. */
  finish(): Uint8Array {
    const encoder = new RansEncoder();
    for (let i = this.#count - 1; i >= 0; i--) {
      const interval = this.#interval[i];
      encoder.push(interval & 0x7fff, interval >>> 15, this.#precision[i]);
    }
    return encoder.finish();
  }

  #note(start: number, frequency: number, precision: number): void {
    if (this.#count === this.#precision.length) {
      const interval = new Int32Array(2 * this.#count);
      const precisions = new Uint8Array(2 * this.#count);
      interval.set(this.#interval);
      precisions.set(this.#precision);
      this.#interval = interval;
      this.#precision = precisions;
    }
    this.#interval[this.#count] = start | (frequency << 15);
    this.#precision[this.#count++] = precision;
  }
}

/** Reads decisions from a stream. Its functions throw `PACKET_CORRUPT` past the end. */
export class StreamReader implements SymbolCoder {
  readonly #decoder: RansDecoder;

  /** Throws `PACKET_CORRUPT` where no encoder can have written `bytes`. */
  constructor(bytes: Uint8Array) {
    this.#decoder = new RansDecoder(bytes);
  }

  symbol(starts: Uint16Array, at: number, size: number, precision: number): number {
    const slot = this.#decoder.peek(precision);
    let low = at;
    let high = at + size;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (starts[middle] <= slot) low = middle;
      else high = middle;
    }
    const end = low + 1 < at + size ? starts[low + 1] : 1 << precision;
    this.#decoder.pop(starts[low], end - starts[low], precision);
    return low - at;
  }

  bit(one: number, precision: number): number {
    const zero = (1 << precision) - one;
    if (this.#decoder.peek(precision) < zero) {
      this.#decoder.pop(0, zero, precision);
      return 0;
    }
    this.#decoder.pop(zero, one, precision);
    return 1;
  }

  raw(bits: number): number {
    return this.#decoder.popBits(bits);
  }

  next(): void {}

  /** Checks that the stream was read to its end. Throws `PACKET_CORRUPT`. */
  finish(): void {
    this.#decoder.finish();
  }
}

/** Adds up what decisions cost, in integers: bits x 2^16. */
export class CostMeter implements SymbolCoder {
  /** Bits x 2^16 so far. */
  cost = 0;

  symbol(starts: Uint16Array, at: number, size: number, precision: number, symbol: number): number {
    const end = symbol + 1 < size ? starts[at + symbol + 1] : 1 << precision;
    this.cost += costOf(end - starts[at + symbol], precision);
    return symbol;
  }

  bit(one: number, precision: number, bit: number): number {
    this.cost += costOf(bit === 1 ? one : (1 << precision) - one, precision);
    return bit;
  }

  raw(bits: number, value: number): number {
    this.cost += bits * COST_PER_BIT;
    return value;
  }

  next(): void {}
}
