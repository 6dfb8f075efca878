import { rm } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph, type Graph, node } from '../../src/onnx/index.ts';
import { type OpenSession, openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { Extension, type Trainer, type TrainerOptions } from '../../src/train/index.ts';
import { openRowShares } from '../../src/train/row-shares.ts';
import { buildFloor, ROOT } from '../runtime/built.ts';
import { hashOf, TOY, toyTraining } from './toy.ts';

const floats = (shape: number[], values: readonly number[]) => tensor('float32', shape, Float32Array.from(values));
const numbers = (value: Tensor) => [...(value.data as Float32Array)];

/** The mean of the picked columns, and a sum that the mean row is added to. */
const MEANS = buildGraph({
  opset: 17,
  inputs: [
    { name: 'x', dtype: 'float32', shape: ['n', 2] },
    { name: 'column', dtype: 'int64', shape: ['n', 1] },
    { name: 'sum', dtype: 'float32', shape: [2] },
  ],
  outputs: [
    { name: 'picked', dtype: 'float32', shape: [] },
    { name: 'next', dtype: 'float32', shape: [2] },
  ],
  nodes: [
    node('GatherElements', ['x', 'column'], ['chosen'], { axis: 1 }),
    node('ReduceMean', ['chosen'], ['picked'], { keepdims: 0 }),
    node('ReduceMean', ['x'], ['row'], { axes: [0], keepdims: 0 }),
    node('Add', ['sum', 'row'], ['next']),
  ],
});
const feeds = (rows: readonly (readonly [number, number, number])[]) => {
  const x = rows.map(([a, b]) => [a, b]);
  return {
    x: floats([rows.length, 2], x.flat()),
    column: tensor(
      'int64',
      [rows.length, 1],
      BigInt64Array.from(rows, ([, , column]) => BigInt(column)),
    ),
  };
};
const REST = { sum: floats([2], [10, -10]) };

describe('shares of rows', () => {
  it('give the means over all rows, however many there are and whoever has them', async () => {
    const number = fc.double({ min: -10, max: 10, noNaN: true });
    const row = fc.tuple(number, number, fc.nat(1));
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 6 }),
        async (rows, n) => {
          const shares = await openRowShares(MEANS, n, openOnnxRuntimeNode, 1);
          const { picked, next } = await shares.run(feeds(rows), REST);
          await shares.release();
          const mean = (value: (row: readonly [number, number, number]) => number) =>
            rows.reduce((sum, each) => sum + value(each), 0) / rows.length;
          expect(numbers(picked)[0]).toBeCloseTo(
            mean((each) => each[each[2]]),
            5,
          );
          expect(numbers(next)[0]).toBeCloseTo(10 + mean(([a]) => a), 5);
          expect(numbers(next)[1]).toBeCloseTo(-10 + mean(([, b]) => b), 5);
        },
      ),
      { numRuns: 15, seed: 9 },
    );
  });

  it('tell feeds that do not have the same rows', async () => {
    const shares = await openRowShares(MEANS, 2, openOnnxRuntimeNode, 1);
    const x = floats([2, 2], [1, 2, 3, 4]);
    const wrong: [Record<string, Tensor>, RegExp][] = [
      [{ x, column: tensor('int64', [3, 1], new BigInt64Array(3)) }, /'column' is \[3, 1\], 'x' \[2, 2\]/],
      [{ x: floats([], [1]) }, /'x' is \[\]/],
      [{ x, column: tensor('int64', [], new BigInt64Array(1)) }, /'column' is \[\]/],
      [{}, /fed nothing/],
    ];
    for (const [batch, message] of wrong) {
      await expect(shares.run(batch, REST)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(message),
      });
    }
    await shares.release();
  });

  it('free what was opened: at the end, and where one of them cannot be', async () => {
    let [open, opened] = [0, 0];
    const counted =
      (most: number): OpenSession =>
      async (model, options) => {
        if (opened === most) throw new Error('no more');
        opened++;
        const session = await openOnnxRuntimeNode(model, options);
        open++;
        return {
          ...session,
          release: () => {
            open--;
            return session.release();
          },
        };
      };
    await expect(openRowShares(MEANS, 3, counted(2), 1)).rejects.toThrow('no more');
    expect([open, opened]).toEqual([0, 2]);
    const shares = await openRowShares(MEANS, 3, counted(5), 1);
    expect(open).toBe(3);
    await shares.release();
    expect(open).toBe(0);
  });
});

