import { expect, it } from 'vitest';
import { buildGraph, mainGraph, node, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { tensor } from '../../src/tensor.ts';
import { narrowWeights, widenWeights } from '../../src/train/index.ts';

const product = (values: readonly number[]) =>
  buildGraph({
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
    nodes: [node('MatMul', ['x', 'w'], ['scaled']), node('Add', ['scaled', 'b'], ['y'])],
    initializers: {
      w: tensor('float32', [2, 2], Float32Array.from(values)),
      b: tensor('float32', [2], Float32Array.of(0.1, 0.2)),
    },
  });

it('keeps weights as float16 and widens them to what float16 holds', async () => {
  const narrow = narrowWeights(product([1, 0.5, 0.25, 1 / 3]), ['w']);
  expect(mainGraph(narrow).initializer.map(({ name, rawData }) => [name, rawData.length])).toEqual([
    ['w.float16', 8],
    ['b', 8],
  ]);
  const x = tensor('float32', [1, 2], Float32Array.of(2, 3));
  const run = async (graph: typeof narrow) => {
    const session = await openOnnxRuntimeNode(writeGraph(graph));
    const { y } = await session.run({ x });
    await session.release();
    return [...(y.data as Float32Array)];
  };
  const wide = widenWeights(narrow);
  expect(
    mainGraph(wide)
      .initializer.map(({ name }) => name)
      .sort(),
  ).toEqual(['b', 'w']);
  expect(mainGraph(wide).node.map(({ opType }) => opType)).toEqual(['MatMul', 'Add']);
  expect(await run(wide)).toEqual(await run(narrow));
  expect((await run(narrow))[1]).toBeCloseTo(2 * 0.5 + 3 / 3 + 0.2, 3);
  expect(writeGraph(narrowWeights(wide, ['w'])).length).toBe(writeGraph(narrow).length);
});

it('refuses a weight that float16 cannot hold', () => {
  expect(() => narrowWeights(product([1e5, 0, 0, 1]), ['w'])).toThrow(/'w' holds a value that float16 cannot/);
});
