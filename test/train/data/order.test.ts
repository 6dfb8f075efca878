import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochOrder, turnsOf } from '../../../src/train/data/order.ts';

describe('epochOrder', () => {
  it('is a permutation, and the same for the same seed and epoch', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(), fc.nat(1000), (count, seed, epoch) => {
        const order = epochOrder(count, seed, epoch);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
        expect(epochOrder(count, seed, epoch)).toEqual(order);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  it('puts every item everywhere equally often', () => {
    const count = 5;
    const epochs = 4000;
    const seen = Array.from({ length: count }, () => new Array<number>(count).fill(0));
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const [place, item] of epochOrder(count, 7, epoch).entries()) seen[place][item]++;
    }
    // Five standard deviations of a binomial count.
    const tolerance = 5 * Math.sqrt(epochs * (1 / count) * (1 - 1 / count));
    for (const row of seen) for (const times of row) expect(Math.abs(times - epochs / count)).toBeLessThan(tolerance);
  });

  it('differs between seeds and between epochs', () => {
    const orders = [0, 1].flatMap((seed) => [0, 1].map((epoch) => `${epochOrder(30, seed, epoch)}`));
    expect(new Set(orders).size).toBe(4);
  });
});

describe('turnsOf', () => {
  it('gives each item once in every epoch, and the same batch whatever was asked for before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 30 }),
        fc.nat(),
        fc.array(fc.nat(40), { maxLength: 10 }),
        (count, batch, seed, asked) => {
          const turns = turnsOf(count, batch, seed);
          const steps = Math.ceil((3 * count) / batch);
          const all = Array.from({ length: steps }, (_, step) => turns(step)).flat();
          for (let epoch = 0; epoch < 3; epoch++) {
            const part = all.slice(epoch * count, (epoch + 1) * count);
            expect(part.map(({ item }) => item)).toEqual([...epochOrder(count, seed, epoch)]);
            expect(part.every((turn) => turn.epoch === epoch)).toBe(true);
          }
          for (const step of asked) expect(turns(step)).toEqual(turnsOf(count, batch, seed)(step));
        },
      ),
      { seed: 2, numRuns: 60 },
    );
  });
});
