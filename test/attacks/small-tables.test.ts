import { beforeAll, describe, expect, it } from 'vitest';
import {
  Histogram,
  MAX_SYMBOL,
  quantizeFrequencies,
  RansDecoder,
  RansEncoder,
  TableBank,
} from '../../src/entropy/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { codeOf } from '../code-of.ts';

/*
 * What builds tables, on all small alphabets: enumerated, not sampled.
 */

beforeAll(() => {
  Error.stackTraceLimit = 0;
});

/** All lists of `length` numbers 0 to `most`. */
function* lists(length: number, most: number): Generator<number[]> {
  const list = new Array<number>(length).fill(0);
  for (;;) {
    yield list;
    let at = 0;
    for (; at < length && list[at] === most; at++) list[at] = 0;
    if (at === length) return;
    list[at]++;
  }
}

/** The least cost of any table of 2^precision for `weights`, every frequency at least 1: over all of them, symbol by symbol. */
function leastCost(weights: readonly number[], precision: number, logs: Float64Array): number {
  const total = 2 ** precision;
  let best = new Float64Array(total + 1).fill(Infinity);
  best[0] = 0;
  for (const weight of weights) {
    const next = new Float64Array(total + 1).fill(Infinity);
    for (let used = 0; used < total; used++) {
      if (best[used] === Infinity) continue;
      for (let f = 1; used + f <= total; f++) {
        const cost = best[used] + weight * (precision - logs[f]);
        if (cost < next[used + f]) next[used + f] = cost;
      }
    }
    best = next;
  }
  return best[total];
}

describe('quantizeFrequencies', () => {
  const logs = Float64Array.from({ length: 257 }, (_, f) => Math.log2(f));

  it.each([
    [1, 4, [1, 2, 3, 8]],
    [2, 4, [1, 2, 3, 4, 5, 8]],
    [3, 4, [2, 3, 4, 5, 8]],
    [4, 4, [2, 3, 4, 5]],
    [5, 4, [3, 4, 5]],
    [6, 2, [3, 4]],
    [8, 1, [3, 4, 5]],
  ])('%i symbols of weights 0 to %i in %j bits: all cost least, sum and have no zero', (symbols, most, precisions) => {
    for (const weights of lists(symbols, most)) {
      for (const precision of precisions) {
        const frequencies = quantizeFrequencies(weights, precision);
        let [sum, least, cost] = [0, Infinity, 0];
        for (let i = 0; i < symbols; i++) {
          sum += frequencies[i];
          least = Math.min(least, frequencies[i]);
          cost += weights[i] * (precision - logs[frequencies[i]]);
        }
        if (sum !== 2 ** precision || least < 1 || cost > leastCost(weights, precision, logs) + 1e-9) {
          expect.fail(`[${weights}] in ${precision} bits gives [${frequencies}]`);
        }
      }
    }
  });

  it('refuses more symbols than places and takes as many', () => {
    for (let precision = 1; precision <= 10; precision++) {
      for (const symbols of [0, 1, 2 ** precision - 1, 2 ** precision, 2 ** precision + 1]) {
        const code = codeOf(() => quantizeFrequencies(new Array(symbols).fill(1), precision));
        expect(code).toBe(symbols >= 1 && symbols <= 2 ** precision ? 'none' : 'INVALID_ARGUMENT');
      }
    }
  });
});

const HEAD = 6;

/** An entry of one table. */
function entryOf(low: number, frequencies: readonly number[], precision = 8): Uint8Array {
  return bankOf([{ low, frequencies }], precision);
}

function bankOf(tables: readonly { low: number; frequencies: readonly number[] }[], precision = 8): Uint8Array {
  const symbols = tables.reduce((sum, { frequencies }) => sum + frequencies.length, 0);
  const bytes = new Uint8Array(HEAD + 6 * tables.length + 2 * symbols);
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  bytes[1] = precision;
  view.setUint32(2, tables.length, true);
  let at = HEAD;
  for (const { low, frequencies } of tables) {
    view.setInt32(at, low, true);
    view.setUint16(at + 4, frequencies.length, true);
    for (const [i, frequency] of frequencies.entries()) view.setUint16(at + 6 + 2 * i, frequency, true);
    at += 6 + 2 * frequencies.length;
  }
  return bytes;
}