describe('a trainer with workers', () => {
  const out = `${ROOT}node_modules/.cache/isthmus-train-${process.pid}`;
  let built: typeof import('../../src/train/index.ts');
  beforeAll(async () => {
    const url = await buildFloor('train', out, ['src/runtime/onnxruntime-node-thread.ts']);
    built = await import(/* @vite-ignore */ url);
  });

  const nodes = new Extension(TOY);
  const reported = nodes.emit('ReduceMean', ['answer'], { keepdims: 0 });
  const toy = nodes.build([{ name: 'loss', dtype: 'float32', shape: [] }]);

  /** Column `labels` of x w, which the runtime refuses where there is none. */
  const picker = buildGraph({
    opset: 17,
    inputs: [
      { name: 'x', dtype: 'float32', shape: ['n', 2] },
      { name: 'labels', dtype: 'int64', shape: ['n', 1] },
    ],
    outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
    nodes: [
      node('MatMul', ['x', 'w'], ['columns']),
      node('GatherElements', ['columns', 'labels'], ['chosen'], { axis: 1 }),
      node('ReduceMean', ['chosen'], ['loss'], { keepdims: 0 }),
    ],
    initializers: { w: floats([2, 3], [0, 0, 0, 0, 0, 0]) },
  });
  const W = { report: [], groups: [{ weights: ['w'] }] };

  const opened: Trainer[] = [];
  afterAll(async () => {
    await Promise.all(opened.map((each) => each.release()));
    await rm(out, { recursive: true, force: true });
  });

  function open(workers: number, options: Partial<TrainerOptions> = {}, graph: Graph = toy): Trainer {
    const trainer = new built.Trainer(graph, {
      loss: 'loss',
      report: [reported],
      groups: [{ weights: ['1', '2'], decay: 0.01 }, { weights: ['b'] }],
      optimizer: { kind: 'sgd', momentum: 0.9 },
      average: 0.9,
      clip: 1,
      open: openOnnxRuntimeNode,
      threads: 1,
      workers,
      ...options,
    });
    opened.push(trainer);
    return trainer;
  }
  const batch = (step: number, micro = 0) => toyTraining(1).batch(step, micro);

  it('learns what one does, up to rounding: shares of 6, 5 and 5 rows, one batch a step and two', async () => {
    const [one, three] = [open(1), open(3)];
    for (let step = 0; step < 6; step++) {
      const batches = await Promise.all(step < 3 ? [batch(step)] : [batch(step), batch(step, 1)]);
      const [alone, together] = [await one.step(batches, 0.05), await three.step(batches, 0.05)];
      expect(together.loss / alone.loss).toBeCloseTo(1, 5);
      expect(together.gradientNorm / alone.gradientNorm).toBeCloseTo(1, 4);
      expect(together.reported[reported]).toBeCloseTo(alone.reported[reported], 5);
    }
    for (const [name, value] of Object.entries(one.save().tensors)) {
      const other = numbers(three.save().tensors[name]);
      for (const [i, each] of numbers(value).entries()) expect(other[i]).toBeCloseTo(each, 5);
    }
  });

  it('gives the same bits twice, also gone on with from a state, and with fewer rows than workers', async () => {
    const [through, second] = [open(2), open(2)];
    const one = { x: floats([1, 4], [1, 2, 3, 4]), y: floats([1, 2], [5, 6]) };
    await through.step(await batch(0), 0.1);
    second.restore(through.save());
    for (const trainer of [through, second]) {
      for (const feeds of [one, await batch(1)]) await trainer.step(feeds, 0.1);
    }
    expect(hashOf(second)).toBe(hashOf(through));
  });

  it('leaves the thread of its caller free', async () => {
    const trainer = open(2);
    await trainer.step(await batch(0), 0.1);
    const rows = 200_000;
    const large = {
      x: tensor('float32', [rows, 4], new Float32Array(4 * rows)),
      y: tensor('float32', [rows, 2], new Float32Array(2 * rows)),
    };
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await trainer.step(large, 0.1);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  it('tells what failed in a worker, changes nothing, and goes on', async () => {
    const trainer = open(2, W, picker);
    const labels = (...of: number[]) => ({
      x: floats(
        [of.length, 2],
        of.map((_, i) => i + 1).flatMap((each) => [each, -each]),
      ),
      labels: tensor('int64', [of.length, 1], BigInt64Array.from(of, BigInt)),
    });
    await trainer.step(labels(0, 1, 2, 0), 0.1);
    const before = hashOf(trainer);
    await expect(trainer.step(labels(0, 1, 2, 7), 0.1)).rejects.toMatchObject({
      name: 'IsthmusError',
      code: 'RUNTIME_RUN',
      message: expect.stringMatching(/labels: int64 \[2, 1\].*index/s),
    });
    const infinite = { ...labels(0, 1), x: floats([2, 2], [1, 1, Number.POSITIVE_INFINITY, 1]) };
    await expect(trainer.step(infinite, 0.1)).rejects.toMatchObject({ code: 'TRAINING_DIVERGED' });
    expect(hashOf(trainer)).toBe(before);
    expect((await trainer.step(labels(0, 1, 2, 0), 0.1)).loss).toBeLessThan(0);
  });

  it('ends its threads when it is released', async () => {
    const trainer = open(2);
    await trainer.step(await batch(0), 0.1);
    await trainer.release();
    await expect(trainer.step(await batch(1), 0.1)).rejects.toMatchObject({ code: 'RUNTIME_RUN' });
    await open(2).release();
  });

  it('is refused where there are no rows to share', () => {
    const fixed = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: [4, 2] }],
      outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
      nodes: [node('MatMul', ['x', 'w'], ['y']), node('ReduceMean', ['y'], ['loss'], { keepdims: 0 })],
      initializers: { w: floats([2, 1], [1, 2]) },
    });
    expect(() => open(2, W, fixed)).toThrow(/'x' is \[4, 2\], made for 4 rows/);
    const refused = expect.objectContaining({ name: 'IsthmusError', code: 'INVALID_ARGUMENT' });
    expect(() => open(2, W, fixed)).toThrow(refused);
    for (const workers of [0, 1.5, Number.NaN]) expect(() => open(workers)).toThrow(refused);
  });
});
