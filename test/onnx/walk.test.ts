import { describe, expect, test } from 'vitest';
import { buildGraph, node, subgraph } from '../../src/onnx/build.ts';
import { mainGraph, opsetOf, tensorTypeOf, trueInputs } from '../../src/onnx/graph.ts';
import { capturesOf, consumersOf, producersOf, tensorsOf, usesOf, walkNodes } from '../../src/onnx/walk.ts';
import { tensor } from '../../src/tensor.ts';

const inner = subgraph({
  inputs: [],
  outputs: [{ name: 'deep', dtype: 'float32' }],
  nodes: [node('Add', ['x', 'w'], ['deep'])],
});
const thenBranch = subgraph({
  inputs: [],
  outputs: [{ name: 'a', dtype: 'float32' }],
  nodes: [node('Relu', ['h'], ['x']), node('If', ['c'], ['a'], { then_branch: inner, else_branch: inner })],
  initializers: { k: tensor('float32', [], Float32Array.of(1)) },
});
const elseBranch = subgraph({ inputs: [], outputs: [{ name: 'h', dtype: 'float32' }], nodes: [] });
const model = buildGraph({
  opset: 17,
  domains: { 'com.example': 3 },
  inputs: [
    { name: 'x', dtype: 'float32', shape: ['batch', 3, '?'] },
    { name: 'c', dtype: 'bool', shape: [] },
    { name: 'w', dtype: 'float32', shape: [3] },
  ],
  outputs: [{ name: 'y', dtype: 'float32' }],
  nodes: [
    node('Relu', ['x', ''], ['h']),
    node('If', ['c'], ['y'], { then_branch: thenBranch, else_branch: elseBranch }),
  ],
  initializers: { w: tensor('float32', [3], new Float32Array(3)) },
});
const [relu, branch] = mainGraph(model).node;

describe('subgraphs', () => {
  test('capture what is used inside and not made inside, at any depth', () => {
    // x is made in the branch before the inner graph reads it; w and c come from outside.
    expect(capturesOf(thenBranch).sort()).toEqual(['c', 'h', 'w']);
    expect(capturesOf(inner).sort()).toEqual(['w', 'x']);
    expect(capturesOf(elseBranch)).toEqual(['h']);
    expect(usesOf(branch).sort()).toEqual(['c', 'h', 'w']);
    expect(usesOf(relu)).toEqual(['x']);
  });

  test('a name that is read before the subgraph makes its own is captured', () => {
    const body = subgraph({
      inputs: [],
      outputs: [{ name: 'v', dtype: 'float32' }],
      nodes: [node('Relu', ['v'], ['u']), node('Relu', ['u'], ['v'])],
    });
    expect(capturesOf(body)).toEqual(['v']);
  });

  test('nodes are walked in order, with their depth', () => {
    expect([...walkNodes(mainGraph(model))].map(({ node, depth }) => `${depth} ${node.opType}`)).toEqual([
      '0 Relu',
      '0 If',
      '1 Relu',
      '1 If',
      '2 Add',
      '2 Add',
    ]);
  });
});

test('producers and consumers', () => {
  expect([...producersOf(mainGraph(model))]).toEqual([
    ['h', relu],
    ['y', branch],
  ]);
  const consumers = consumersOf(mainGraph(model));
  expect(consumers.get('x')).toEqual([relu]);
  expect(consumers.get('h')).toEqual([branch]);
  expect(consumers.get('w')).toEqual([branch]);
});

test('stored tensors are found in subgraphs', () => {
  expect([...tensorsOf(model)].map(({ name }) => name)).toEqual(['w', 'k']);
});

test('inputs with a default need not be fed', () => {
  expect(trueInputs(mainGraph(model)).map(({ name }) => name)).toEqual(['x', 'c']);
});

test('operator sets, by either name of the default domain', () => {
  expect([opsetOf(model), opsetOf(model, 'ai.onnx'), opsetOf(model, 'com.example')]).toEqual([17, 17, 3]);
  expect(() => opsetOf(model, 'ai.onnx.ml')).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
});

test('declared types', () => {
  const [x, c] = mainGraph(model).input;
  expect(tensorTypeOf(x.type)).toEqual({ dtype: 'float32', shape: ['batch', 3, '?'] });
  expect(tensorTypeOf(c.type)).toEqual({ dtype: 'bool', shape: [] });
  expect(tensorTypeOf(mainGraph(model).output[0].type)).toEqual({ dtype: 'float32' });
  expect(tensorTypeOf(undefined)).toBeUndefined();
});
