import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import { CostMeter, type SymbolCoder } from './coder.ts';
import { codeOutside, ESCAPE_LENGTH_BITS, MAX_SYMBOL } from './escape.ts';
import { quantizeFrequencies } from './frequencies.ts';
import type { Histogram } from './histogram.ts';
import { MAX_RAW_BITS, type RansDecoder, type RansEncoder } from './rans.ts';

const BUCKET_BITS = 8;
/** Escapes expected beyond those seen, by the rule of succession: half a value. */
const ESCAPE_PRIOR = 0.5;
const FORMAT = 1;
/** Share of the bits that the coder's 31-bit state loses at each precision, measured on Laplacians of 0.08 to 3.4 bits. */
const CODER_LOSS = [
  [12, 0.00002],
  [13, 0.0001],
  [14, 0.0004],
  [15, 0.0015],
] as const;

/** One table: the integers from `low` on, and their frequencies with the escape's last. */
export interface Table {
  readonly low: number;
  readonly frequencies: Uint16Array;
}

/**
 * An immutable bank of static frequency tables; position i of a sequence uses table i mod `size`. A table holds the
 * integers `low` to `high` and, last, an escape: a value outside is sent as the escape, its side, and its distance past the end
 * in Elias-gamma form with equiprobable bits.
 */
export class TableBank {
  readonly precision: number;
  readonly size: number;
  /** The least integer of each table's alphabet. */
  readonly low: Int32Array;
  /** Table t's frequencies stand from `offset[t]` to `offset[t + 1]`, the escape's last. */
  readonly offset: Int32Array;
  readonly frequency: Uint16Array;
  /** The cumulated frequency where each symbol starts, in the places of `frequency`. */
  readonly start: Uint16Array;
  /** For each table and each of 256 buckets of the position: the first symbol that reaches into the bucket. */
  readonly bucket: Uint16Array;

  /** Integers of a vector where position i uses table i mod `size`. */
  get components(): number {
    return this.size;
  }

  private constructor(precision: number, low: Int32Array, offset: Int32Array, frequency: Uint16Array) {
    this.precision = precision;
    this.size = low.length;
    this.low = low;
    this.offset = offset;
    this.frequency = frequency;
    this.start = new Uint16Array(frequency.length);
    this.bucket = new Uint16Array(this.size << BUCKET_BITS);
    const shift = precision - BUCKET_BITS;
    for (let table = 0; table < this.size; table++) {
      let start = 0;
      let bucket = 0;
      for (let i = offset[table]; i < offset[table + 1]; i++) {
        this.start[i] = start;
        start += frequency[i];
        for (; bucket < 256 && bucket << shift < start; bucket++) {
          this.bucket[(table << BUCKET_BITS) + bucket] = i - offset[table];
        }
      }
    }
  }

  /**
   * Compiles one table from each histogram, trimmed to the values that are worth a place. `precision` is 8 to 15 bits.
   * Throws `INVALID_ARGUMENT`.
   */
  static fromHistograms(histograms: readonly Histogram[], precision: number): TableBank {
    return TableBank.fromFrequencies(
      histograms.map((histogram) => compileTable(histogram, precision)),
      precision,
    );
  }

  /**
   * The same with the least precision of 12 to 15 bits that codes the histograms in 0.05 % of the fewest bits: more bits round rare
   * values less, lose more in the coder, and make larger tables to look things up in.
   */
  static fit(histograms: readonly Histogram[]): TableBank {
    const tried = CODER_LOSS.map(([precision, loss]) => {
      const bank = TableBank.fromHistograms(histograms, precision);
      let cost = 0;
      for (const [table, histogram] of histograms.entries()) {
        for (let value = histogram.low; value <= histogram.high; value++) {
          const count = histogram.count(value);
          if (count > 0) cost += count * bank.cost(table, value);
        }
      }
      return { bank, cost: cost * (1 + loss) };
    });
    const least = Math.min(...tried.map(({ cost }) => cost));
    return (tried.find(({ cost }) => cost <= 1.0005 * least) ?? tried[0]).bank;
  }

  /**
   * Tables of these alphabets and frequencies, the escape's last, which sum to 2^`precision`: how a model that computes its tables
   * gets a bank.
   */
  static fromFrequencies(tables: readonly Table[], precision: number): TableBank {
    const offset = new Int32Array(tables.length + 1);
    for (let i = 0; i < tables.length; i++) offset[i + 1] = offset[i] + tables[i].frequencies.length;
    const frequency = new Uint16Array(offset[tables.length]);
    for (let i = 0; i < tables.length; i++) frequency.set(tables[i].frequencies, offset[i]);
    return new TableBank(
      precision,
      Int32Array.from(tables, (t) => t.low),
      offset,
      frequency,
    );
  }

