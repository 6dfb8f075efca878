import { describe, expect, it } from 'vitest';
import { buildGraph, mainGraph, node, readGraph, tensorOf, writeGraph } from '../../src/onnx/index.ts';
import { tensor } from '../../src/tensor.ts';
import { decayGroups, randomWeights, trainableWeights, withWeights } from '../../src/train/index.ts';
import { codeOf } from '../code-of.ts';
import { numbers, smallClassifier } from './small-classifier.ts';

const GRAPH = smallClassifier();
const ALL = ['conv.weight', 'conv.bias', 'norm.weight', 'norm.bias', 'head.weight', 'head.bias'];

describe('the weights to train', () => {
  it('are all but constants of one element and statistics of norms', () => {
    expect(trainableWeights(GRAPH, 'logits')).toEqual(ALL);
    expect(trainableWeights(GRAPH, 'r')).toEqual(ALL.slice(0, 4));
  });

  it('are chosen by names with stars', () => {
    expect(trainableWeights(GRAPH, 'logits', { weights: ['head*', '*.bias'] })).toEqual([
      'conv.bias',
      'norm.bias',
      'head.weight',
      'head.bias',
    ]);
    expect(trainableWeights(GRAPH, 'logits', { freeze: ['conv.*', 'norm.bias'] })).toEqual([
      'norm.weight',
      'head.weight',
      'head.bias',
    ]);
    expect(trainableWeights(GRAPH, 'logits', { weights: ['half'] })).toEqual(['half']);
  });

  it('are refused where a pattern fits nothing or nothing is left', () => {
    for (const choice of [{ weights: ['tail*'] }, { freeze: ['.*'] }, { weights: ['norm.mean'] }, { freeze: ['*'] }]) {
      expect(codeOf(() => trainableWeights(GRAPH, 'logits', choice))).toBe('INVALID_ARGUMENT');
    }
    expect(() => trainableWeights(GRAPH, 'logits', { weights: ['tail*'] })).toThrow(/'tail\*'.*'conv\.weight'/);
  });

  it('decay where they have more than one axis', () => {
    expect(decayGroups(GRAPH, ALL, 0.1)).toEqual([
      { weights: ['conv.weight', 'head.weight'], decay: 0.1 },
      { weights: ['conv.bias', 'norm.weight', 'norm.bias', 'head.bias'] },
    ]);
  });
});

it('new values go into the graph and leave every other byte', () => {
  const before = writeGraph(GRAPH);
  const value = numbers([6], 5);
  const after = writeGraph(withWeights(readGraph(before), { 'conv.bias': value }));
  expect(after.length).toBe(before.length);
  const changed = [...after.keys()].filter((i) => after[i] !== before[i]);
  expect(changed.length).toBeGreaterThan(0);
  expect(Math.max(...changed) - Math.min(...changed)).toBeLessThan(24);
  expect(codeOf(() => withWeights(GRAPH, { 'conv.bias': numbers([5]) }))).toBe('TENSOR_INVALID');
});

it('values that a file keeps as a list of floats are replaced too', () => {
  const graph = readGraph(writeGraph(GRAPH));
  const proto = mainGraph(graph).initializer.find(({ name }) => name === 'conv.bias');
  if (!proto) throw new Error('no conv.bias');
  proto.rawData = new Uint8Array();
  proto.floatData = [1, 2, 3, 4, 5, 6];
  const changed = mainGraph(withWeights(graph, { 'conv.bias': numbers([6], 5) })).initializer.find(
    ({ name }) => name === 'conv.bias',
  );
  expect(changed && tensorOf(changed)).toEqual(numbers([6], 5));
});

describe('random weights', () => {
  const deviation = (data: ArrayLike<number>) => {
    const values = [...(data as Float32Array)];
    const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
    return Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length);
  };

  it('are by fan-in, through transposes, and 1 or 0 for norms and biases', () => {
    const zeros = (...shape: number[]) => tensor('float32', shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
    const weights = {
      kernel: zeros(64, 16, 3, 3),
      left: zeros(256, 64),
      right: zeros(64, 256),
      turned: zeros(256, 64),
      einsum: zeros(8, 16, 64),
      table: zeros(100, 64),
      scale: zeros(64),
      shift: zeros(64),
      bias: zeros(256),
    };
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 16, 8, 8] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [
        node('Conv', ['x', 'kernel'], ['c']),
        node('LayerNormalization', ['c', 'scale', 'shift'], ['l']),
        node('MatMul', ['l', 'right'], ['m']),
        node('Add', ['bias', 'm'], ['a']),
        node('Gemm', ['a', 'left'], ['g']),
        node('Transpose', ['turned'], ['t'], { perm: [1, 0] }),
        node('MatMul', ['g', 't'], ['h']),
        node('Einsum', ['h', 'einsum'], ['e'], { equation: 'nd, hkd -> nhk' }),
        node('Gather', ['table', 'i'], ['r']),
        node('Concat', ['r', 'e'], ['y'], { axis: 0 }),
      ],
      initializers: { ...weights, i: tensor('int64', [1], BigInt64Array.of(0n)) },
    });
    const drawn = randomWeights(graph, Object.keys(weights), 1);
    const expected = {
      kernel: Math.sqrt(2 / 144),
      right: 1 / 8,
      left: 1 / 16,
      turned: 1 / 8,
      einsum: 1 / 8,
      table: 0.02,
    };
    for (const [name, value] of Object.entries(expected)) {
      expect(deviation(drawn[name].data as Float32Array) / value, name).toBeCloseTo(1, 1);
    }
    expect(new Set(drawn.scale.data as Float32Array)).toEqual(new Set([1]));
    expect(new Set([...(drawn.shift.data as Float32Array), ...(drawn.bias.data as Float32Array)])).toEqual(
      new Set([0]),
    );
  });

  it('are of the seed alone, and set the statistics of norms to nothing', () => {
    const drawn = randomWeights(GRAPH, ALL, 3);
    expect(randomWeights(GRAPH, ALL, 3)).toEqual(drawn);
    expect(randomWeights(GRAPH, ['head.weight'], 3)['head.weight']).toEqual(drawn['head.weight']);
    expect(randomWeights(GRAPH, ALL, 4)['conv.weight']).not.toEqual(drawn['conv.weight']);
    expect(Object.keys(drawn).sort()).toEqual([...ALL, 'norm.mean', 'norm.variance'].sort());
    expect(new Set(drawn['norm.mean'].data as Float32Array)).toEqual(new Set([0]));
    expect(new Set(drawn['norm.variance'].data as Float32Array)).toEqual(new Set([1]));
  });
});
