import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AttributeValue,
  buildGraph,
  evaluateDim,
  float,
  type Graph,
  inferShapes,
  isKnownDim,
  mainGraph,
  node,
  printShape,
  subgraph,
  type ValueSpec,
} from '../../src/onnx/index.ts';
import { type NodeProto, ValueInfoProtoSchema } from '../../src/onnx/onnx_pb.ts';
import { type DType, type Tensor, tensor } from '../../src/tensor.ts';
import { runEveryTensor } from './every-tensor.ts';

/** Lengths that the symbols of all cases stand for. */
const LENGTHS: Record<string, number> = { N: 2, C: 4, H: 9, W: 12, L: 5, T: 7, S: 3 };

/** `'N 4 H W'`, or `'int64: N L'`; `''` is a scalar. */
function spec(name: string, text: string): ValueSpec {
  const [, dtype = 'float32', dims] = /^(?:(\w+):)?(.*)$/.exec(text) as RegExpExecArray;
  const shape = dims.trim() === '' ? [] : dims.trim().split(/\s+/);
  return { name, dtype: dtype as DType, shape: shape.map((dim) => (/^\d+$/.test(dim) ? Number(dim) : dim)) };
}

function ints(...values: number[]): Tensor {
  return tensor('int64', [values.length], BigInt64Array.from(values.map(BigInt)));
}
function scalar(value: number): Tensor {
  return tensor('int64', [], BigInt64Array.of(BigInt(value)));
}
function floats(...values: number[]): Tensor {
  return tensor('float32', [values.length], Float32Array.from(values));
}

