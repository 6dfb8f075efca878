import { IsthmusError } from '../errors.ts';
import { codeOutside } from './escape.ts';
import { LOW } from './rans.ts';
import type { TableBank } from './tables.ts';

/** States that code side by side in a long stream, so that a processor works on many symbols at once. */
export const LANES = 32;
/** Words that one step of 32 symbols can take: one a symbol, and four for each escape. */
const STEP_WORDS = 5 * LANES;

/*
 * Vector v of a sequence belongs to lane v mod 32. Vectors go 32 at a time, within those the components one after the other, and
 * within a component the lanes; the lanes whose value is an escape then tell it, in order (docs/packet.md, "Lanes").
 */

/** Encodes with 32 states: sequences last to first, and in each the symbols last to first. */
export class LaneEncoder {
  readonly #states = new Int32Array(LANES).fill(LOW);
  #words = new Uint16Array(4096);
  /** Words are written downwards; this is where the last one stands. */
  #at = 4096;

  /** Puts `values` (vectors of the bank's components, |value| <= MAX_SYMBOL) before what was pushed earlier. */
  push(bank: TableBank, values: Int32Array): void {
    const { size } = bank;
    const vectors = values.length / size;
    const full = vectors - (vectors % LANES);
    const tables = Array.from({ length: size }, (_, c) => symbolTable(bank, c));
    const rest = new Int32Array(vectors - full);
    for (let c = size - 1; c >= 0; c--) {
      for (let lane = 0; lane < rest.length; lane++) rest[lane] = values[(full + lane) * size + c];
      this.#pushLanes(tables[c], rest);
    }
    if (size === 1) {
      this.#pushSteps(tables[0], values.subarray(0, full));
      return;
    }
    const step = new Int32Array(LANES);
    for (let first = full - LANES; first >= 0; first -= LANES) {
      for (let c = size - 1; c >= 0; c--) {
        for (let lane = 0, i = first * size + c; lane < LANES; lane++, i += size) step[lane] = values[i];
        this.#pushSteps(tables[c], step);
      }
    }
  }

  /** The stream. The encoder must not be used afterwards. */
  finish(): Uint8Array {
    const words = this.#words.length - this.#at;
    const bytes = new Uint8Array(4 * LANES + 2 * words);
    const view = new DataView(bytes.buffer);
    for (let lane = 0; lane < LANES; lane++) view.setInt32(4 * lane, this.#states[lane], true);
    for (let i = 0; i < words; i++) view.setUint16(4 * LANES + 2 * i, this.#words[this.#at + i], true);
    return bytes;
  }

  /** Values of one table, 32 at a time; four lanes at a time, so that their divisions and lookups overlap. */
  #pushSteps(table: SymbolTable, values: Int32Array): void {
    const { precision, low, count, intervals, reciprocals } = table;
    const states = this.#states;
    const shift = 31 - precision;
    const total = 1 << precision;
    const high = low + count - 1;
    for (let first = values.length - LANES; first >= 0; first -= LANES) {
      let outside = 0;
      for (let i = first; i < first + LANES; i++) outside |= (values[i] - low) | (high - values[i]);
      if (outside < 0) {
        this.#pushLanes(table, values.subarray(first, first + LANES));
        continue;
      }
      if (this.#at < STEP_WORDS) this.#grow();
      const words = this.#words;
      let at = this.#at;
      for (let lane = LANES - 4; lane >= 0; lane -= 4) {
        const i = first + lane;
        const i0 = values[i] - low;
        const i1 = values[i + 1] - low;
        const i2 = values[i + 2] - low;
        const i3 = values[i + 3] - low;
        const e0 = intervals[i0];
        const e1 = intervals[i1];
        const e2 = intervals[i2];
        const e3 = intervals[i3];
        const f0 = e0 & 0xffff;
        const f1 = e1 & 0xffff;
        const f2 = e2 & 0xffff;
        const f3 = e3 & 0xffff;
        let x0 = states[lane];
        let x1 = states[lane + 1];
        let x2 = states[lane + 2];
        let x3 = states[lane + 3];
        // -1 where a state is too full for its symbol: without branches, which nobody could foretell.
        const m3 = (f3 - 1 - (x3 >> shift)) >> 31;
        words[at - 1] = x3;
        at += m3;
        x3 >>= m3 & 16;
        const m2 = (f2 - 1 - (x2 >> shift)) >> 31;
        words[at - 1] = x2;
        at += m2;
        x2 >>= m2 & 16;
        const m1 = (f1 - 1 - (x1 >> shift)) >> 31;
        words[at - 1] = x1;
        at += m1;
        x1 >>= m1 & 16;
        const m0 = (f0 - 1 - (x0 >> shift)) >> 31;
        words[at - 1] = x0;
        at += m0;
        x0 >>= m0 & 16;
        states[lane] = x0 + (e0 >> 16) + Math.imul((x0 * reciprocals[i0]) | 0, total - f0);
        states[lane + 1] = x1 + (e1 >> 16) + Math.imul((x1 * reciprocals[i1]) | 0, total - f1);
        states[lane + 2] = x2 + (e2 >> 16) + Math.imul((x2 * reciprocals[i2]) | 0, total - f2);
        states[lane + 3] = x3 + (e3 >> 16) + Math.imul((x3 * reciprocals[i3]) | 0, total - f3);
      }
      this.#at = at;
    }
  }

  /** One value of each of the first lanes, at most 32. */
  #pushLanes({ precision, low, count, intervals, reciprocals }: SymbolTable, values: Int32Array): void {
    if (this.#at < STEP_WORDS) this.#grow();
    this.#pushEscapes(low, count, values);
    for (let lane = values.length - 1; lane >= 0; lane--) {
      const symbol = (values[lane] - low) >>> 0 < count ? values[lane] - low : count;
      this.#pushOne(lane, intervals[symbol], reciprocals[symbol], precision);
    }
  }

  /** What follows the escapes among the lanes' values. */
  #pushEscapes(low: number, count: number, values: Int32Array): void {
    for (let lane = values.length - 1; lane >= 0; lane--) {
      const value = values[lane];
      if ((value - low) >>> 0 < count) continue;
      const raws: { bits: number; part: number }[] = [];
      const raw = (bits: number, part: number): number => {
        raws.push({ bits, part });
        return part;
      };
      codeOutside({ raw }, low, count, value);
      for (const { bits, part } of raws.reverse()) this.#pushOne(lane, (part << 16) | 1, reciprocal(1), bits);
    }
  }

  /** A symbol of `interval` (start << 16 | frequency): with q = floor(x / f) the new state is q * 2^p + (x - q * f) + start. */
  #pushOne(lane: number, interval: number, reciprocal: number, precision: number): void {
    let x = this.#states[lane];
    const frequency = interval & 0xffff;
    if (x >> (31 - precision) >= frequency) {
      this.#words[--this.#at] = x;
      x >>= 16;
    }
    const quotient = (x * reciprocal) | 0;
    this.#states[lane] = x + (interval >> 16) + Math.imul(quotient, (1 << precision) - frequency);
  }