const readable = (bytes: Uint8Array, size = 1): boolean => {
  try {
    TableBank.fromBytes(bytes, size);
    return true;
  } catch (error) {
    if (error instanceof IsthmusError && error.code === 'CODEC_INVALID') return false;
    throw error;
  }
};

/** All tables of `symbols` frequencies that sum to 2^precision. */
function* compositions(symbols: number, total: number): Generator<number[]> {
  if (symbols === 1) yield [total];
  else {
    for (let first = 1; first <= total - symbols + 1; first++) {
      for (const rest of compositions(symbols - 1, total - first)) yield [first, ...rest];
    }
  }
}

/** Reads many tables as one bank and codes every symbol of every one, escapes too: the values come back and cost what the tables say. */
function codesEverySymbol(bytes: Uint8Array, symbols: number, low: number): void {
  const tables = new DataView(bytes.buffer).getUint32(2, true);
  const bank = TableBank.fromBytes(bytes, tables);
  expect(Buffer.compare(bank.toBytes(), bytes)).toBe(0);
  const values = new Int32Array(tables * (symbols + 1));
  for (let i = 0; i < values.length; i++) values[i] = low - 1 + Math.floor(i / tables);
  const encoder = new RansEncoder(2 * values.length);
  bank.encode(values, encoder);
  const stream = encoder.finish();
  const decoded = new Int32Array(values.length);
  const decoder = new RansDecoder(stream);
  bank.decode(decoder, decoded);
  decoder.finish();
  expect(Buffer.compare(new Uint8Array(decoded.buffer), new Uint8Array(values.buffer))).toBe(0);
  expect(stream.length).toBeLessThanOrEqual((bank.bits(values) / 8) * 1.001 + 8);
}