interface Case {
  readonly op: string;
  readonly opset: number;
  /** A text is an input, a tensor an initializer, `null` an input left out. */
  readonly inputs: readonly (string | Tensor | null)[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly outputs?: number;
  readonly domain?: string;
  readonly nodes?: readonly NodeProto[];
  /** Sequences among what the nodes make. */
  readonly hidden?: readonly string[];
  /** Dimensions of outputs that only the data say. */
  readonly data?: boolean;
}

function build(given: Case): { graph: Graph; inputs: ValueSpec[] } {
  const inputs: ValueSpec[] = [];
  const initializers: Record<string, Tensor> = {};
  const names = given.inputs.map((each, i) => {
    if (each === null) return '';
    if (typeof each === 'string') inputs.push(spec(`x${i}`, each));
    else initializers[`x${i}`] = each;
    return `x${i}`;
  });
  const outputs = Array.from({ length: given.outputs ?? 1 }, (_, i) => `y${i}`);
  const last = node(given.op, names, outputs, given.attributes, { domain: given.domain });
  const domains = given.domain ? { [given.domain]: 1 } : undefined;
  const nodes = given.nodes ?? [last];
  const graph = buildGraph({ opset: given.opset, domains, inputs, outputs: [], nodes, initializers });
  mainGraph(graph).output.push(...nodes[nodes.length - 1].output.map((name) => create(ValueInfoProtoSchema, { name })));
  return { graph, inputs };
}

function shapesOf(inputs: readonly ValueSpec[], lengths: Record<string, number>): Record<string, number[]> {
  const shapes = inputs.map(({ name, shape = [] }) => [
    name,
    shape.map((dim) => (typeof dim === 'number' ? dim : lengths[dim])),
  ]);
  return Object.fromEntries(shapes);
}

async function check(given: Case): Promise<void> {
  const { graph, inputs } = build(given);
  const shapes = shapesOf(inputs, LENGTHS);
  const symbolic = inferShapes(graph);
  const bound = inferShapes(graph, { inputs: shapes });
  expect(symbolic.unknown).toEqual([]);
  const real = await runEveryTensor(graph, shapes, given.hidden);
  for (const [name, { dtype, shape }] of real) {
    const dims = symbolic.tensors.get(name)?.shape ?? [];
    expect(symbolic.tensors.get(name)?.dtype, name).toBe(dtype);
    const evaluated = dims.map((dim, i) => (given.data && !isKnownDim(dim) ? shape[i] : evaluateDim(dim, LENGTHS)));
    expect(evaluated, `${name} ${printShape(dims)}`).toEqual(shape);
    if (!given.data) expect(bound.tensors.get(name)?.shape, name).toEqual(shape);
  }
}

const window = { kernel_shape: [3, 3] };
const CASES: readonly Case[] = [
  // Element-wise, broadcasting.
  { op: 'Relu', opset: 7, inputs: ['N C H W'] },
  { op: 'Softmax', opset: 9, inputs: ['N C H'] },
  { op: 'Softmax', opset: 13, inputs: ['N C H'], attributes: { axis: -1 } },
  { op: 'Add', opset: 7, inputs: ['N C H W', 'C 1 1'] },
  { op: 'Sub', opset: 14, inputs: ['N 1 H', '3 1 1 H'] },
  { op: 'Pow', opset: 15, inputs: ['N C', floats(2)] },
  { op: 'Less', opset: 9, inputs: ['N C', 'C'] },
  { op: 'Sum', opset: 13, inputs: ['N C', 'C', '1 1'] },
  { op: 'Max', opset: 13, inputs: ['N 1', '1 C'] },
  { op: 'Where', opset: 16, inputs: ['bool: N 1', 'C', 'N C'] },
  { op: 'PRelu', opset: 16, inputs: ['N C H', 'C 1'] },
  { op: 'Clip', opset: 6, inputs: ['N C'], attributes: { min: 0, max: 1 } },
  { op: 'Clip', opset: 13, inputs: ['N C', tensor('float32', [], Float32Array.of(0)), null] },
  { op: 'Dropout', opset: 7, inputs: ['N C'], attributes: { ratio: 0.5 } },
  { op: 'Dropout', opset: 13, inputs: ['N C'], outputs: 2 },
  { op: 'Cast', opset: 13, inputs: ['N C'], attributes: { to: 7 } },
  { op: 'IsNaN', opset: 13, inputs: ['N C'] },
  { op: 'Gelu', opset: 20, inputs: ['N C'] },
  { op: 'Mod', opset: 13, inputs: ['N C', 'C'], attributes: { fmod: 1 } },
  { op: 'CumSum', opset: 14, inputs: ['N C', scalar(1)] },
  { op: 'Trilu', opset: 14, inputs: ['N C H'] },
  // Shapes.
  { op: 'Shape', opset: 15, inputs: ['N C H'], attributes: { start: 1, end: -1 } },
  { op: 'Size', opset: 13, inputs: ['N C H'] },
  { op: 'Reshape', opset: 14, inputs: ['N 4 H W', ints(0, -1)] },
  { op: 'Reshape', opset: 14, inputs: ['N 12 C', ints(-1, 3, 0)] },
  { op: 'Flatten', opset: 13, inputs: ['N C H W'], attributes: { axis: 2 } },
  { op: 'Flatten', opset: 13, inputs: ['N C H W'], attributes: { axis: -1 } },
  { op: 'Squeeze', opset: 11, inputs: ['N 1 C 1'], attributes: { axes: [1, -1] } },
  { op: 'Squeeze', opset: 13, inputs: ['N 1 C', ints(1)] },
  { op: 'Squeeze', opset: 13, inputs: ['1 3 1 2'] },
  { op: 'Unsqueeze', opset: 11, inputs: ['N C'], attributes: { axes: [0, 3] } },
  { op: 'Unsqueeze', opset: 13, inputs: ['N C', ints(-1, 1)] },
  { op: 'Transpose', opset: 13, inputs: ['N C H'] },
  { op: 'Transpose', opset: 13, inputs: ['N C H'], attributes: { perm: [0, 2, 1] } },
  { op: 'Expand', opset: 13, inputs: ['N 1 C', ints(3, 1, 5, 1)] },
  { op: 'Concat', opset: 13, inputs: ['N C H', 'N 3 H', 'N W H'], attributes: { axis: 1 } },
  { op: 'Split', opset: 11, inputs: ['N 7'], attributes: { axis: 1, split: [3, 4] }, outputs: 2 },
  { op: 'Split', opset: 13, inputs: ['N 6 C'], attributes: { axis: 1 }, outputs: 3 },
  { op: 'Split', opset: 13, inputs: ['N 7', ints(2, 5)], attributes: { axis: 1 }, outputs: 2 },
  { op: 'Split', opset: 18, inputs: ['H C'], attributes: { axis: 0, num_outputs: 2 }, outputs: 2 },
  {
    op: 'Slice',
    opset: 9,
    inputs: ['N C H'],
    attributes: { axes: [1, 2], starts: [0, 1], ends: [2, 9223372036854775807n] },
  },
  { op: 'Slice', opset: 13, inputs: ['H W', ints(-3, 1), ints(2147483647, -1), ints(0, 1), ints(1, 2)] },
  { op: 'Slice', opset: 13, inputs: ['H W', ints(-1), ints(-2147483648), ints(0), ints(-1)] },
  { op: 'Slice', opset: 13, inputs: ['9 W', ints(7), ints(1), ints(0), ints(-2)] },
  { op: 'Tile', opset: 13, inputs: ['N C', ints(2, 3)] },
  { op: 'Pad', opset: 10, inputs: ['N C'], attributes: { pads: [0, 1, 2, 3] } },
  { op: 'Pad', opset: 13, inputs: ['N C', ints(0, 1, 2, 3)] },
  { op: 'Pad', opset: 18, inputs: ['N C H', ints(1, 2), null, ints(-1)] },
  { op: 'DepthToSpace', opset: 13, inputs: ['N 8 H W'], attributes: { blocksize: 2 } },
  { op: 'SpaceToDepth', opset: 13, inputs: ['N C 6 12'], attributes: { blocksize: 3 } },
  // Gathering.
  { op: 'Gather', opset: 13, inputs: ['H C', 'int64: N L'] },
  { op: 'Gather', opset: 13, inputs: ['N H', scalar(-1)], attributes: { axis: 1 } },
  { op: 'GatherElements', opset: 13, inputs: ['H C', 'int64: L C'] },
  { op: 'GatherND', opset: 13, inputs: ['H W C', 'int64: N 2'] },
  { op: 'GatherND', opset: 13, inputs: ['N H W', 'int64: N L 1'], attributes: { batch_dims: 1 } },
  { op: 'ScatterND', opset: 16, inputs: ['H W', 'int64: N 1', 'N W'] },
  { op: 'ScatterElements', opset: 16, inputs: ['H W', 'int64: N L', 'N L'] },
  { op: 'TopK', opset: 9, inputs: ['N H'], attributes: { k: 3 }, outputs: 2 },
  { op: 'TopK', opset: 11, inputs: ['N H', ints(4)], attributes: { axis: 1 }, outputs: 2 },
  { op: 'OneHot', opset: 11, inputs: ['int64: N L', scalar(6), floats(0, 1)], attributes: { axis: 1 } },
  { op: 'NonZero', opset: 13, inputs: ['N C'], data: true },
  { op: 'Unique', opset: 11, inputs: ['N C'], outputs: 4, data: true },
  { op: 'Compress', opset: 11, inputs: ['N C', 'bool: C'], attributes: { axis: 1 }, data: true },
  { op: 'ConstantOfShape', opset: 9, inputs: [ints(2, 3)] },
  { op: 'Range', opset: 11, inputs: [scalar(1), scalar(12), scalar(3)] },
  { op: 'EyeLike', opset: 9, inputs: ['N C'], attributes: { dtype: 1 } },
  { op: 'NonMaxSuppression', opset: 11, inputs: ['1 6 4', '1 2 6', scalar(3)], data: true },
  // Convolutions and pools.
  {
    op: 'Conv',
    opset: 11,
    inputs: ['N 4 H W', '6 4 3 3', '6'],
    attributes: { ...window, strides: [2, 3], pads: [1, 0, 2, 1] },
  },
  { op: 'Conv', opset: 11, inputs: ['N 4 H W', '8 2 3 2'], attributes: { group: 2, dilations: [2, 3] } },
  { op: 'Conv', opset: 11, inputs: ['N 4 H', '8 4 3'], attributes: { auto_pad: 'SAME_UPPER', strides: [2] } },
  { op: 'Conv', opset: 11, inputs: ['N 4 H W', '8 4 3 3'], attributes: { auto_pad: 'VALID', strides: [2, 2] } },
  { op: 'Conv', opset: 7, inputs: ['N 2 H W 6', '3 2 2 2 2'] },
  {
    op: 'ConvTranspose',
    opset: 11,
    inputs: ['N 4 H W', '4 3 3 3'],
    attributes: { strides: [2, 2], pads: [1, 1, 0, 1], output_padding: [1, 0] },
  },
  {
    op: 'ConvTranspose',
    opset: 11,
    inputs: ['N 4 H W', '4 3 2 2'],
    attributes: { group: 2, strides: [3, 2], dilations: [2, 1] },
  },
  {
    op: 'ConvTranspose',
    opset: 11,
    inputs: ['N 4 H W', '4 3 3 3'],
    attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] },
  },
  {
    op: 'ConvTranspose',
    opset: 11,
    inputs: ['N 4 9 12', '4 3 3 3'],
    attributes: { strides: [2, 2], output_shape: [18, 24] },
  },
  { op: 'MaxPool', opset: 12, inputs: ['N C H W'], attributes: { ...window, strides: [2, 2], ceil_mode: 1 } },
  {
    op: 'MaxPool',
    opset: 12,
    inputs: ['N C H W'],
    attributes: { kernel_shape: [2, 2], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 },
    outputs: 2,
  },
  { op: 'MaxPool', opset: 12, inputs: ['N C H W'], attributes: { ...window, dilations: [2, 2] } },
  { op: 'MaxPool', opset: 8, inputs: ['N C H W'], attributes: { ...window, strides: [2, 2], auto_pad: 'SAME_LOWER' } },
  {
    op: 'AveragePool',
    opset: 11,
    inputs: ['N C H W'],
    attributes: { ...window, strides: [2, 2], ceil_mode: 1, pads: [1, 1, 1, 1] },
  },
  { op: 'AveragePool', opset: 19, inputs: ['N C H'], attributes: { kernel_shape: [2], dilations: [3] } },
  { op: 'LpPool', opset: 11, inputs: ['N C H'], attributes: { kernel_shape: [2] } },
  { op: 'GlobalAveragePool', opset: 7, inputs: ['N C H W'] },
  {
    op: 'MaxUnpool',
    opset: 11,
    inputs: ['1 1 2 2', tensor('int64', [1, 1, 2, 2], BigInt64Array.of(5n, 7n, 13n, 15n))],
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  { op: 'Col2Im', opset: 18, inputs: ['N 20 3', ints(2, 8), ints(2, 2)], attributes: { strides: [1, 3] } },
  // Sampling.
  { op: 'Resize', opset: 10, inputs: ['N C H W', floats(1, 1, 2, 1.5)] },
  { op: 'Resize', opset: 11, inputs: ['1 3 H W', floats(), floats(1, 1, 2, 0.5)] },
  { op: 'Resize', opset: 13, inputs: ['N C H W', null, null, ints(2, 4, 6, 7)] },
  {
    op: 'Resize',
    opset: 18,
    inputs: ['N C H W', null, floats(2, 0.3), null],
    attributes: { axes: [2, 3] },
    data: true,
  },
  {
    op: 'Resize',
    opset: 18,
    inputs: ['1 3 9 12', null, null, ints(20, 20)],
    attributes: { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' },
  },
  { op: 'Upsample', opset: 7, inputs: ['N C H W'], attributes: { scales: [1, 1, 2, 3] } },
  { op: 'Upsample', opset: 9, inputs: ['N C H W', floats(1, 1, 2, 3)] },
  { op: 'GridSample', opset: 16, inputs: ['N C H W', 'N L T 2'] },
  { op: 'AffineGrid', opset: 20, inputs: ['N 2 3', ints(2, 4, 5, 6)] },
  {
    op: 'RoiAlign',
    opset: 16,
    inputs: ['N C H W', '3 4', ints(0, 1, 0)],
    attributes: { output_height: 2, output_width: 3 },
  },
  // Products.
  { op: 'MatMul', opset: 13, inputs: ['N 1 L C', '3 C T'] },
  { op: 'MatMul', opset: 13, inputs: ['C', 'N C T'] },
  { op: 'MatMul', opset: 13, inputs: ['N L C', 'C'] },
  { op: 'MatMul', opset: 13, inputs: ['C', 'C'] },
  { op: 'Gemm', opset: 13, inputs: ['C N', 'T C', 'T'], attributes: { transA: 1, transB: 1 } },
  { op: 'Einsum', opset: 12, inputs: ['N L C', 'N T C'], attributes: { equation: 'bic,bjc->bij' } },
  { op: 'Einsum', opset: 12, inputs: ['N S L C', 'C T'], attributes: { equation: '...c, ct -> ...t' } },
  { op: 'Einsum', opset: 12, inputs: ['L C', 'C T'], attributes: { equation: 'zb,ba' } },
  { op: 'Einsum', opset: 12, inputs: ['N L L'], attributes: { equation: '...ii->...i' } },
  // Reductions, norms.
  { op: 'ReduceMean', opset: 13, inputs: ['N C H'], attributes: { axes: [-1], keepdims: 0 } },
  { op: 'ReduceMean', opset: 18, inputs: ['N C H', ints(0, 2)] },
  { op: 'ReduceSum', opset: 11, inputs: ['N C H'], attributes: { axes: [1] } },
  { op: 'ReduceSum', opset: 13, inputs: ['N C H', ints(1)], attributes: { keepdims: 0 } },
  { op: 'ReduceSum', opset: 13, inputs: ['N C H'], attributes: { noop_with_empty_axes: 1 } },
  { op: 'ReduceMax', opset: 18, inputs: ['N C H'], attributes: { keepdims: 0 } },
  { op: 'ArgMax', opset: 13, inputs: ['N C H'], attributes: { axis: 1, keepdims: 0 } },
  { op: 'ArgMin', opset: 7, inputs: ['N C H'], attributes: { axis: -1 } },
  { op: 'BatchNormalization', opset: 9, inputs: ['N 4 H', '4', '4', '4', '4'] },
  { op: 'LayerNormalization', opset: 17, inputs: ['N L C', 'C', 'C'], outputs: 3 },
  { op: 'GroupNormalization', opset: 21, inputs: ['N 4 H', '4', '4'], attributes: { num_groups: 2 } },
  { op: 'InstanceNormalization', opset: 9, inputs: ['N 4 H', '4', '4'] },
  { op: 'LRN', opset: 13, inputs: ['N C H W'], attributes: { size: 3 } },
  // Recurrence.
  {
    op: 'LSTM',
    opset: 14,
    inputs: ['T N C', '2 24 C', '2 24 6'],
    attributes: { hidden_size: 6, direction: 'bidirectional' },
    outputs: 3,
  },
  { op: 'GRU', opset: 14, inputs: ['T N C', '1 18 C', '1 18 6'], attributes: { hidden_size: 6 }, outputs: 2 },
  { op: 'RNN', opset: 7, inputs: ['T N C', '1 6 C', '1 6 6'], attributes: { hidden_size: 6 }, outputs: 2 },
  // Quantized.
  { op: 'QuantizeLinear', opset: 13, inputs: ['N C', '', 'int8:'] },
  { op: 'DequantizeLinear', opset: 13, inputs: ['uint8: N C', '', 'uint8:'] },
  { op: 'DynamicQuantizeLinear', opset: 11, inputs: ['N C'], outputs: 3 },
  { op: 'MatMulInteger', opset: 10, inputs: ['uint8: N L C', 'int8: C T'] },
  { op: 'ConvInteger', opset: 10, inputs: ['uint8: N 4 H W', 'uint8: 6 4 3 3'], attributes: { pads: [1, 1, 1, 1] } },
  { op: 'QLinearMatMul', opset: 10, inputs: ['uint8: N C', '', 'uint8:', 'uint8: C T', '', 'uint8:', '', 'uint8:'] },
  {
    op: 'QLinearConv',
    opset: 10,
    inputs: ['uint8: N 4 H W', '', 'uint8:', 'uint8: 6 4 3 3', '', 'uint8:', '', 'uint8:'],
    attributes: { strides: [2, 2] },
  },
  // Microsoft's.
  {
    op: 'FusedMatMul',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N C L', 'N C T'],
    attributes: { transA: 1, alpha: float(0.5) },
  },
  { op: 'Gelu', opset: 17, domain: 'com.microsoft', inputs: ['N L C'] },
  { op: 'BiasGelu', opset: 17, domain: 'com.microsoft', inputs: ['N L C', 'C'] },
  { op: 'FastGelu', opset: 17, domain: 'com.microsoft', inputs: ['N L C'] },
  { op: 'QuickGelu', opset: 17, domain: 'com.microsoft', inputs: ['N L C'] },
  { op: 'SkipLayerNormalization', opset: 17, domain: 'com.microsoft', inputs: ['N L C', 'N L C', 'C', 'C'] },
  {
    op: 'Attention',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N L 8', '8 24', '24'],
    attributes: { num_heads: 2 },
  },
  {
    op: 'MultiHeadAttention',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N L 8', 'N T 8', 'N T 8'],
    attributes: { num_heads: 2 },
  },
  {
    op: 'EmbedLayerNormalization',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['int32: N L', 'int32: N L', '9 4', '7 4', '3 4', '4', '4', 'int32: N L'],
    outputs: 2,
  },
  {
    op: 'FusedConv',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N 4 H W', '6 4 3 3', '6'],
    attributes: { activation: 'Relu' },
  },
  {
    op: 'QLinearAdd',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['uint8: N C', '', 'uint8:', 'uint8: C', '', 'uint8:', '', 'uint8:'],
  },
  {
    op: 'QLinearGlobalAveragePool',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['uint8: N C H W', '', 'uint8:', '', 'uint8:'],
  },
  {
    op: 'MultiHeadAttention',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N L 8', 'N 2 T 4', 'N 2 T 4'],
    attributes: { num_heads: 2 },
  },
  { op: 'SimplifiedLayerNormalization', opset: 17, inputs: ['N L C', 'C'] },
  { op: 'SkipSimplifiedLayerNormalization', opset: 17, domain: 'com.microsoft', inputs: ['N L C', 'N L C', 'C'] },
  { op: 'MatMulIntegerToFloat', opset: 17, domain: 'com.microsoft', inputs: ['uint8: N C', 'uint8: C T', '', ''] },
  { op: 'DynamicQuantizeMatMul', opset: 17, domain: 'com.microsoft', inputs: ['N C', 'uint8: C T', '', 'uint8:'] },
  {
    op: 'QGemm',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['uint8: N C', '', 'uint8:', 'uint8: T C', '', 'uint8:', null, '', 'uint8:'],
    attributes: { transB: 1 },
  },
  {
    op: 'QLinearConcat',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['', 'uint8:', 'uint8: N C', '', 'uint8:', 'uint8: N H', '', 'uint8:'],
    attributes: { axis: 1 },
  },
  {
    op: 'QLinearAveragePool',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['uint8: N C H W', '', 'uint8:', '', 'uint8:'],
    attributes: window,
  },
  {
    op: 'QAttention',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['uint8: N L 8', 'uint8: 8 24', '24', '', '', null, 'uint8:', 'uint8:'],
    attributes: { num_heads: 2 },
  },
  {
    op: 'FusedGemm',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N C', 'C T', 'T'],
    attributes: { activation: 'Relu' },
  },
  {
    op: 'RotaryEmbedding',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N L 8', ints(0), 'H 2', 'H 2'],
    attributes: { num_heads: 2 },
  },
  {
    op: 'MatMulNBits',
    opset: 17,
    domain: 'com.microsoft',
    inputs: ['N L 16', 'uint8: 6 1 8', '6'],
    attributes: { K: 16, N: 6, bits: 4, block_size: 16 },
  },
  // The newest operator sets.
  { op: 'Attention', opset: 23, inputs: ['N 4 L 6', 'N 2 T 6', 'N 2 T 3'] },
  {
    op: 'Attention',
    opset: 23,
    inputs: ['N L 24', 'N T 12', 'N T 8'],
    attributes: { q_num_heads: 4, kv_num_heads: 2 },
  },
  { op: 'RMSNormalization', opset: 23, inputs: ['N L C', 'C'] },
  { op: 'QuantizeLinear', opset: 21, inputs: ['N C', ''], attributes: { output_dtype: 3 } },
  { op: 'DequantizeLinear', opset: 21, inputs: ['int8: N C', 'C'], attributes: { axis: 1 } },
  { op: 'STFT', opset: 17, inputs: ['N 20 1', scalar(4), null, scalar(8)] },
  { op: 'DFT', opset: 17, inputs: ['N H 1'], attributes: { onesided: 1 } },
  { op: 'HannWindow', opset: 17, inputs: [scalar(7)] },
  { op: 'CenterCropPad', opset: 18, inputs: ['N C H', ints(5, 6)], attributes: { axes: [1, 2] } },
];

const body = {
  yes: subgraph({ inputs: [], outputs: [spec('a', 'N C')], nodes: [node('Relu', ['x0'], ['a'])] }),
  no: subgraph({
    inputs: [],
    outputs: [spec('b', 'N C')],
    nodes: [node('Concat', ['x0', 'x0'], ['b'], { axis: 1 })],
  }),
  loop: subgraph({
    inputs: [spec('i', 'int64:'), spec('go', 'bool:'), { name: 'state', dtype: 'float32' }],
    outputs: [spec('go2', 'bool:'), { name: 'next', dtype: 'float32' }, { name: 'each', dtype: 'float32' }],
    nodes: [
      node('Identity', ['go'], ['go2']),
      node('Concat', ['state', 'x0'], ['next'], { axis: 0 }),
      node('ReduceSum', ['x0'], ['each'], { keepdims: 0 }),
    ],
  }),
  scan: subgraph({
    inputs: [spec('state', 'C'), spec('slice', 'C')],
    outputs: [spec('next', 'C'), { name: 'both', dtype: 'float32' }],
    nodes: [node('Add', ['state', 'slice'], ['next']), node('Concat', ['slice', 'slice'], ['both'], { axis: 0 })],
  }),
};
const PROGRAMS: Readonly<Record<string, Case>> = {
  'If merges its branches': {
    op: '',
    opset: 13,
    data: true,
    inputs: ['N C', 'bool:'],
    nodes: [node('If', ['x1'], ['y'], { then_branch: body.yes, else_branch: body.no })],
  },
  'Loop whose state grows': {
    op: '',
    opset: 13,
    data: true,
    inputs: ['N C', scalar(3), tensor('bool', [], Uint8Array.of(1))],
    nodes: [node('Loop', ['x1', 'x2', 'x0'], ['y', 'z'], { body: body.loop })],
  },
  Scan: {
    op: '',
    opset: 13,
    inputs: ['C', 'T C'],
    nodes: [node('Scan', ['x0', 'x1'], ['y', 'z'], { body: body.scan, num_scan_inputs: 1 })],
  },
  'heads split as PyTorch exports it': {
    op: '',
    opset: 17,
    inputs: ['N L 12', ints(2), scalar(0), scalar(1), ints(3), ints(0)],
    nodes: [
      node('Shape', ['x0'], ['s']),
      node('Gather', ['s', 'x2'], ['n']),
      node('Gather', ['s', 'x3'], ['l']),
      node('Unsqueeze', ['n', 'x5'], ['n1']),
      node('Unsqueeze', ['l', 'x5'], ['l1']),
      node('Concat', ['n1', 'l1', 'x4', 'x1', 'x1'], ['target'], { axis: 0 }),
      node('Reshape', ['x0', 'target'], ['split']),
      node('Transpose', ['split'], ['heads'], { perm: [0, 2, 1, 3, 4] }),
    ],
  },
  'a class token expanded to the batch': {
    op: '',
    opset: 17,
    inputs: ['N C 6', ints(1, 1, 6), scalar(0), ints(0), ints(-1, -1, 1), ints(-1)],
    nodes: [
      node('ConstantOfShape', ['x3s'], ['ones'], { value: ints(1) }),
      node('Shape', ['x0'], ['s']),
      node('Gather', ['s', 'x2'], ['n']),
      node('Unsqueeze', ['n', 'x3'], ['n1']),
      node('Concat', ['n1', 'x5', 'x5'], ['want'], { axis: 0 }),
      node('Equal', ['want', 'x5'], ['any']),
      node('Where', ['any', 'ones', 'want'], ['target']),
      node('Constant', [], ['token'], { value: tensor('float32', [1, 1, 6], new Float32Array(6)) }),
      node('Expand', ['token', 'target'], ['tokens']),
      node('Concat', ['tokens', 'x0'], ['y'], { axis: 1 }),
    ].with(0, node('Constant', [], ['ones'], { value: ints(1, 1, 1) })),
  },
  'windows as Swin makes them': {
    op: '',
    opset: 17,
    inputs: ['N 8 12 6', scalar(0), ints(0), ints(2, 4, 3, 4, 6), ints(-1, 16, 6)],
    nodes: [
      node('Shape', ['x0'], ['s']),
      node('Gather', ['s', 'x1'], ['n']),
      node('Unsqueeze', ['n', 'x2'], ['n1']),
      node('Concat', ['n1', 'x3'], ['target'], { axis: 0 }),
      node('Reshape', ['x0', 'target'], ['rows']),
      node('Transpose', ['rows'], ['windows'], { perm: [0, 1, 3, 2, 4, 5] }),
      node('Reshape', ['windows', 'x4'], ['y']),
    ],
  },
  'sizes scaled by floats as old interpolations do': {
    op: '',
    opset: 11,
    inputs: ['N C H W', ints(0), ints(2), ints(4), floats(2, 2), floats()],
    nodes: [
      node('Shape', ['x0'], ['s']),
      node('Slice', ['s', 'x1', 'x2', 'x1'], ['nc']),
      node('Slice', ['s', 'x2', 'x3', 'x1'], ['hw']),
      node('Cast', ['hw'], ['hwf'], { to: 1 }),
      node('Mul', ['hwf', 'x4'], ['scaled']),
      node('Floor', ['scaled'], ['floored']),
      node('Cast', ['floored'], ['sizes'], { to: 7 }),
      node('Concat', ['nc', 'sizes'], ['all'], { axis: 0 }),
      node('Resize', ['x0', 'x5', 'x5', 'all'], ['y']),
    ],
  },
  'a sequence split and joined': {
    hidden: ['s', 'more'],
    op: '',
    opset: 17,
    data: true,
    inputs: ['N 9 C', scalar(3), scalar(1)],
    nodes: [
      node('SplitToSequence', ['x0', 'x1'], ['s'], { axis: 1 }),
      node('SequenceAt', ['s', 'x2'], ['one']),
      node('SequenceInsert', ['s', 'one'], ['more']),
      node('ConcatFromSequence', ['more'], ['y'], { axis: 1 }),
    ],
  },
  'a causal mask from a range': {
    op: '',
    opset: 13,
    inputs: ['int64: N L', scalar(1), scalar(0), scalar(1), ints(1), ints(0)],
    nodes: [
      node('Shape', ['x0'], ['s']),
      node('Gather', ['s', 'x1'], ['l']),
      node('Range', ['x2', 'l', 'x3'], ['r']),
      node('Unsqueeze', ['r', 'x4'], ['column']),
      node('Unsqueeze', ['r', 'x5'], ['row']),
      node('Less', ['column', 'row'], ['mask']),
    ],
  },
};

describe('each rule gives what onnxruntime makes, for symbols and for numbers', () => {
  it.each(
    CASES.map((each) => ({ ...each, title: `${each.op} ${each.opset} (${each.inputs.map(titleOf).join('; ')})` })),
  )('$title', check);
  it.each(Object.entries(PROGRAMS))('%s', (_, program) => check(program));
});

/** Random windows; where the runtime refuses one nothing is compared. */
const side = fc.integer({ min: 1, max: 12 });
const windows = fc.record({
  op: fc.constantFrom('Conv', 'ConvTranspose', 'MaxPool', 'AveragePool'),
  lengths: fc.tuple(side, side),
  kernel_shape: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
  strides: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
  dilations: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  pads: fc.tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: 0, max: 2 }))),
  auto_pad: fc.constantFrom('NOTSET', 'NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'),
  ceil_mode: fc.integer({ min: 0, max: 1 }),
});