  #grow(): void {
    const words = new Uint16Array(2 * this.#words.length + STEP_WORDS);
    const moved = words.length - this.#words.length;
    words.set(this.#words, moved);
    this.#words = words;
    this.#at += moved;
  }
}

/** One table as the encoder wants it, by symbol: `count` values from `low` on, then the escape. */
interface SymbolTable {
  readonly precision: number;
  readonly low: number;
  readonly count: number;
  /** start << 16 | frequency */
  readonly intervals: Int32Array;
  readonly reciprocals: Float64Array;
}

function symbolTable({ precision, low, offset, start, frequency }: TableBank, table: number): SymbolTable {
  const [from, to] = [offset[table], offset[table + 1]];
  const frequencies = frequency.subarray(from, to);
  return {
    precision,
    low: low[table],
    count: to - 1 - from,
    intervals: Int32Array.from(frequencies, (f, i) => (start[from + i] << 16) | f),
    reciprocals: Float64Array.from(frequencies, reciprocal),
  };
}

/** A little above 1 / f, so that (x * reciprocal) | 0 is floor(x / f) for every x < 2^31. */
function reciprocal(frequency: number): number {
  return (1 + 2 ** -50) / frequency;
}

/** Decodes what {@link LaneEncoder} wrote, first to last. */
export class LaneDecoder {
  readonly #states: Int32Array;
  /** The words, and zeros that a step past the end may read. */
  readonly #words: Uint16Array;
  readonly #count: number;
  #at = 0;

