import { describe, expect, test } from 'vitest';
import { buildGraph, type Graph, mainGraph, node } from '../../src/onnx/index.ts';
import { constantUnder, hoistGraph } from '../../src/split/index.ts';
import { floats, ints, names, ops, run } from './run.ts';

/** Attention of tokens over a feature [batch, 3, 4]: keys and values depend on the feature alone. */
function attention(keys: readonly ReturnType<typeof node>[]): Graph {
  return buildGraph({
    opset: 17,
    inputs: [
      { name: 'tokens', dtype: 'int64', shape: ['batch', 'length'] },
      { name: 'feature', dtype: 'float32', shape: ['batch', 3, 4] },
    ],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 'length', 4] }],
    nodes: [
      node('Gather', ['table', 'tokens'], ['q']),
      node('MatMul', ['feature', 'wk'], ['k']),
      ...keys,
      node('MatMul', ['q', 'kt'], ['scores']),
      node('Softmax', ['scores'], ['weights']),
      node('MatMul', ['feature', 'wv'], ['v']),
      node('MatMul', ['weights', 'v'], ['y']),
    ],
    initializers: { table: floats(6, 4), wk: floats(4, 4), wv: floats(4, 4) },
  });
}

const plain = attention([node('Transpose', ['k'], ['kt'], { perm: [0, 2, 1] })]);
const feeds = { tokens: ints([2, 2], 0, 5, 3, 1), feature: floats(2, 3, 4) };

async function inTurn({ once, each }: ReturnType<typeof hoistGraph>) {
  return run(each, { ...feeds, ...(once ? await run(once, feeds) : {}) });
}

describe('hoistGraph', () => {
  test('what depends on the feature alone is computed once', async () => {
    const hoisted = hoistGraph(plain, ['feature']);
    expect(hoisted.frontier).toEqual(['kt', 'v']);
    expect(ops(hoisted.each)).toEqual(['Gather', 'MatMul', 'Softmax', 'MatMul']);
    expect(await inTurn(hoisted)).toEqual(await run(plain, feeds));
  });

  test('the frontier keeps the batch in front', async () => {
    const turned = attention([
      node('Transpose', ['k'], ['turned'], { perm: [2, 1, 0] }),
      node('Transpose', ['turned'], ['kt'], { perm: [2, 0, 1] }),
    ]);
    expect(hoistGraph(turned, ['feature']).frontier).toEqual(['kt', 'v']);
    const late = buildGraph({
      opset: 17,
      inputs: [
        { name: 'bias', dtype: 'float32', shape: [1] },
        { name: 'feature', dtype: 'float32', shape: ['batch', 3, 4] },
      ],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [
        node('Relu', ['feature'], ['a']),
        node('Transpose', ['a'], ['t'], { perm: [2, 1, 0] }),
        node('Add', ['t', 'bias'], ['y']),
      ],
    });
    const hoisted = hoistGraph(late, ['feature']);
    expect(hoisted.frontier).toEqual(['a']);
    expect(ops(hoisted.each)).toEqual(['Transpose', 'Add']);
  });

  test('a feature that is read as it is goes to both', async () => {
    const direct = buildGraph({
      opset: 17,
      inputs: [
        { name: 'tokens', dtype: 'float32', shape: ['batch', 4] },
        { name: 'feature', dtype: 'float32', shape: ['batch', 4] },
      ],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Exp', ['feature'], ['e']), node('Sum', ['tokens', 'feature', 'e'], ['y'])],
    });
    const { once, each, frontier } = hoistGraph(direct, ['feature']);
    expect(new Set(frontier)).toEqual(new Set(['feature', 'e']));
    expect(names(mainGraph(once as Graph).output)).toEqual(['e']);
    expect(names(mainGraph(each).input).sort()).toEqual(['e', 'feature', 'tokens']);
  });

  test('nothing is taken out where nothing else is an input, or nothing can be', () => {
    const only = buildGraph({
      opset: 17,
      inputs: [{ name: 'feature', dtype: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Exp', ['feature'], ['a']), node('Neg', ['a'], ['y'])],
    });
    expect(hoistGraph(only, ['feature'])).toEqual({ once: null, each: only, frontier: ['feature'] });
    const early = buildGraph({
      opset: 17,
      inputs: [
        { name: 'tokens', dtype: 'float32', shape: ['batch', 4] },
        { name: 'feature', dtype: 'float32', shape: ['batch', 4] },
      ],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Add', ['feature', 'tokens'], ['a']), node('Neg', ['a'], ['y'])],
    });
    expect(hoistGraph(early, ['feature']).once).toBeNull();
  });

  test('a name that is no input is refused', () => {
    expect(() => constantUnder(plain, ['k'])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
