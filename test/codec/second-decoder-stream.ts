/*
 * The stream of `klt` packets for the second decoder, after docs/packet.md: BigInt throughout, states in a list, one function for
 * whatever is taken off a state.
 */

export class Refused extends Error {}

export function need(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Refused(what);
}

/** A symbol's place among its fellows, and its interval. */
export interface Found {
  index: number;
  s: bigint;
  f: bigint;
}

export interface Table {
  low: bigint;
  frequencies: bigint[];
  /** For each slot the symbol, once the table was used. */
  found?: Found[];
}

export interface Bank {
  precision: bigint;
  tables: Table[];
}

const LOW = 1n << 15n;
export const MOST = 1n << 29n;

export class Stream {
  readonly #view: DataView;
  readonly #states: bigint[];
  #at: number;

  constructor(body: Uint8Array, lanes: number) {
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    need(body.length >= 4 * lanes && body.length % 2 === 0, 'stream length');
    this.#states = Array.from({ length: lanes }, (_, lane) => BigInt(this.#view.getUint32(4 * lane, true)));
    this.#at = 4 * lanes;
    for (const state of this.#states) need(state >= LOW && state < 1n << 31n, 'first state');
  }

  /** Takes a symbol of precision p, which `find` tells by its slot. */
  take(p: bigint, find: (slot: bigint) => Found, lane = 0): number {
    const state = this.#states[lane];
    const slot = state % (1n << p);
    const { index, s, f } = find(slot);
    let next = f * (state / (1n << p)) + slot - s;
    if (next < LOW) {
      need(this.#at < this.#view.byteLength, 'a word');
      next = next * 65536n + BigInt(this.#view.getUint16(this.#at, true));
      this.#at += 2;
    }
    this.#states[lane] = next;
    return index;
  }

  raw(bits: number, lane = 0): bigint {
    if (bits === 0) return 0n;
    return BigInt(this.take(BigInt(bits), (slot) => ({ index: Number(slot), s: slot, f: 1n }), lane));
  }

  bit(n: bigint, p: bigint): boolean {
    const zero = (1n << p) - n;
    return 1 === this.take(p, (slot) => (slot < zero ? { index: 0, s: 0n, f: zero } : { index: 1, s: zero, f: n }));
  }

  distance(lane = 0): bigint {
    const digits = Number(this.raw(5, lane));
    need(digits <= 30, 'digits');
    const low = this.raw(Math.min(digits, 15), lane);
    const rest = low + (this.raw(Math.max(0, digits - 15), lane) << 15n);
    return 2n ** BigInt(digits) + rest - 1n;
  }

  /** An integer of the alphabet, or null for the escape. */
  symbol(table: Table, precision: bigint, lane = 0): bigint | null {
    table.found ??= table.frequencies.flatMap((f, index) => {
      const s = table.frequencies.slice(0, index).reduce((a, b) => a + b, 0n);
      return new Array<Found>(Number(f)).fill({ index, s, f });
    });
    const { found } = table;
    const k = this.take(precision, (slot) => found[Number(slot)], lane);
    return k < table.frequencies.length - 1 ? table.low + BigInt(k) : null;
  }

  /** What follows the escape. */
  outside({ low, frequencies }: Table, most: bigint, lane = 0): bigint {
    const below = this.raw(1, lane) === 1n;
    const distance = this.distance(lane);
    const integer = below ? low - 1n - distance : low + BigInt(frequencies.length - 1) + distance;
    need(integer >= -most && integer <= most, 'escaped integer');
    return integer;
  }

  integer({ precision, tables }: Bank, table: number, most = MOST): bigint {
    return this.symbol(tables[table], precision) ?? this.outside(tables[table], most);
  }

  end(): void {
    need(this.#states.every((state) => state === LOW) && this.#at === this.#view.byteLength, 'the end');
  }
}

/** log2(f) * 2^16. */
function logarithm(f: bigint): bigint {
  const e = BigInt(f.toString(2).length - 1);
  let m = (f << 60n) / 2n ** e;
  let digits = e;
  for (let i = 0; i < 17; i++) {
    m = (m * m) / 2n ** 60n;
    digits *= 2n;
    if (m < 2n ** 61n) continue;
    m /= 2n;
    digits += 1n;
  }
  return (digits + 1n) / 2n;
}

const logarithms = new Map<bigint, bigint>();

/** Costs of a vector. */
function costOf({ precision, tables }: Bank): bigint {
  let all = 0n;
  for (const { frequencies } of tables) {
    let sum = 0n;
    for (const f of frequencies) {
      const log = logarithms.get(f) ?? logarithm(f);
      logarithms.set(f, log);
      sum += f * (precision * 65536n - log);
    }
    all += sum >> precision;
  }
  return all;
}

/** The lanes of a stream of static tables. */
export function lanesOf(parts: readonly { bank: Bank; vectors: number }[]): number {
  const costs = parts.map(({ bank, vectors }) => BigInt(vectors) * costOf(bank));
  return costs.reduce((a, b) => a + b, 0n) >= 2n ** 35n ? 32 : 1;
}

/** Where the segments of a tensor start, and its end. */
export function startsOf(bank: Bank, vectors: number): number[] {
  const V = BigInt(vectors);
  const most = [(V * BigInt(bank.tables.length)) >> 20n, (V * costOf(bank)) >> 35n, V >> 5n];
  const n = most.reduce((a, b) => (a < b ? a : b));
  if (n < 2n) return [0, vectors];
  const starts = Array.from({ length: Number(n) }, (_, s) => Number(((BigInt(s) * V) / n / 32n) * 32n));
  return [...starts, vectors];
}

/** The integers of one tensor with 32 lanes. */
export function takeLanes(stream: Stream, { precision, tables }: Bank, vectors: number): bigint[] {
  const C = tables.length;
  const integers = new Array<bigint>(vectors * C);
  for (let group = 0; group < vectors; group += 32) {
    const lanes = Array.from({ length: Math.min(32, vectors - group) }, (_, lane) => lane);
    for (const [c, table] of tables.entries()) {
      const symbols = lanes.map((lane) => stream.symbol(table, precision, lane));
      for (const lane of lanes) {
        integers[(group + lane) * C + c] = symbols[lane] ?? stream.outside(table, MOST, lane);
      }
    }
  }
  return integers;
}