  /** Throws `PACKET_CORRUPT` where no encoder can have written `bytes`. */
  constructor(bytes: Uint8Array) {
    this.#states = readStates(bytes, LANES);
    this.#count = (bytes.length - 4 * LANES) / 2;
    this.#words = new Uint16Array(this.#count + STEP_WORDS);
    for (let i = 0, at = 4 * LANES; i < this.#count; i++, at += 2) this.#words[i] = bytes[at] | (bytes[at + 1] << 8);
  }

  /** Fills `values` with what {@link LaneEncoder.push} put there. Throws `PACKET_CORRUPT`. */
  pop(bank: TableBank, values: Int32Array): void {
    const { size } = bank;
    const vectors = values.length / size;
    const full = vectors - (vectors % LANES);
    const slots = full > 0 ? slotTablesOf(bank) : [];
    if (size === 1 && slots[0]) {
      this.#popSteps(slots[0], values.subarray(0, full));
    } else {
      const step = new Int32Array(LANES);
      for (let first = 0; first < full; first += LANES) {
        for (let c = 0; c < size; c++) {
          const table = slots[c];
          if (table) this.#popSteps(table, step);
          else this.#popLanes(bank, c, step);
          for (let lane = 0, i = first * size + c; lane < LANES; lane++, i += size) values[i] = step[lane];
        }
      }
    }
    const rest = new Int32Array(vectors - full);
    for (let c = 0; c < size; c++) {
      this.#popLanes(bank, c, rest);
      for (let lane = 0; lane < rest.length; lane++) values[(full + lane) * size + c] = rest[lane];
    }
  }

  /** Checks that the stream was read to its end. Throws `PACKET_CORRUPT`. */
  finish(): void {
    checkEnd(this.#states, this.#at === this.#count);
  }

  /** Values of one table, 32 at a time, by its slots; four lanes at a time, so that their lookups overlap. */
  #popSteps(table: SlotTable, values: Int32Array): void {
    const { precision, low, symbols, intervals, likely, start, frequency } = table;
    const states = this.#states;
    const words = this.#words;
    const least = LOW;
    const mask = (1 << precision) - 1;
    const top = frequency - 1;
    let at = this.#at;
    for (let first = 0; first < values.length; first += LANES) {
      let seen = 0;
      for (let lane = 0; lane < LANES; lane += 4) {
        let x0 = states[lane];
        let x1 = states[lane + 1];
        let x2 = states[lane + 2];
        let x3 = states[lane + 3];
        const s0 = x0 & mask;
        const s1 = x1 & mask;
        const s2 = x2 & mask;
        const s3 = x3 & mask;
        const b0 = s0 - start;
        const b1 = s1 - start;
        const b2 = s2 - start;
        const b3 = s3 - start;
        const i = first + lane;
        if (frequency > 0 && (b0 | b1 | b2 | b3 | (top - b0) | (top - b1) | (top - b2) | (top - b3)) >= 0) {
          x0 = (Math.imul(frequency, x0 >> precision) + b0) | 0;
          x1 = (Math.imul(frequency, x1 >> precision) + b1) | 0;
          x2 = (Math.imul(frequency, x2 >> precision) + b2) | 0;
          x3 = (Math.imul(frequency, x3 >> precision) + b3) | 0;
          values[i] = likely;
          values[i + 1] = likely;
          values[i + 2] = likely;
          values[i + 3] = likely;
        } else {
          const k0 = symbols[s0];
          const k1 = symbols[s1];
          const k2 = symbols[s2];
          const k3 = symbols[s3];
          const e0 = intervals[k0];
          const e1 = intervals[k1];
          const e2 = intervals[k2];
          const e3 = intervals[k3];
          x0 = (Math.imul(e0 & 0xffff, x0 >> precision) + s0 - (e0 >> 16)) | 0;
          x1 = (Math.imul(e1 & 0xffff, x1 >> precision) + s1 - (e1 >> 16)) | 0;
          x2 = (Math.imul(e2 & 0xffff, x2 >> precision) + s2 - (e2 >> 16)) | 0;
          x3 = (Math.imul(e3 & 0xffff, x3 >> precision) + s3 - (e3 >> 16)) | 0;
          values[i] = low + k0;
          values[i + 1] = low + k1;
          values[i + 2] = low + k2;
          values[i + 3] = low + k3;
          seen |= k0 | k1 | k2 | k3;
        }
        if (x0 < least) x0 = (x0 << 16) | words[at++];
        if (x1 < least) x1 = (x1 << 16) | words[at++];
        if (x2 < least) x2 = (x2 << 16) | words[at++];
        if (x3 < least) x3 = (x3 << 16) | words[at++];
        states[lane] = x0;
        states[lane + 1] = x1;
        states[lane + 2] = x2;
        states[lane + 3] = x3;
      }
      this.#at = at;
      if (seen >= ESCAPE) {
        this.#popEscapes(low, ESCAPE, table.count, values.subarray(first, first + LANES));
        at = this.#at;
      }
      if (at > this.#count) this.#throwEnd();
    }
  }

  /** One value of each of the first lanes, by search. */
  #popLanes(bank: TableBank, table: number, values: Int32Array): void {
    const { precision } = bank;
    const from = bank.offset[table];
    const last = bank.offset[table + 1] - 1;
    const low = bank.low[table];
    let escaped = false;
    for (let lane = 0; lane < values.length; lane++) {
      const at = bank.find(table, this.#states[lane] & ((1 << precision) - 1));
      this.#popOne(lane, bank.start[at], bank.frequency[at], precision);
      values[lane] = low + at - from;
      if (at === last) escaped = true;
    }
    if (escaped) this.#popEscapes(low, last - from, last - from, values);
    if (this.#at > this.#count) this.#throwEnd();
  }

  /** Puts what follows an escape in the places where `low + marker` stands for one. */
  #popEscapes(low: number, marker: number, count: number, values: Int32Array): void {
    for (let lane = 0; lane < values.length; lane++) {
      if (values[lane] !== low + marker) continue;
      const raw = (bits: number): number => {
        const value = this.#states[lane] & ((1 << bits) - 1);
        this.#popOne(lane, value, 1, bits);
        return value;
      };
      values[lane] = codeOutside({ raw }, low, count, 0);
    }
  }

  #throwEnd(): never {
    throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream ends before its symbols do');
  }

  #popOne(lane: number, start: number, frequency: number, precision: number): void {
    const x = this.#states[lane];
    const next = Math.imul(frequency, x >> precision) + (x & ((1 << precision) - 1)) - start;
    this.#states[lane] = next < LOW ? (next << 16) | this.#words[this.#at++] : next;
  }
}

/** Stands for the escape in a slot table; symbols are below it. */
const ESCAPE = 128;

/** Which symbol each slot holds, and the symbols' intervals. */
interface SlotTable {
  readonly precision: number;
  /** The alphabet is low to low + count - 1. */
  readonly low: number;
  readonly count: number;
  /** Symbol of each slot; 128 stands for the escape. */
  readonly symbols: Uint8Array;
  /** start << 16 | frequency of each symbol. */
  readonly intervals: Int32Array;
  /** The likeliest value and its interval, where it is so likely that it is tried first; frequency 0 where not. */
  readonly likely: number;
  readonly start: number;
  readonly frequency: number;
}

/** Share of one symbol from which four lanes often hold nothing else. */
const LIKELY = 0.9;
/** A bank of more tables is searched instead: slot tables would not stay in a cache. */
const MOST_SLOT_TABLES = 16;
const slotTables = new WeakMap<TableBank, (SlotTable | null)[]>();

function slotTablesOf(bank: TableBank): (SlotTable | null)[] {
  let tables = slotTables.get(bank);
  if (!tables) {
    tables = Array.from({ length: bank.size }, (_, i) => (bank.size > MOST_SLOT_TABLES ? null : slotTable(bank, i)));
    slotTables.set(bank, tables);
  }
  return tables;
}

/** Null where there are more symbols than a slot table tells apart. */
function slotTable({ precision, low, offset, start, frequency }: TableBank, table: number): SlotTable | null {
  const from = offset[table];
  const last = offset[table + 1] - 1;
  if (last - from > ESCAPE) return null;
  const symbols = new Uint8Array(1 << precision);
  const intervals = new Int32Array(ESCAPE + 1);
  let likely = from;
  for (let i = from; i <= last; i++) {
    const symbol = i === last ? ESCAPE : i - from;
    symbols.fill(symbol, start[i], start[i] + frequency[i]);
    intervals[symbol] = (start[i] << 16) | frequency[i];
    if (frequency[i] > frequency[likely]) likely = i;
  }
  const first = likely < last && frequency[likely] >= LIKELY * (1 << precision);
  return {
    precision,
    low: low[table],
    count: last - from,
    symbols,
    intervals,
    likely: low[table] + likely - from,
    start: start[likely],
    frequency: first ? frequency[likely] : 0,
  };
}

/** The first states of a stream. Throws `PACKET_CORRUPT` where no encoder can have written it. */
export function readStates(stream: Uint8Array, lanes: number): Int32Array {
  if (stream.length < 4 * lanes || (stream.length & 1) !== 0) {
    throw new IsthmusError(
      'PACKET_CORRUPT',
      `an entropy-coded stream has an even length from ${4 * lanes}, this one ${stream.length}`,
    );
  }
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const states = Int32Array.from({ length: lanes }, (_, lane) => view.getInt32(4 * lane, true));
  if (states.some((state) => state < LOW)) {
    throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream starts with an impossible state');
  }
  return states;
}

/** Throws `PACKET_CORRUPT` unless a decoder stands where its encoder began. */
export function checkEnd(states: Int32Array, ended: boolean): void {
  if (!ended || states.some((state) => state !== LOW)) {
    throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream holds more than its symbols');
  }
}
