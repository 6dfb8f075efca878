import { expect, it } from 'vitest';
import { COST_PER_BIT, CostMeter, costOf, StreamReader, StreamWriter } from '../../src/entropy/index.ts';
import { uniforms } from './cases.ts';

it('is the logarithm x 2^16, rounded to nearest, for every frequency of every precision', () => {
  for (let frequency = 1; frequency <= 2 ** 15; frequency++) {
    const exact = Math.log2(frequency) * 2 ** 16;
    // Where a double's error could turn the rounding, both neighbours would be right; there is no such frequency.
    expect(Math.abs(exact - Math.floor(exact) - 0.5)).toBeGreaterThan(1e-9);
    const rounded = Math.round(exact);
    for (let precision = 15; precision >= 1 && frequency <= 2 ** precision; precision--) {
      if (costOf(frequency, precision) !== precision * 2 ** 16 - rounded)
        expect.fail(`costOf(${frequency}, ${precision}) is ${costOf(frequency, precision)}`);
    }
  }
});

it('costs nothing for what is certain, and a bit for a coin', () => {
  expect(costOf(2 ** 12, 12)).toBe(0);
  expect(costOf(2 ** 11, 12)).toBe(COST_PER_BIT);
});

it('bits, symbols and raw numbers come back in order and cost what they say', () => {
  const random = uniforms(5);
  const starts = Uint16Array.of(9, 0, 100, 101, 4000);
  const decisions = Array.from({ length: 3000 }, () => {
    const kind = Math.floor(random() * 3);
    return {
      kind,
      a: Math.floor(random() * 4),
      b: 1 + Math.floor(random() * 4095),
      bits: 1 + Math.floor(random() * 15),
    };
  });
  const run = (coder: StreamWriter | StreamReader | CostMeter, known: boolean) =>
    decisions.map(({ kind, a, b, bits }) => {
      const given = known ? a : 0;
      if (kind === 0) return coder.symbol(starts, 1, 4, 12, given);
      return kind === 1 ? coder.bit(b, 12, given & 1) : coder.raw(bits, known ? (b * 7) & ((1 << bits) - 1) : 0);
    });
  const writer = new StreamWriter();
  const written = run(writer, true);
  const bytes = writer.finish();
  const reader = new StreamReader(bytes);
  expect(run(reader, false)).toEqual(written);
  reader.finish();
  const meter = new CostMeter();
  run(meter, true);
  expect(Math.abs(bytes.length - meter.cost / COST_PER_BIT / 8)).toBeLessThanOrEqual(8);
});
