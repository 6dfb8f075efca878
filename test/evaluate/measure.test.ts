import { describe, expect, it } from 'vitest';
import { type AnyTask, agreementOf, measure, statisticsOf } from '../../src/evaluate/measure.ts';
import type { Tail } from '../../src/tasks/index.ts';
import { tensor } from '../../src/tensor.ts';

/** Answers every ask of image i with the number that its feature holds. */
const task: AnyTask = {
  name: 'vqa',
  async answer(tail, feature, asks) {
    const [state] = await tail.begin(feature);
    return asks.map((ask, i) => ask.map(() => (state.data as Float32Array)[i]));
  },
  teach: async (_tail, _feature, asks) => ({ images: asks.map((_, image) => image) }),
  lessons: () => [],
  metrics: [
    {
      name: 'right',
      size: 2,
      statistics: (a, b) => Float64Array.of(a === b ? 1 : 0, 1),
      score: ([s, n]) => (100 * s) / n,
    },
  ],
  answerBytes: () => 1,
  text: String,
  truthTexts: (truth) => [String(truth)],
  credit: (a, b) => (a === b ? 1 : 0),
  same: (a, b) => a === b,
};

/** A tail that takes a while, and longer for some batches than for others. */
function newTail(): Tail & { batches: number } {
  return {
    batches: 0,
    async begin(feature) {
      this.batches++;
      await new Promise((resolve) => setTimeout(resolve, (feature[0].data[0] as number) % 3));
      return feature;
    },
    logits: async () => tensor('float32', [0], new Float32Array(0)),
    release: async () => {},
  };
}

const answerers = (tails: readonly Tail[]) =>
  tails.map((tail) => ({
    answer: (...given: [Parameters<AnyTask['answer']>[1], Parameters<AnyTask['answer']>[2]]) =>
      task.answer(tail, ...given),
    release: () => tail.release(),
  }));

const images = Array.from({ length: 37 }, (_, i) => ({
  value: i,
  asks: i % 2 === 0 ? ['a'] : ['a', 'b'],
  truths: i % 2 === 0 ? [i] : [i, -1],
}));

function carry({ value }: { value: number }) {
  return Promise.resolve({
    received: [tensor('float32', [1], Float32Array.of(value))],
    bytes: 100 + value,
    idealBytes: 99 + value,
    encodeMs: 1,
    decodeMs: 2,
  });
}

describe('measure', () => {
  it.each([1, 2, 3])('keeps answers and sizes in the order of the images with %i tails', async (count) => {
    const tails = Array.from({ length: count }, newTail);
    let seen = 0;
    const measured = await measure(answerers(tails), images, carry, { batch: 4, onImages: (n) => (seen += n) });
    expect(measured.answers).toEqual(images.map(({ value, asks }) => asks.map(() => value)));
    expect(measured.sizes).toEqual(images.map(({ value }) => 100 + value));
    expect(measured.idealBytes).toBeCloseTo(99 + 18, 12);
    expect([measured.encodeMs, measured.decodeMs]).toEqual([1, 2]);
    expect(measured.tailMs).toBeGreaterThan(0);
    expect(seen).toBe(37);
    for (const { batches } of tails) expect(batches).toBeGreaterThan(0);
    expect(tails.reduce((sum, { batches }) => sum + batches, 0)).toBe(10);
  });

  it('sends without answering', async () => {
    const measured = await measure([], images, carry, { batch: 8 });
    expect(measured.answers).toEqual([]);
    expect(measured.sizes).toHaveLength(37);
  });

  it('has no ideal where one image has none', async () => {
    const some = async (image: { value: number }) => ({
      ...(await carry(image)),
      idealBytes: image.value === 5 ? null : 1,
    });
    expect((await measure([], images, some, { batch: 8 })).idealBytes).toBeNull();
  });

  it('stops between batches, and at the first failure', async () => {
    const stop = new AbortController();
    const stopped = measure(answerers([newTail(), newTail()]), images, carry, {
      batch: 4,
      signal: stop.signal,
      onImages: () => stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    const fail = async (image: { value: number }) => {
      if (image.value === 20) throw new Error('broken');
      return carry(image);
    };
    await expect(measure(answerers([newTail(), newTail()]), images, fail, { batch: 4 })).rejects.toThrow('broken');
  });
});

describe('statisticsOf and agreementOf', () => {
  const right = images.map(({ value, asks }) => asks.map(() => value));

  it('sum the questions of an image', () => {
    const rows = statisticsOf(task.metrics[0], images, right);
    expect([...rows.subarray(0, 4)]).toEqual([1, 1, 1, 2]);
    expect(rows).toHaveLength(74);
  });

  it('count answers, not images', () => {
    expect(agreementOf(task, right, right)).toBe(100);
    const other = right.map((answers, i) => (i === 1 ? [-5, answers[1]] : answers));
    expect(agreementOf(task, other, right)).toBeCloseTo(100 - 100 / 55, 12);
  });
});
