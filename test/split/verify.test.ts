import { describe, expect, test } from 'vitest';
import { buildGraph, type Graph, mainGraph, node } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { cutGraph, type OpenRunnable, verifySplit } from '../../src/split/index.ts';
import { fromFloat32, type Tensor } from '../../src/tensor.ts';
import { floats } from './run.ts';

const open: OpenRunnable = openOnnxRuntimeNode;

const normalized = buildGraph({
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 3, 16, 16] }],
  outputs: [{ name: 'y', dtype: 'float32' }],
  nodes: [
    node('Conv', ['x', 'k'], ['conv']),
    node('BatchNormalization', ['conv', 's', 's', 's', 'v'], ['norm']),
    node('Relu', ['norm'], ['relu']),
    node('GlobalAveragePool', ['relu'], ['y']),
  ],
  initializers: {
    k: floats(8, 3, 3, 3),
    s: floats(8),
    v: { dtype: 'float32', shape: [8], data: Float32Array.from({ length: 8 }, (_, i) => 0.3 + i) },
  },
});

describe('verifySplit', () => {
  test('a cut that parts no operators that fuse changes no bit', async () => {
    const verified = await verifySplit(normalized, cutGraph(normalized, ['relu']), { open });
    expect(verified).toMatchObject({
      absolute: 0,
      relative: 0,
      tolerance: 1e-5,
      cause: expect.stringMatching(/^none/),
    });
    expect(verified.runtime).toMatch(/^onnxruntime-node/);
    expect(verified.outputs.map(({ output }) => output)).toEqual(['y']);
  });

  test('a cut between Conv and BatchNormalization names the fusion', async () => {
    const verified = await verifySplit(normalized, cutGraph(normalized, ['conv']), { open, runs: 3 });
    expect(verified.relative).toBeGreaterThan(0);
    expect(verified.relative).toBeLessThan(1e-5);
    expect(verified.cause).toMatch(/Conv \+ BatchNormalization at 'conv' would fuse across the cut.*nothing is left/);
  });

  test('a cut of a quantized model between integers and their scale names it, and one at the integers is exact', async () => {
    const levels = (count: number) => Int8Array.from({ length: count }, (_, i) => ((i * 53) % 251) - 125);
    const scalar = (value: number): Tensor => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) });
    const layer = (x: string, y: string, k: string) => [
      node('DequantizeLinear', [k, 'fine', 'zero'], [`${y}_k`]),
      node('Conv', [x, `${y}_k`], [`${y}_conv`]),
      node('QuantizeLinear', [`${y}_conv`, 'coarse', 'middle'], [`${y}_integers`]),
      node('DequantizeLinear', [`${y}_integers`, 'coarse', 'middle'], [y]),
    ];
    const quantized = buildGraph({
      opset: 13,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 3, 48, 48] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [
        node('QuantizeLinear', ['x', 'input', 'middle'], ['q']),
        node('DequantizeLinear', ['q', 'input', 'middle'], ['d']),
        ...layer('d', 'a', 'k1'),
        ...layer('a', 'y', 'k2'),
      ],
      initializers: {
        input: scalar(0.0078),
        coarse: scalar(0.013),
        fine: scalar(0.0021),
        zero: { dtype: 'int8', shape: [], data: Int8Array.of(0) },
        middle: { dtype: 'uint8', shape: [], data: Uint8Array.of(128) },
        k1: { dtype: 'int8', shape: [16, 3, 3, 3], data: levels(432) },
        k2: { dtype: 'int8', shape: [16, 16, 3, 3], data: levels(2304) },
      },
    });
    expect((await verifySplit(quantized, cutGraph(quantized, ['a_integers']), { open })).relative).toBe(0);
    const apart = verifySplit(quantized, cutGraph(quantized, ['a']), { open });
    await expect(apart).rejects.toMatchObject({
      code: 'SPLIT_MISMATCH',
      message: expect.stringMatching(/DequantizeLinear \+ Conv at 'a' would fuse across the cut.*nothing is left/),
    });
  });

  test('halves of another graph are a mismatch', async () => {
    const other = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 8, 14, 14] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Exp', ['x'], ['relu']), node('GlobalMaxPool', ['relu'], ['y'])],
    });
    const halves = { head: cutGraph(normalized, ['relu']).head, tail: cutGraph(other, ['relu']).tail };
    await expect(verifySplit(normalized, halves, { open, runs: 1 })).rejects.toMatchObject({
      code: 'SPLIT_MISMATCH',
      message: expect.stringMatching(/output 'y' .* not the runtime's rewriting/),
    });
  });

  test('a graph that draws at random is told from a wrong split', async () => {
    const random = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: [4] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [
        node('Relu', ['x'], ['a']),
        node('RandomNormalLike', ['a'], ['noise'], {}, { name: 'draw' }),
        node('Add', ['a', 'noise'], ['y']),
      ],
    });
    await expect(verifySplit(random, cutGraph(random, ['a']), { open })).rejects.toThrow(/'draw'.* draws at random/);
  });

  test('float16 has a tolerance of its own', async () => {
    const half = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float16', shape: [8] }],
      outputs: [{ name: 'y', dtype: 'float16' }],
      nodes: [node('Mul', ['x', 'w'], ['a']), node('Mul', ['a', 'w'], ['b']), node('Sigmoid', ['b'], ['y'])],
      initializers: { w: fromFloat32('float16', [8], floats(8).data as Float32Array) },
    });
    expect((await verifySplit(half, cutGraph(half, ['a']), { open })).tolerance).toBe(5e-3);
  });

  test('random inputs stay inside the tables that they index, and follow the seed', async () => {
    const words = buildGraph({
      opset: 17,
      inputs: [
        { name: 'tokens', dtype: 'int64', shape: ['batch', 'length'] },
        { name: 'picture', dtype: 'uint8', shape: ['batch', 3] },
      ],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [
        node('Cast', ['tokens'], ['ids'], { to: 6 }),
        node('Gather', ['table', 'ids'], ['rows']),
        node('Cast', ['picture'], ['pixels'], { to: 1 }),
        node('ReduceSum', ['pixels'], ['sum']),
        node('Add', ['rows', 'sum'], ['y']),
      ],
      initializers: { table: floats(7, 4) },
    });
    const feeds: Record<string, Tensor>[] = [];
    const spy: OpenRunnable = async (model, options) => {
      const session = await open(model, options);
      const own: typeof session.run = (given) => {
        if ('tokens' in given && 'picture' in given) feeds.push(given);
        return session.run(given);
      };
      return { runtime: session.runtime, inputs: session.inputs, run: own, release: () => session.release() };
    };
    const dims = { length: 200 };
    await verifySplit(words, cutGraph(words, ['rows']), { open: spy, dims, runs: 1, seed: 5 });
    await verifySplit(words, cutGraph(words, ['rows']), { open: spy, dims, runs: 1, seed: 5 });
    await verifySplit(words, cutGraph(words, ['rows']), { open: spy, dims, runs: 1, seed: 6 });
    const ids = [...(feeds[0].tokens.data as BigInt64Array)];
    expect(feeds[0].tokens.shape).toEqual([1, 200]);
    expect(new Set(ids)).toEqual(new Set([0n, 1n, 2n, 3n, 4n, 5n, 6n]));
    expect(feeds[1]).toEqual(feeds[0]);
    expect(feeds[2]).not.toEqual(feeds[0]);
  });

  test('what the runtime cannot load or run passes on', async () => {
    const build = (nodes: ReturnType<typeof node>[]): Graph =>
      buildGraph({
        opset: 17,
        domains: { custom: 1 },
        inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
        outputs: [{ name: 'y', dtype: 'float32' }],
        nodes,
      });
    const custom = build([node('Relu', ['x'], ['a']), node('Mystery', ['a'], ['y'], {}, { domain: 'custom' })]);
    await expect(verifySplit(custom, cutGraph(custom, ['a']), { open })).rejects.toMatchObject({
      code: 'RUNTIME_LOAD',
    });
    const picky = build([node('Relu', ['x'], ['a']), node('Gather', ['a', 'far'], ['y'])]);
    mainGraph(picky).initializer.push(...mainGraph(withFar).initializer);
    await expect(verifySplit(picky, cutGraph(picky, ['a']), { open })).rejects.toMatchObject({
      code: 'RUNTIME_RUN',
      message: expect.stringMatching(/whole model does not run on random inputs/),
    });
    const verified = await verifySplit(picky, cutGraph(picky, ['a']), { open, dims: { n: 2000 } });
    expect(verified.relative).toBe(0);
  });
});

const withFar = buildGraph({
  opset: 17,
  inputs: [],
  outputs: [],
  nodes: [],
  initializers: { far: { dtype: 'int64', shape: [1], data: BigInt64Array.of(1999n) } },
});
