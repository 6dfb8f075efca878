import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import {
  buildGraph,
  count,
  type Graph,
  inferShapes,
  type ModelSpec,
  mainGraph,
  node,
  printShape,
  subgraph,
  type ValueSpec,
} from '../../src/onnx/index.ts';
import { FunctionProtoSchema, OperatorSetIdProtoSchema } from '../../src/onnx/onnx_pb.ts';
import { tensor } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';

function float(name: string, ...shape: (number | string)[]): ValueSpec {
  return { name, dtype: 'float32', shape };
}
function ints(...values: number[]) {
  return tensor('int64', [values.length], BigInt64Array.from(values.map(BigInt)));
}
function model(spec: Partial<ModelSpec>): Graph {
  return buildGraph({ opset: 17, inputs: [], outputs: [], nodes: [], ...spec });
}
function shapeOf(graph: Graph, name: string, options = {}): string {
  return printShape(inferShapes(graph, options).tensors.get(name)?.shape ?? ['nothing' as never]);
}

describe('what the model declares', () => {
  const relu = (declared: ValueSpec) =>
    model({ inputs: [float('x', 'batch', 3)], outputs: [declared], nodes: [node('Relu', ['x'], ['y'])] });

  it('gives way to the rules where it is stale, as in ONNX Runtime, and that is said', () => {
    for (const declared of [float('y', 'batch', 4), float('y', 'batch', 3, 1)]) {
      const graph = relu(declared);
      expect(shapeOf(graph, 'y')).toBe('[batch,3]');
      expect(inferShapes(graph).stale).toEqual([expect.stringMatching(/'y'.*\[batch,3\].*\[batch,(4|3,1)\]/)]);
    }
    expect(inferShapes(relu(float('y', 'batch', 3))).stale).toEqual([]);
  });

  it('a number for a symbol is no error, and the symbol stays', () => {
    expect(shapeOf(relu(float('y', 1, 3)), 'y')).toBe('[batch,3]');
    expect(shapeOf(relu(float('y', 'other', '?')), 'y')).toBe('[batch,3]');
  });

  it('fills in what no rule knows', () => {
    const unknown = model({
      inputs: [float('x', 'batch', 3)],
      outputs: [float('y', 'batch', 7)],
      nodes: [node('Strange', ['x'], ['h'], {}, { domain: 'example' }), node('Relu', ['h'], ['y'])],
      values: [float('h', 'batch', 7)],
      domains: { example: 1 },
    });
    const { unknown: left } = inferShapes(unknown);
    expect(shapeOf(unknown, 'y')).toBe('[batch,7]');
    expect(left).toEqual([]);
    mainGraph(unknown).valueInfo = [];
    mainGraph(unknown).output[0].type = undefined;
    const without = inferShapes(unknown);
    expect(without.tensors.has('y')).toBe(false);
    expect(without.unknown.map((each) => [each.opType, each.node])).toEqual([
      ['Strange', 'h'],
      ['Relu', 'y'],
    ]);
    expect(without.unknown[0].why).toContain("Strange of domain 'example'");
  });

  it('a symbol that only outputs have means nothing', () => {
    const graph = model({
      inputs: [float('x', 'N', 'C')],
      outputs: [{ name: 'y', dtype: 'int64', shape: [2, 'NonZeroy_dim_1'] }],
      nodes: [node('NonZero', ['x'], ['y'])],
    });
    expect(shapeOf(graph, 'y')).toMatch(/^\[2,\?\d+\]$/);
  });
});

describe('shapes that cannot go together', () => {
  it.each([
    ['MatMul', [float('a', 'N', 3), float('b', 4, 5)], {}],
    ['Add', [float('a', 2, 3), float('b', 2, 4)], {}],
    ['Concat', [float('a', 2, 3), float('b', 2, 3, 1)], { axis: 0 }],
    ['Conv', [float('a', 1, 4, 8, 8), float('b', 8, 3, 3, 3)], {}],
    ['Conv', [float('a', 1, 3, 2, 2), float('b', 8, 3, 5, 5)], {}],
    ['Einsum', [float('a', 2, 3), float('b', 4, 5)], { equation: 'ij,jk->ik' }],
    ['Transpose', [float('a', 2, 3)], { perm: [0, 0] }],
  ] as const)('%s: ONNX_SHAPE where runtimes refuse', (op, inputs, attributes) => {
    const graph = model({
      inputs,
      nodes: [
        node(
          op,
          inputs.map((each) => each.name),
          ['y'],
          attributes,
        ),
      ],
    });
    expect(codeOf(() => inferShapes(graph))).toBe('ONNX_SHAPE');
  });

  it('a branch of an If that contradicts itself is one that never runs', () => {
    const inputs = [float('x', 'N', 3), { name: 'c', dtype: 'bool' as const, shape: [] }];
    const branch = (axis: number) =>
      subgraph({
        inputs: [],
        outputs: [{ name: 'o', dtype: 'float32' }],
        nodes: [node('Squeeze', ['x', `a${axis}`], ['o'])],
        initializers: { [`a${axis}`]: ints(axis) },
      });
    const keep = subgraph({ inputs: [], outputs: [float('o')], nodes: [node('Identity', ['x'], ['o'])] });
    const graph = model({
      inputs,
      nodes: [node('If', ['c'], ['y'], { then_branch: branch(1), else_branch: keep })],
    });
    expect(shapeOf(graph, 'y')).toBe('[N,3]');
  });
});