  /** The bank as it stands in a codec file (docs/codec-file.md, "tables"). */
  toBytes(): Uint8Array {
    const writer = new ByteWriter().u8(FORMAT).u8(this.precision).u32(this.size);
    for (let table = 0; table < this.size; table++) {
      const [from, to] = [this.offset[table], this.offset[table + 1]];
      writer.u32(this.low[table] >>> 0).u16(to - from);
      for (let i = from; i < to; i++) writer.u16(this.frequency[i]);
    }
    return writer.finish();
  }

  /** Reads {@link toBytes}. `size` is the number of tables that the codec needs. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, size: number): TableBank {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'frequency tables');
    const [format, precision, stored] = [reader.u8(), reader.u8(), reader.u32()];
    if (format !== FORMAT)
      throw new IsthmusError('CODEC_VERSION', `frequency tables have format ${format}, known is ${FORMAT}`);
    if (precision < BUCKET_BITS || precision > MAX_RAW_BITS || stored !== size) {
      throw new IsthmusError(
        'CODEC_INVALID',
        `frequency tables: ${stored} of ${precision} bits, expected ${size} of 8 to 15`,
      );
    }
    // A table takes 10 bytes at least; what a file merely claims is not allocated.
    if (reader.remaining < 10 * size) {
      throw new IsthmusError('CODEC_INVALID', `frequency tables: ${size} do not fit into ${bytes.length} bytes`);
    }
    const low = new Int32Array(size);
    const offset = new Int32Array(size + 1);
    // A typed array of what the bytes can hold at most: a list would take many times the file.
    const frequencies = new Uint16Array(bytes.length >>> 1);
    for (let table = 0; table < size; table++) {
      low[table] = reader.u32() | 0;
      const symbols = reader.u16();
      let sum = 0;
      for (let i = 0; i < symbols; i++) {
        const frequency = reader.u16();
        if (frequency < 1) throw new IsthmusError('CODEC_INVALID', `frequency table ${table} holds a zero`);
        sum += frequency;
        frequencies[offset[table] + i] = frequency;
      }
      if (symbols < 2 || sum !== 2 ** precision || Math.abs(low[table]) > MAX_SYMBOL) {
        throw new IsthmusError(
          'CODEC_INVALID',
          `frequency table ${table} has ${symbols} symbols from ${low[table]} that sum to ${sum}, not to ${2 ** precision}`,
        );
      }
      offset[table + 1] = offset[table] + symbols;
    }
    reader.end();
    return new TableBank(precision, low, offset, frequencies.slice(0, offset[size]));
  }

  /** Pushes `values` (|value| <= {@link MAX_SYMBOL}) so that they decode in order. */
  encode(values: Int32Array, encoder: RansEncoder): void {
    const { precision, size } = this;
    let table = (values.length + size - 1) % size;
    for (let i = values.length - 1; i >= 0; i--) {
      const from = this.offset[table];
      const last = this.offset[table + 1] - 1;
      const at = from + values[i] - this.low[table];
      if (at >= from && at < last) {
        encoder.push(this.start[at], this.frequency[at], precision);
      } else {
        pushEscape(encoder, at < from ? from - 1 - at : at - last, at < from ? 1 : 0);
        encoder.push(this.start[last], this.frequency[last], precision);
      }
      table = table === 0 ? size - 1 : table - 1;
    }
  }

  /** Where in `start` and `frequency` the symbol stands that holds `slot` (0 to 2^precision - 1) in a table. */
  find(table: number, slot: number): number {
    const last = this.offset[table + 1] - 1;
    let at = this.offset[table] + this.bucket[(table << BUCKET_BITS) + (slot >>> (this.precision - BUCKET_BITS))];
    while (at < last && this.start[at + 1] <= slot) at++;
    return at;
  }

  /** Fills `values` with what {@link encode} pushed. Throws `PACKET_CORRUPT`. */
  decode(decoder: RansDecoder, values: Int32Array): void {
    const { precision, size } = this;
    let table = 0;
    for (let i = 0; i < values.length; i++) {
      const from = this.offset[table];
      const last = this.offset[table + 1] - 1;
      const at = this.find(table, decoder.peek(precision));
      decoder.pop(this.start[at], this.frequency[at], precision);
      values[i] = at < last ? this.low[table] + at - from : popEscape(decoder, this.low[table], last - from);
      table = table + 1 === size ? 0 : table + 1;
    }
  }

  /** Codes `values` with any coder, position i with table i mod `size`; the stream is that of {@link encode}. Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    let table = 0;
    for (let i = 0; i < values.length; i++) {
      values[i] = this.codeOne(coder, table, values[i]);
      coder.next();
      table = table + 1 === this.size ? 0 : table + 1;
    }
  }

  /** The same with a table named for each value, as a hyperprior does: values[i] with table indices[i] < `size`. */
  codeIndexed(coder: SymbolCoder, values: Int32Array, indices: Uint16Array): void {
    for (let i = 0; i < values.length; i++) {
      values[i] = this.codeOne(coder, indices[i], values[i]);
      coder.next();
    }
  }

