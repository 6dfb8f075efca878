import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finestWithin, rangeAround } from '../../demo/budget.ts';
import { newestNext } from '../../demo/newest.ts';

const packets = (lengths: readonly number[]) => lengths.map((length) => ({ bytes: new Uint8Array(length) }));

describe('the budget', () => {
  it('takes the longest packet that fits, and none where none does', () => {
    const all = packets([900, 1300, 400]);
    expect(finestWithin(all, 1300)).toBe(all[1]);
    expect(finestWithin(all, 1299)).toBe(all[0]);
    expect(finestWithin(all, 400)).toBe(all[2]);
    expect(finestWithin(all, 399)).toBeNull();
  });

  it('has a range with room below the shortest packet and above the longest, that only grows', () => {
    const lengths = fc.array(fc.integer({ min: 9, max: 300_000 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(lengths, lengths, (first, second) => {
        const before = rangeAround(first, null);
        const range = rangeAround(second, before);
        expect(range.min).toBeLessThan(Math.min(...second));
        expect(range.max).toBeGreaterThan(Math.max(...second));
        expect(range.min).toBeLessThanOrEqual(before.min);
        expect(range.max).toBeGreaterThanOrEqual(before.max);
      }),
      { seed: 5 },
    );
  });
});

it('newestNext works on one input at a time, and of those that wait on the newest alone', async () => {
  const done: number[] = [];
  let running = 0;
  const take = newestNext(async (input: number) => {
    expect(++running).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    done.push(input);
  });
  await Promise.all([1, 2, 3, 4].map(take));
  expect(done).toEqual([1, 4]);
  await take(5);
  expect(done).toEqual([1, 4, 5]);
});