/**
 * onnxruntime leaves the specification in two places, where nobody can rely on it: a window longer than the padded input,
 * and dilated pools that pad themselves.
 */
function specified(given: typeof windows extends fc.Arbitrary<infer W> ? W : never): boolean {
  const { op, lengths, kernel_shape, dilations, pads, auto_pad } = given;
  if (auto_pad.startsWith('SAME')) return !op.endsWith('Pool') || dilations.every((dilation) => dilation === 1);
  return lengths.every((length, i) => {
    const padded = auto_pad === 'VALID' ? length : length + pads[i] + pads[i + 2];
    return op === 'ConvTranspose' || padded >= dilations[i] * (kernel_shape[i] - 1) + 1;
  });
}

const slices = fc.record({
  length: side,
  start: fc.integer({ min: -15, max: 15 }),
  end: fc.integer({ min: -15, max: 15 }),
  step: fc.integer({ min: -3, max: 3 }).filter((step) => step !== 0),
});

const SETTINGS = { seed: 11, numRuns: 150 };

/** Compares with the runtime what it does not refuse, for symbolic and for given lengths; gives whether it ran. */
async function compare(given: Case, lengths: Record<string, number>): Promise<boolean> {
  const { graph, inputs } = build(given);
  const shapes = shapesOf(inputs, lengths);
  const real = await runEveryTensor(graph, shapes).catch(() => undefined);
  if (real === undefined) return false;
  const [symbolic, bound] = [inferShapes(graph), inferShapes(graph, { inputs: shapes })];
  for (const [name, { shape }] of real) {
    expect(bound.tensors.get(name)?.shape).toEqual(shape);
    const dims = symbolic.tensors.get(name)?.shape ?? [];
    expect(
      dims.map((dim, i) => (isKnownDim(dim) ? evaluateDim(dim, lengths) : shape[i])),
      printShape(dims),
    ).toEqual(shape);
  }
  return true;
}

