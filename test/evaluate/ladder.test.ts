import { describe, expect, it } from 'vitest';
import { climb } from '../../src/evaluate/ladder.ts';
import type { Point } from '../../src/evaluate/point.ts';

const NOTHING = { answers: [], sizes: [], spent: [] };

/** Climbs rungs of rising bytes with these losses; gives the indices measured, in order. */
async function climbed(
  losses: readonly number[],
  first: readonly [number, number],
  halfInterval = 0,
): Promise<number[]> {
  const measured: number[] = [];
  const rungs = losses.map((loss, i) => ({
    setting: String(i),
    measure: async () => {
      measured.push(i);
      return { point: { bytes: 1000 * 2 ** i, loss, lossLow: loss - halfInterval } as Point, evidence: NOTHING };
    },
  }));
  const points: Point[] = [];
  for await (const { point } of climb({ rungs, first })) points.push(point);
  expect(points).toHaveLength(measured.length);
  return measured;
}

describe('climb', () => {
  it('stops where the first rungs enclose all losses asked for', async () => {
    expect(await climbed([9, 5, 2, 0.5, 0, 0, 0], [2, 5])).toEqual([2, 3, 4]);
  });
  it('goes down while the cheapest loses too little', async () => {
    expect(await climbed([9, 5, 0.8, 0.3, 0, 0], [3, 5])).toEqual([3, 4, 2, 1]);
  });
  it('goes up while the dearest loses too much', async () => {
    expect(await climbed([9, 5, 3, 2, 0.4, 0.05, 0], [1, 3])).toEqual([1, 2, 3, 4, 5]);
  });
  it('goes no further up than where no loss is left that could be told from none', async () => {
    expect(await climbed([9, 5, 3, 2, 0.9, 0.4, 0.05, 0], [1, 3], 1)).toEqual([1, 2, 3, 4]);
    expect(await climbed([9, 5, 3, 2, 0.9, 0.4, 0.05, 0], [1, 3], 0.5)).toEqual([1, 2, 3, 4, 5]);
    // Above a point the way is not done, whatever the interval says.
    expect(await climbed([9, 5, 3, 2, 1.2, 0.4], [1, 3], 3)).toEqual([1, 2, 3, 4, 5]);
  });
  it('ends at the ends of the ladder', async () => {
    expect(await climbed([0, 0, 0], [1, 2])).toEqual([1, 0]);
    expect(await climbed([5, 5, 5], [1, 2])).toEqual([1, 2]);
  });
});