describe('by the standard alone', () => {
  it('Bernoulli draws in the element type that it states, or that of its input', () => {
    for (const [attributes, dtype] of [[{ dtype: 11 }, 'float64'] as const, [{}, 'float32'] as const]) {
      const nodes = [node('Bernoulli', ['x'], ['y'], attributes)];
      const { tensors } = inferShapes(model({ inputs: [float('x', 'N')], outputs: [], nodes }));
      expect(tensors.get('y')?.dtype).toBe(dtype);
    }
  });

  it('the inverse of a one-sided spectrum has an even length, or the one that is given', () => {
    const attributes = { axis: 1, inverse: 1, onesided: 1 };
    for (const [inputs, shape] of [[['x'], '[N,2*L-2,1]'] as const, [['x', 'n'], '[N,9,1]'] as const]) {
      const nodes = [node('DFT', inputs, ['y'], attributes)];
      const n = tensor('int64', [], BigInt64Array.of(9n));
      const graph = model({ inputs: [float('x', 'N', 'L', 2)], nodes, initializers: { n } });
      expect(shapeOf(graph, 'y')).toBe(shape);
    }
  });
});

describe('given shapes and lengths', () => {
  const graph = model({
    inputs: [float('x', 'batch', 'length', 8), float('past', 'batch', 'kept', 8)],
    nodes: [node('Concat', ['past', 'x'], ['y'], { axis: 1 })],
  });

  it('bind symbols everywhere', () => {
    expect(shapeOf(graph, 'y')).toBe('[batch,kept+length,8]');
    expect(shapeOf(graph, 'y', { dims: { length: 1 } })).toBe('[batch,kept+1,8]');
    expect(shapeOf(graph, 'y', { inputs: { x: [2, 5, 8] } })).toBe('[2,kept+5,8]');
    expect(shapeOf(graph, 'y', { inputs: { x: [2, 5, 8], past: [2, 0, 8] } })).toBe('[2,5,8]');
  });

  it.each([
    [{ inputs: { z: [1] } }],
    [{ inputs: { x: [1, 2] } }],
    [{ inputs: { x: [1, 2, 9] } }],
    [{ inputs: { x: [1, 2, 8], past: [2, 2, 8] } }],
    [{ inputs: { x: [1, -2, 8] } }],
    [{ dims: { batch: 0.5 } }],
  ])('%j is INVALID_ARGUMENT', (options) => {
    expect(codeOf(() => inferShapes(graph, options))).toBe('INVALID_ARGUMENT');
  });
});

describe("a model's own functions", () => {
  const twice = create(FunctionProtoSchema, {
    domain: 'mine',
    name: 'Rows',
    input: ['a', 'shape'],
    output: ['b'],
    attribute: ['axis'],
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })],
    node: [node('Concat', ['a', 'a'], ['h']), node('Reshape', ['h', 'shape'], ['b'])],
  });
  twice.node[0].attribute.push({ ...node('x', [], [], { axis: 1 }).attribute[0], i: 0n, refAttrName: 'axis' });
  const graph = model({
    inputs: [float('x', 'batch', 6)],
    nodes: [node('Rows', ['x', 'target'], ['y'], { axis: 1 }, { domain: 'mine' })],
    initializers: { target: ints(0, 3, -1) },
    domains: { mine: 1 },
    functions: [twice],
  });

  it('are followed with the attributes and values of the call', () => {
    expect(shapeOf(graph, 'y')).toBe('[batch,3,4]');
  });

  it('end where they call themselves', () => {
    const forever = create(FunctionProtoSchema, {
      ...twice,
      name: 'Forever',
      node: [node('Forever', ['a', 'shape'], ['b'], {}, { domain: 'mine' })],
    });
    const looping = model({
      inputs: [float('x', 2)],
      nodes: [node('Forever', ['x', 'x'], ['y'], {}, { domain: 'mine' })],
      functions: [forever],
    });
    expect(inferShapes(looping).unknown.length).toBeGreaterThan(0);
    expect(count(looping).totalMacs).toBe(0);
  });
});

