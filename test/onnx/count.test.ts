import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  buildGraph,
  count,
  float,
  inferShapes,
  type ModelSpec,
  node,
  openGraph,
  subgraph,
} from '../../src/onnx/index.ts';
import { tensor } from '../../src/tensor.ts';
import { SHARED } from '../shared.ts';

function f32(name: string, ...shape: (number | string)[]) {
  return { name, dtype: 'float32' as const, shape };
}
function weights(...shape: number[]) {
  return tensor('float32', shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
}
function counted(spec: Partial<ModelSpec>, bindings = {}) {
  const graph = buildGraph({ opset: 17, inputs: [], outputs: [], nodes: [], ...spec });
  return count(graph, inferShapes(graph), bindings);
}

describe('multiply-accumulates by hand', () => {
  it.each<[string, Partial<ModelSpec>, number]>([
    [
      'Conv: 8*5*5 outputs of 3*3*3',
      {
        inputs: [f32('x', 1, 3, 7, 7)],
        initializers: { w: weights(8, 3, 3, 3) },
        nodes: [node('Conv', ['x', 'w'], ['y'])],
      },
      8 * 25 * 27,
    ],
    [
      'depthwise Conv',
      {
        inputs: [f32('x', 1, 4, 7, 7)],
        initializers: { w: weights(4, 1, 3, 3) },
        nodes: [node('Conv', ['x', 'w'], ['y'], { group: 4 })],
      },
      4 * 25 * 9,
    ],
    [
      'ConvTranspose: each input to 6*2*2',
      {
        inputs: [f32('x', 1, 4, 5, 5)],
        initializers: { w: weights(4, 6, 2, 2) },
        nodes: [node('ConvTranspose', ['x', 'w'], ['y'], { strides: [2, 2] })],
      },
      4 * 25 * 24,
    ],
    [
      'batched MatMul',
      { inputs: [f32('a', 2, 3, 5, 7), f32('b', 7, 11)], nodes: [node('MatMul', ['a', 'b'], ['y'])] },
      6 * 5 * 7 * 11,
    ],
    ['vector MatMul', { inputs: [f32('a', 7), f32('b', 7)], nodes: [node('MatMul', ['a', 'b'], ['y'])] }, 7],
    [
      'Gemm turned',
      { inputs: [f32('a', 7, 5), f32('b', 11, 7)], nodes: [node('Gemm', ['a', 'b'], ['y'], { transA: 1, transB: 1 })] },
      5 * 7 * 11,
    ],
    [
      'Einsum',
      {
        inputs: [f32('a', 2, 5, 7), f32('b', 2, 3, 7)],
        nodes: [node('Einsum', ['a', 'b'], ['y'], { equation: 'bic,bjc->bij' })],
      },
      2 * 5 * 3 * 7,
    ],
    [
      'LSTM',
      {
        inputs: [f32('x', 9, 2, 5), f32('w', 1, 24, 5), f32('r', 1, 24, 6)],
        nodes: [node('LSTM', ['x', 'w', 'r'], ['y'], { hidden_size: 6 })],
      },
      9 * 2 * 24 * 11,
    ],
    [
      'Attention of Microsoft',
      {
        domains: { 'com.microsoft': 1 },
        inputs: [f32('x', 2, 5, 8), f32('w', 8, 24), f32('b', 24)],
        nodes: [node('Attention', ['x', 'w', 'b'], ['y'], { num_heads: 2 }, { domain: 'com.microsoft' })],
      },
      2 * 5 * 8 * 24 + 2 * (2 * 5 * 5 * 8),
    ],
    [
      'FusedMatMul turned',
      {
        domains: { 'com.microsoft': 1 },
        inputs: [f32('a', 3, 7, 5), f32('b', 3, 7, 2)],
        nodes: [node('FusedMatMul', ['a', 'b'], ['y'], { transA: 1, alpha: float(1) }, { domain: 'com.microsoft' })],
      },
      3 * 5 * 7 * 2,
    ],
    [
      'nothing for element-wise operators, pools and norms',
      {
        inputs: [f32('x', 1, 4, 8, 8)],
        nodes: [
          node('Relu', ['x'], ['a']),
          node('MaxPool', ['a'], ['b'], { kernel_shape: [2, 2] }),
          node('Mul', ['b', 'b'], ['y']),
        ],
      },
      0,
    ],
  ])('%s', (_, spec, macs) => {
    const { macs: each, totalMacs, unknown } = counted(spec);
    expect(unknown).toEqual([]);
    expect(totalMacs).toBe(macs);
    expect(each).toHaveLength(spec.nodes?.length ?? 0);
  });

  const product = (name: string, n: number) =>
    subgraph({
      inputs: [],
      outputs: [{ name: 'o', dtype: 'float32' }],
      nodes: [node('MatMul', ['x', name], ['o'])],
      initializers: { [name]: weights(4, n) },
    });

  it('an If costs its dearer branch and stores both', () => {
    const branches = { then_branch: product('a', 3), else_branch: product('b', 9) };
    const result = counted({
      inputs: [f32('x', 'batch', 4), { name: 'c', dtype: 'bool', shape: [] }],
      nodes: [node('If', ['c'], ['y'], branches)],
    });
    expect(result.macs).toEqual([36]);
    expect([...result.params]).toEqual([['y', 48]]);
  });

  it.each([
    ['of constant length', tensor('int64', [], BigInt64Array.of(5n)), 5, 0],
    ['as long as the data say', undefined, 1, 1],
  ])('a Loop %s', (_, trips, rounds, notes) => {
    const body = subgraph({
      inputs: [
        { name: 'i', dtype: 'int64', shape: [] },
        { name: 'go', dtype: 'bool', shape: [] },
      ],
      outputs: [
        { name: 'on', dtype: 'bool' },
        { name: 'o', dtype: 'float32' },
      ],
      nodes: [node('Identity', ['go'], ['on']), node('MatMul', ['x', 'w'], ['o'])],
    });
    const result = counted({
      inputs: [f32('x', 2, 4), ...(trips ? [] : [{ name: 'n', dtype: 'int64' as const, shape: [] }])],
      initializers: { w: weights(4, 3), ...(trips && { n: trips }) },
      nodes: [node('Loop', ['n', ''], ['y'], { body })],
    });
    expect(result.macs).toEqual([24 * rounds]);
    expect(result.notes).toHaveLength(notes);
  });

  it('symbols are 1 unless bound, and what cannot be counted is said', () => {
    const spec = {
      inputs: [f32('x', 'N', 4)],
      initializers: { w: weights(4, 3) },
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    };
    expect(counted(spec).totalMacs).toBe(12);
    expect(counted(spec, { N: 10 }).totalMacs).toBe(120);
    const data = counted({
      ...spec,
      nodes: [
        node('NonZero', ['x'], ['z']),
        node('Cast', ['z'], ['f'], { to: 1 }),
        node('Transpose', ['f'], ['t']),
        node('MatMul', ['t', 'v'], ['y']),
      ],
      initializers: { v: weights(2, 2) },
    });
    expect(data.macs).toEqual([0, 0, 0, 0]);
    expect(data.unknown.map((each) => each.opType)).toEqual(['MatMul']);
  });
});

describe('parameters', () => {
  it('are stored floats, each tensor once, not shapes', () => {
    const { params, totalParams } = counted({
      inputs: [f32('x', 2, 4)],
      initializers: { w: weights(4, 4), shape: tensor('int64', [2], BigInt64Array.of(4n, 2n)) },
      nodes: [
        node('MatMul', ['x', 'w'], ['a']),
        node('MatMul', ['a', 'w'], ['b']),
        node('Constant', [], ['c'], { value: weights(4) }),
        node('Constant', [], ['two'], { value: weights() }),
        node('ConstantOfShape', ['shape'], ['made'], { value: weights(1) }),
        node('Add', ['b', 'c'], ['y']),
      ],
    });
    expect(Object.fromEntries(params)).toEqual({ w: 16, c: 4, made: 8 });
    expect(totalParams).toBe(28);
  });
});

/**
 * Published multiply-accumulates and parameters: torchvision's table of weights (ResNet-50 4.09 G, 25.6 M; DenseNet-121
 * 2.83 G, 8.0 M; SqueezeNet 1.1 0.35 G, 1.24 M), Szegedy et al. 2015,
 * table 1 (1.5 G), and timm's card of vit_tiny_patch16_224 (1.1 G without the 0.18 G that attention multiplies, 5.7 M with
 * the 193,384 of its norm and head). BatchNormalization's stored statistics count here, too.
 */
const PUBLISHED: readonly [path: string, macs: [number, number], params: [number, number]][] = [
  ['graphs/light_resnet50.onnx', [4.05e9, 4.15e9], [25.5e6, 25.7e6]],
  ['graphs/light_densenet121.onnx', [2.8e9, 2.9e9], [7.9e6, 8.2e6]],
  ['graphs/light_inception_v1.onnx', [1.4e9, 1.6e9], [6.9e6, 7.1e6]],
  ['graphs/winml_squeezenet_fp16.onnx', [0.34e9, 0.36e9], [1.23e6, 1.24e6]],
  ['photos/models/trunk.onnx', [1.25e9, 1.26e9], [5_524_032, 5_524_032]],
  ['photos/models/classification.onnx', [192_000, 192_000], [193_384, 193_384]],
];

describe.skipIf(!SHARED)('published numbers are met by graphs in ../shared', () => {
  it.each(PUBLISHED)('%s', async (path, macs, params) => {
    const { totalMacs, totalParams, unknown } = count(await openGraph(join(SHARED as string, path)));
    expect(unknown).toEqual([]);
    expect(totalMacs).toBeGreaterThanOrEqual(macs[0]);
    expect(totalMacs).toBeLessThanOrEqual(macs[1]);
    expect(totalParams).toBeGreaterThanOrEqual(params[0]);
    expect(totalParams).toBeLessThanOrEqual(params[1]);
  });
});