describe('random shapes', () => {
  it('windows', async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(
        windows.filter(specified),
        async ({ op, lengths: [H, W], ceil_mode, pads, auto_pad, ...rest }) => {
          const pool = op.endsWith('Pool');
          const attributes = {
            ...rest,
            auto_pad,
            ...(auto_pad === 'NOTSET' && { pads }),
            ...(pool && { ceil_mode }),
          };
          const weights = `2 2 ${rest.kernel_shape.join(' ')}`;
          compared += Number(
            await compare(
              { op, opset: 19, inputs: ['N 2 H W', ...(pool ? [] : [weights])], attributes },
              { N: 1, H, W },
            ),
          );
        },
      ),
      SETTINGS,
    );
    expect(compared).toBeGreaterThan(100);
  });

  it('slices', async () => {
    await fc.assert(
      fc.asyncProperty(slices, async ({ length, start, end, step }) => {
        const inputs = ['H', ints(start), ints(end), ints(0), ints(step)];
        await compare({ op: 'Slice', opset: 13, inputs }, { H: length });
      }),
      SETTINGS,
    );
  });

  it('scales', async () => {
    await fc.assert(
      fc.asyncProperty(side, fc.double({ min: 0.2, max: 4, noNaN: true }), async (H, scale) => {
        const inputs = ['1 1 H 4', null, floats(1, 1, scale, 1)];
        await compare({ op: 'Resize', opset: 13, inputs }, { H });
      }),
      SETTINGS,
    );
  });
});

function titleOf(input: string | Tensor | null): string {
  return input === null ? '-' : typeof input === 'string' ? input : `[${input.data}]`;
}