describe('TableBank.fromBytes', () => {
  it('takes just those tables of 1 and 2 symbols that sum to 2^8 without a zero', () => {
    for (let a = 0; a <= 300; a++) {
      expect(readable(entryOf(0, [a]))).toBe(false);
      for (let b = 0; b <= 300; b++) {
        const valid = a >= 1 && b >= 1 && a + b === 256;
        if (readable(entryOf(-1, [a, b])) !== valid) expect.fail(`[${a}, ${b}]`);
      }
    }
  });

  it('takes just those of 3 symbols: all pairs, with the last around what is right', () => {
    for (let a = 0; a <= 257; a++) {
      for (let b = 0; b <= 257; b++) {
        const right = 256 - a - b;
        for (const c of [right, right - 1, right + 1, 0, 256]) {
          if (c < 0) continue;
          const valid = a >= 1 && b >= 1 && c >= 1 && c === right;
          if (readable(entryOf(5, [a, b, c])) !== valid) expect.fail(`[${a}, ${b}, ${c}]`);
        }
      }
    }
  });

  it('finds the symbol of every place of every table of 2 symbols, and of 3', () => {
    for (const symbols of [2, 3]) {
      for (const frequencies of compositions(symbols, 256)) {
        const bank = TableBank.fromBytes(entryOf(0, frequencies), 1);
        const value = new Int32Array(1);
        for (let slot = 0; slot < 256 - frequencies[symbols - 1]; slot++) {
          // A state of 2^30 + slot: the symbol is what slot names, and no word is needed.
          const decoder = new RansDecoder(Uint8Array.of(slot, 0, 0, 64));
          bank.decode(decoder, value);
          if (value[0] !== (slot < frequencies[0] ? 0 : 1))
            expect.fail(`slot ${slot} of [${frequencies}]: ${value[0]}`);
        }
      }
    }
  });

  it('codes every symbol of every table of 2 and 3 symbols', () => {
    for (const [symbols, low] of [
      [2, 0],
      [2, -MAX_SYMBOL + 1],
      [2, MAX_SYMBOL - 3],
      [3, -1],
    ]) {
      const tables = [...compositions(symbols, 256)].map((frequencies) => ({ low, frequencies }));
      codesEverySymbol(bankOf(tables), symbols, low);
    }
  });

  it('codes every symbol of every table of 4 symbols', () => {
    for (let first = 1; first <= 253; first++) {
      const left = 256 - first;
      const tables = ((left - 1) * (left - 2)) / 2;
      const bytes = new Uint8Array(HEAD + 14 * tables);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, 1 | (8 << 8), true);
      view.setUint32(2, tables, true);
      let at = HEAD;
      for (let second = 1; second < left - 1; second++) {
        for (let third = 1; third < left - second; third++) {
          view.setInt32(at, -2, true);
          view.setUint16(at + 4, 4, true);
          view.setUint16(at + 6, first, true);
          view.setUint16(at + 8, second, true);
          view.setUint16(at + 10, third, true);
          view.setUint16(at + 12, left - second - third, true);
          at += 14;
        }
      }
      codesEverySymbol(bytes, 4, -2);
    }
  });

  it('takes formats, precisions, numbers of tables and lows just as specified', () => {
    for (let value = 0; value < 256; value++) {
      const format = entryOf(0, [255, 1]);
      format[0] = value;
      if (value === 1) expect(readable(format)).toBe(true);
      else expect(codeOf(() => TableBank.fromBytes(format, 1))).toBe('CODEC_VERSION');
      const valid = value >= 8 && value <= 15;
      expect(readable(entryOf(0, [2 ** Math.min(value, 15) - 1, 1], value))).toBe(valid);
      const number = entryOf(0, [255, 1]);
      number[2] = value;
      expect(readable(number)).toBe(value === 1);
      for (const low of [MAX_SYMBOL, -MAX_SYMBOL]) {
        const at = low + value - 128;
        expect(readable(entryOf(at, [255, 1]))).toBe(Math.abs(at) <= MAX_SYMBOL);
      }
    }
  });

  it('refuses every cut and every addition', () => {
    const bytes = bankOf([...compositions(2, 256)].map((frequencies, i) => ({ low: i, frequencies })));
    for (let length = 0; length < bytes.length; length++) expect(readable(bytes.subarray(0, length), 255)).toBe(false);
    expect(readable(bytes, 255)).toBe(true);
    expect(readable(Uint8Array.from([...bytes, 0]), 255)).toBe(false);
  });
});

describe('TableBank.fromHistograms', () => {
  it.each([
    [8, 5, 2, -2],
    [8, 4, 3, 7],
    [8, 3, 6, -9],
    [15, 4, 3, -1],
    [11, 6, 1, -3],
  ])('in %i bits, all histograms of %i values with counts 0 to %i from %i', (precision, values, most, low) => {
    for (const counts of lists(values, most)) {
      const histogram = new Histogram();
      for (const [i, count] of counts.entries()) for (let n = 0; n < count; n++) histogram.add(low + i);
      const bank = TableBank.fromHistograms([histogram], precision);
      // What is compiled is what a codec file may hold: fromBytes checks the sum and that nothing is zero.
      const bytes = bank.toBytes();
      const again = TableBank.fromBytes(bytes, 1);
      const all = Int32Array.from({ length: values + 4 }, (_, i) => low - 2 + i);
      const encoder = new RansEncoder();
      again.encode(all, encoder);
      const decoder = new RansDecoder(encoder.finish());
      const decoded = new Int32Array(all.length);
      bank.decode(decoder, decoded);
      decoder.finish();
      if (decoded.some((value, i) => value !== all[i])) expect.fail(`[${counts}]`);
    }
  });
});