  /** One value, at most `most` in magnitude, with one table. Returns the value. Throws `PACKET_CORRUPT`. */
  codeOne(coder: SymbolCoder, table: number, value: number, most = MAX_SYMBOL): number {
    const from = this.offset[table];
    const count = this.offset[table + 1] - 1 - from;
    const low = this.low[table];
    const distance = value - low;
    const given = distance >= 0 && distance < count ? distance : count;
    const symbol = coder.symbol(this.start, from, count + 1, this.precision, given);
    return symbol < count ? low + symbol : codeOutside(coder, low, count, value, most);
  }

  /** What `value` costs with a table: bits x 2^16, the integer that rate-distortion optimized quantization asks for. */
  cost(table: number, value: number): number {
    const meter = new CostMeter();
    this.codeOne(meter, table, value);
    return meter.cost;
  }

  /** Bits that `values` cost under the tables' own probabilities, escapes included; what a coder can at best reach. */
  bits(values: Int32Array): number {
    return this.bitsByTable(values).reduce((sum, bits) => sum + bits, 0);
  }

  /** The same bits, for each table those of its own values; length `size`. */
  bitsByTable(values: Int32Array): Float64Array {
    const bits = new Float64Array(this.size);
    for (let i = 0; i < values.length; i++) {
      const table = i % this.size;
      const from = this.offset[table];
      const last = this.offset[table + 1] - 1;
      const at = from + values[i] - this.low[table];
      const inside = at >= from && at < last;
      bits[table] += this.precision - Math.log2(this.frequency[inside ? at : last]);
      if (!inside) bits[table] += escapeBits(at < from ? from - 1 - at : at - last);
    }
    return bits;
  }
}

/** Bits after the escape symbol for a value `distance` past the end of the alphabet: side, length, and the digits after the first. */
function escapeBits(distance: number): number {
  return 1 + ESCAPE_LENGTH_BITS + 31 - Math.clz32(distance + 1);
}

/** Pushes side (1: below the alphabet) and distance, in the reverse of the order {@link popEscape} takes. */
function pushEscape(encoder: RansEncoder, distance: number, below: number): void {
  const digits = 31 - Math.clz32(distance + 1);
  const rest = (distance + 1) ^ (1 << digits);
  if (digits > MAX_RAW_BITS) encoder.pushBits(rest >>> MAX_RAW_BITS, digits - MAX_RAW_BITS);
  if (digits > 0) encoder.pushBits(rest & ((1 << MAX_RAW_BITS) - 1), Math.min(digits, MAX_RAW_BITS));
  encoder.pushBits(digits, ESCAPE_LENGTH_BITS);
  encoder.pushBits(below, 1);
}

function popEscape(decoder: RansDecoder, low: number, symbols: number): number {
  const below = decoder.popBits(1);
  const digits = decoder.popBits(ESCAPE_LENGTH_BITS);
  if (digits > 2 * MAX_RAW_BITS)
    throw new IsthmusError('PACKET_CORRUPT', `an escaped value claims ${digits} binary digits`);
  let rest = digits > 0 ? decoder.popBits(Math.min(digits, MAX_RAW_BITS)) : 0;
  if (digits > MAX_RAW_BITS) rest |= decoder.popBits(digits - MAX_RAW_BITS) << MAX_RAW_BITS;
  const distance = ((1 << digits) | rest) - 1;
  const value = below === 1 ? low - 1 - distance : low + symbols + distance;
  if (Math.abs(value) > MAX_SYMBOL) throw new IsthmusError('PACKET_CORRUPT', `an escaped value is ${value}`);
  return value;
}

/**
 * One table's frequencies, the escape's last. The ends of the histogram are trimmed while an end's value costs less as an
 * escape than its place takes from the others: a place takes at least 1 / 2^precision of the probability, which all
 * other values pay for with log2(e) / 2^precision bits each.
 */
function compileTable(histogram: Histogram, precision: number): Table {
  const { total } = histogram;
  const mostSymbols = 2 ** (precision - 2);
  const placeBits = (total * Math.LOG2E) / 2 ** precision;
  const worth = (value: number, distance: number): boolean => {
    const count = histogram.count(value);
    return count * (precision + escapeBits(distance) - Math.log2(total / Math.max(count, 1))) > placeBits;
  };
  let { low, high } = histogram;
  while (low < high && (high - low >= mostSymbols || !worth(low, 0) || !worth(high, 0))) {
    if (!worth(low, 0) || (high - low >= mostSymbols && histogram.count(low) < histogram.count(high))) low++;
    else high--;
  }
  const weights = new Float64Array(high - low + 2);
  let inside = 0;
  for (let value = low; value <= high; value++) {
    weights[value - low] = histogram.smoothed(value);
    inside += histogram.count(value);
  }
  weights[high - low + 1] = total - inside + ESCAPE_PRIOR;
  return { low, frequencies: quantizeFrequencies(weights, precision) };
}
