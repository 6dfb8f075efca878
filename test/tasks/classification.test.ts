import { describe, expect, it } from 'vitest';
import { indexBytes } from '../../src/tasks/classification.ts';
import { classification, topAccuracy } from '../../src/tasks/index.ts';
import { fakeTail, featureOf } from './fake-tail.ts';
import { scoreOf } from './metrics/score.ts';

const labels = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const task = classification({ labels });
const asksFor = (count: number) => Array.from({ length: count }, () => [null]);

describe('classification', () => {
  it('answers with the most probable class and the five first', async () => {
    const tail = fakeTail((feature) => labels.map((_, i) => (i === feature ? 3 : -i)), false);
    const [[first], [second]] = await task.answer(tail, [featureOf([2, 6])], asksFor(2));
    expect(first).toMatchObject({ index: 2, label: 'c' });
    expect(second.label).toBe('g');
    expect(second.top.map(({ label }) => label)).toEqual(['g', 'a', 'b', 'c', 'd']);
    const sum = Math.exp(3) + labels.slice(0, 6).reduce((total, _, i) => total + Math.exp(-i), 0);
    expect(second.probability).toBeCloseTo(Math.exp(3) / sum, 6);
    expect(second.top[1].probability).toBeCloseTo(1 / sum, 6);
  });

  it('takes the first of equal classes, and anything before NaN', async () => {
    const tail = fakeTail(() => [Number.NaN, 1, 2, 2, Number.NaN, 0, 1], false);
    const [[{ index, top }]] = await task.answer(tail, [featureOf([0])], asksFor(1));
    expect(index).toBe(2);
    expect(top.map((each) => each.index)).toEqual([2, 3, 1, 6, 5]);
    const broken = await task.answer(
      fakeTail(() => labels.map(() => Number.NaN), false),
      [featureOf([0])],
      asksFor(1),
    );
    expect(broken[0][0].index).toBe(0);
  });

  it('scores by the first and by five', async () => {
    const answer = (top: number[]) => ({ top: top.map((index) => ({ index })) });
    const pairs = [
      [answer([1, 2, 3, 4, 5]), 1],
      [answer([1, 2, 3, 4, 5]), 5],
      [answer([1, 2, 3, 4, 5]), 6],
      [answer([0, 2, 3, 4, 5]), 0],
    ] as const;
    expect(scoreOf(topAccuracy(1), pairs)).toBe(50);
    expect(scoreOf(topAccuracy(5), pairs)).toBe(75);
    expect(task.metrics.map(({ name }) => name)).toEqual(['top1', 'top5']);
  });

  it('costs the bytes of an index on the device', () => {
    expect([1, 2, 256, 257, 1000, 65536, 65537].map(indexBytes)).toEqual([1, 1, 1, 2, 2, 2, 3]);
  });

  it('refuses a model with another number of classes', async () => {
    const tail = fakeTail(() => [1, 2, 3], false);
    await expect(task.answer(tail, [featureOf([0])], asksFor(1))).rejects.toMatchObject({
      code: 'TENSOR_INVALID',
      message: expect.stringContaining('7 labels'),
    });
    expect(() => classification({ labels: [] })).toThrow(/at least one label/);
  });
});
