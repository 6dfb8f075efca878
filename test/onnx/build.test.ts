import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { buildGraph, float, int, node, subgraph } from '../../src/onnx/build.ts';
import { readGraph, writeGraph } from '../../src/onnx/read.ts';
import { tensor } from '../../src/tensor.ts';

test('a built model with a subgraph runs in ONNX Runtime', async () => {
  const scaled = (by: number) =>
    subgraph({
      inputs: [],
      outputs: [{ name: 'scaled', dtype: 'float32', shape: ['n'] }],
      nodes: [node('Constant', [], ['by'], { value_float: by }), node('Mul', ['h', 'by'], ['scaled'])],
    });
  const graph = buildGraph({
    opset: 17,
    inputs: [
      { name: 'x', dtype: 'float32', shape: ['n'] },
      { name: 'up', dtype: 'bool', shape: [] },
    ],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    nodes: [
      node('Elu', ['x'], ['e'], { alpha: 1 }),
      node('Add', ['e', 'one'], ['h']),
      node('If', ['up'], ['y'], { then_branch: scaled(2), else_branch: scaled(0.5) }),
    ],
    initializers: { one: tensor('float32', [1], Float32Array.of(1)) },
  });
  const bytes = writeGraph(graph);
  readGraph(bytes);
  const session = await ort.InferenceSession.create(bytes);
  for (const [up, expected] of [
    [true, [4, 8]],
    [false, [1, 2]],
  ] as const) {
    const feeds = { x: new ort.Tensor('float32', Float32Array.of(1, 3), [2]), up: new ort.Tensor('bool', [up], []) };
    const { y } = await session.run(feeds);
    expect([...(y.data as Float32Array)]).toEqual(expected);
  }
  await session.release();
});

test('typed numbers reach the runtime as stated', async () => {
  const graph = buildGraph({
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: [2, 3] }],
    outputs: [{ name: 'y', dtype: 'float32' }],
    nodes: [
      node('Transpose', ['x'], ['t'], { perm: int([1, 0]) }),
      node('ThresholdedRelu', ['t'], ['y'], { alpha: float(3) }),
    ],
  });
  const session = await ort.InferenceSession.create(writeGraph(graph));
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]) });
  expect([...(y.data as Float32Array)]).toEqual([0, 4, 0, 5, 0, 6]);
  expect(y.dims).toEqual([3, 2]);
  await session.release();
});
