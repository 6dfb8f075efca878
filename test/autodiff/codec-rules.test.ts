import { describe, expect, it } from 'vitest';
import { differentiate, lowerBound, withLowerBound } from '../../src/autodiff/index.ts';
import { buildGraph, node } from '../../src/onnx/build.ts';
import { checkGraph, type Graph, mainGraph, readGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor, toFloat32 } from '../../src/tensor.ts';

const floats = (shape: number[], ...values: number[]) => tensor('float32', shape, Float32Array.from(values));

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, number[]>> {
  checkGraph(graph);
  const session = await openOnnxRuntimeNode(writeGraph(readGraph(writeGraph(graph))), { threads: 1 });
  const result = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, [...toFloat32(value)]]));
}

it('Round is straight-through', async () => {
  const graph = buildGraph({
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
    nodes: [
      node('Round', ['x'], ['q']),
      node('Mul', ['q', 'q'], ['y']),
      node('ReduceSum', ['y'], ['loss'], { keepdims: 0 }),
    ],
  });
  const result = await run(differentiate(graph, { of: 'loss', with: ['x'] }), { x: floats([2], 1.4, -2.6) });
  expect(result['grad/x']).toEqual([2, -6]);
});

describe('lower bound', () => {
  /** The sum of max(x, bound) r, whose gradient at the maximum is r. */
  const bounded = (opset: number, shape: (string | number)[], bound: Tensor) =>
    withLowerBound(
      buildGraph({
        opset,
        inputs: [
          { name: 'x', dtype: 'float32', shape },
          { name: 'r', dtype: 'float32', shape: ['p', 'q'] },
        ],
        outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
        nodes: [
          lowerBound('x', 'bound', 'y'),
          node('Mul', ['y', 'r'], ['product']),
          node('ReduceSum', ['product'], ['loss'], { keepdims: 0 }),
        ],
        initializers: { bound },
      }),
    );

  it.each([13, 21])(
    'passes what lies above it, and what would come back from below, at operator set %i',
    async (opset) => {
      const graph = bounded(opset, [1, 'q'], floats([], 1));
      const backward = differentiate(graph, { of: 'loss', with: ['x', 'bound'] });
      const feeds = { x: floats([1, 5], 2, 2, 0.5, 0.5, 1), r: floats([1, 5], 3, -3, 3, -3, 3) };
      expect(await run(backward, feeds)).toEqual({
        loss: [3],
        'grad/x': [3, -3, 0, -3, 3],
        // No gradient: a bound is not learned.
        'grad/bound': [0],
      });
    },
  );

  it('broadcasts', async () => {
    const graph = bounded(17, [1, 'q'], floats([2, 1], 1, 3));
    const result = await run(differentiate(graph, { of: 'loss', with: ['x'] }), {
      x: floats([1, 2], 2, 2),
      r: floats([2, 2], 5, 7, 11, -13),
    });
    expect(result['grad/x']).toEqual([5, 7 - 13]);
  });

  it('is brought along once', () => {
    const graph = bounded(17, ['p', 'q'], floats([], 1));
    expect(withLowerBound(graph)).toBe(graph);
    expect(mainGraph(graph).node[0].domain).toBe('isthmus');
    expect(graph.functions).toHaveLength(1);
  });
});