describe('hostile graphs end in bounded time', () => {
  it('values that grow', () => {
    // Each node doubles a polynomial; without caps its terms would double, too.
    const nodes = Array.from({ length: 200 }, (_, i) => node('Mul', [`s${i}`, `s${i}`], [`s${i + 1}`]));
    const graph = model({
      inputs: [float('x', 'a', 'b', 'c')],
      nodes: [
        node('Shape', ['x'], ['shape']),
        node('ReduceSum', ['shape'], ['s0'], { keepdims: 0 }),
        ...nodes,
        node('Expand', ['x', 's200'], ['y']),
      ],
    });
    expect(inferShapes(graph).unknown.length).toBeLessThanOrEqual(1);
  });

  it('functions that call one another twice each', () => {
    const functions = Array.from({ length: 40 }, (_, i) =>
      create(FunctionProtoSchema, {
        domain: 'mine',
        name: `F${i}`,
        input: ['a'],
        output: ['c'],
        node:
          i === 0
            ? [node('Relu', ['a'], ['c'])]
            : [
                node(`F${i - 1}`, ['a'], ['b'], {}, { domain: 'mine' }),
                node(`F${i - 1}`, ['b'], ['c'], {}, { domain: 'mine' }),
              ],
      }),
    );
    const graph = model({
      inputs: [float('x', 2)],
      nodes: [node('F39', ['x'], ['y'], {}, { domain: 'mine' })],
      functions,
    });
    expect(inferShapes(graph).unknown.length).toBeGreaterThan(0);
  });

  it('tensors that are larger than any memory', () => {
    const graph = model({
      nodes: [node('ConstantOfShape', ['s'], ['x']), node('Add', ['x', 'x'], ['y']), node('Size', ['y'], ['n'])],
      initializers: { s: ints(2 ** 40, 2 ** 40) },
    });
    expect(shapeOf(graph, 'y')).toBe(`[${2 ** 40},${2 ** 40}]`);
  });

  it('nodes put together at random', () => {
    const ops = [
      'Reshape',
      'Slice',
      'Concat',
      'Gather',
      'Conv',
      'MatMul',
      'Range',
      'Where',
      'Expand',
      'Pad',
      'Resize',
      'Split',
      'Squeeze',
      'Unsqueeze',
      'Transpose',
      'TopK',
      'Einsum',
      'Loop',
      'If',
      'Scan',
      'Tile',
      'OneHot',
      'LSTM',
      'Attention',
      'ConvTranspose',
      'MaxPool',
      'STFT',
      'DFT',
      'Col2Im',
      'GridSample',
      'Shape',
      'ScatterND',
      'GatherND',
    ];
    const attributes = fc.dictionary(
      fc.constantFrom(
        'axis',
        'axes',
        'perm',
        'pads',
        'strides',
        'kernel_shape',
        'group',
        'num_heads',
        'hidden_size',
        'equation',
        'split',
      ),
      fc.oneof(
        fc.integer({ min: -3, max: 5 }),
        fc.array(fc.integer({ min: -3, max: 9 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom('ij,jk->ik', '...i->...', '->'),
      ),
    );
    const names = fc.constantFrom('x', 'v', 'w', 'i', '', 'y0', 'y1', 'y2');
    const one = fc.record({ op: fc.constantFrom(...ops), inputs: fc.array(names, { maxLength: 6 }), attributes });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), fc.constantFrom(9, 13, 18, 23), (specs, opset) => {
        const graph = model({
          opset,
          inputs: [float('x', 'N', 4, 'H', 9), float('v', 'N')],
          nodes: specs.map((each, i) => node(each.op, each.inputs, [`y${i}`, `z${i}`], each.attributes)),
          initializers: { i: ints(0, -1, 4), w: tensor('float32', [4, 4], new Float32Array(16)) },
        });
        try {
          const inferred = inferShapes(graph);
          count(graph, inferred);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(IsthmusError);
          expect((thrown as IsthmusError).code).toBe('ONNX_SHAPE');
        }
      }),
      { seed: 7, numRuns: 2000 },
    );
  });
});
