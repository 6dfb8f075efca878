import { describe, expect, it } from 'vitest';
import { apportion, CostMeter, Histogram, RansEncoder, TableBank } from '../../src/entropy/index.ts';
import { laplacian, uniforms } from './cases.ts';

/** Probabilities of 0, ±1, ±2 … under a Laplacian of scale b, and of all beyond on one side. */
function source(b: number): { p: number[]; tails: number[] } {
  const beyond = (x: number) => Math.exp(-x / b) / 2;
  const p = [1 - 2 * beyond(0.5)];
  const tails = [beyond(0.5)];
  for (let k = 1; k < 1000; k++) {
    p.push(beyond(k - 0.5) - beyond(k + 0.5));
    tails.push(beyond(k + 0.5));
  }
  return { p, tails };
}

function entropy(p: readonly number[]): number {
  return p.reduce((sum, share, k) => sum - (share > 0 ? (k > 0 ? 2 : 1) * share * Math.log2(share) : 0), 0);
}

/** The scale at which a Laplacian's entropy is `rate` bits. */
function scaleAt(rate: number): number {
  let [low, high] = [0.02, 50];
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (entropy(source(middle).p) < rate) low = middle;
    else high = middle;
  }
  return low;
}

/** The table of the true distribution, whatever the sample will be. */
function tableOf({ p, tails }: ReturnType<typeof source>, precision: number): TableBank {
  const units = (shares: readonly number[]) => shares.map((share) => Math.round(share * 2 ** 36));
  return TableBank.fromFrequencies([apportion(units(p), units(tails), precision)], precision);
}

function bytesOf(bank: TableBank, values: Int32Array): number {
  const encoder = new RansEncoder();
  bank.encode(values, encoder);
  return encoder.finish().length;
}

describe.each([0.08, 0.27, 0.6, 1.75, 3.4])('a Laplacian source of %d bits a symbol, its table given', (rate) => {
  const b = scaleAt(rate);
  const distribution = source(b);
  const bank = tableOf(distribution, 14);
  const ideal = (values: Int32Array) =>
    values.reduce((sum, value) => sum - Math.log2(distribution.p[Math.abs(value)]), 0) / 8;

  it.each([2_000, 30_000, 1_000_000])('%d symbols take at most the ideal x 1.003 + 8 bytes', (count) => {
    const values = laplacian(count, b, uniforms(count));
    expect(bytesOf(bank, values)).toBeLessThanOrEqual(ideal(values) * 1.003 + 8);
  });

  it('50 to 2,000 symbols take at most the ideal + 5 bytes', () => {
    for (let count = 50; count <= 2_000; count += 25) {
      const values = laplacian(count, b, uniforms(count + 1));
      expect(bytesOf(bank, values), `${count} symbols`).toBeLessThanOrEqual(ideal(values) + 5);
    }
  });

  it('a bank fitted on a sample takes the precision that codes it in fewest bytes, to 0.1 percent', () => {
    const values = laplacian(60_000, b, uniforms(4));
    const histogram = new Histogram();
    for (const value of values) histogram.add(value);
    const sizes = [12, 13, 14, 15].map((p) => bytesOf(TableBank.fromHistograms([histogram], p), values));
    expect(bytesOf(TableBank.fit([histogram]), values)).toBeLessThanOrEqual(Math.min(...sizes) * 1.001 + 2);
  });
});

it('a table given by index codes as one that the position gives, and costs the same', () => {
  const random = uniforms(2);
  const tables = [0.2, 1, 6].map((b) => {
    const histogram = new Histogram();
    for (const value of laplacian(500, b, random)) histogram.add(value);
    return histogram;
  });
  const bank = TableBank.fromHistograms(tables, 13);
  const values = laplacian(3_001, 2, random);
  const order = Uint16Array.from(values, (_, i) => i % 3);
  const cost = (run: (meter: CostMeter) => void) => {
    const meter = new CostMeter();
    run(meter);
    return meter.cost;
  };
  const whole = cost((meter) => bank.code(meter, values.slice()));
  expect(cost((meter) => bank.codeIndexed(meter, values.slice(), order))).toBe(whole);
  expect(values.reduce((sum, value, i) => sum + bank.cost(i % 3, value), 0)).toBe(whole);
  expect(Math.abs(whole / 2 ** 16 - bank.bits(values))).toBeLessThan(0.1);
});
