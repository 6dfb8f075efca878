import { buildGraph, type ModelSpec, node } from '../../src/onnx/build.ts';
import { writeGraph } from '../../src/onnx/read.ts';
import type { OpenSession } from '../../src/runtime/session.ts';
import type { DType, Tensor } from '../../src/tensor.ts';
import type { Subject } from './contract.ts';

/** The bytes of an ONNX model. */
export function model(spec: Omit<ModelSpec, 'opset'> & { opset?: number }): Uint8Array {
  return writeGraph(buildGraph({ opset: 18, ...spec }));
}

export const float = (shape: number[], ...values: number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

export const AFFINE = model({
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 3] }],
  outputs: [
    { name: 'y', dtype: 'float32', shape: ['batch', 3] },
    { name: 'z', dtype: 'float32', shape: ['batch', 3] },
  ],
  nodes: [node('Mul', ['x', 'two'], ['doubled']), node('Add', ['doubled', 'one'], ['y']), node('Neg', ['x'], ['z'])],
  initializers: { two: float([1], 2), one: float([1], 1) },
});

const SUM = model({
  inputs: [
    { name: 'a', dtype: 'float32', shape: ['n', 2] },
    { name: 'b', dtype: 'float32', shape: ['n', 2] },
  ],
  outputs: [{ name: 'sum', dtype: 'float32', shape: ['n', 2] }],
  nodes: [node('Add', ['a', 'b'], ['sum'])],
});

const copy = (dtype: DType) =>
  model({
    inputs: [{ name: 'x', dtype, shape: ['?', 2] }],
    outputs: [{ name: 'y', dtype, shape: ['?', 2] }],
    nodes: [node('Identity', ['x'], ['y'])],
  });

const CONSTANT = model({
  inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
  outputs: [
    { name: 'y', dtype: 'float32', shape: ['n', 2] },
    { name: 'c', dtype: 'float32', shape: [2] },
  ],
  nodes: [node('Identity', ['x'], ['y'])],
  initializers: { c: float([2], 7, 8) },
});

const SCALAR = model({
  inputs: [{ name: 'x', dtype: 'float32', shape: [] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [] }],
  nodes: [node('Add', ['x', 'x'], ['y'])],
});

const FAILS = model({
  inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [2, 2] }],
  nodes: [node('Reshape', ['x', 'shape'], ['y'])],
  initializers: { shape: { dtype: 'int64', shape: [2], data: BigInt64Array.of(2n, 2n) } },
});

/** The contract's models in ONNX. */
export function onnxSubject(open: OpenSession, runtime: RegExp): Subject {
  return {
    affine: () => open(AFFINE),
    sum: () => open(SUM),
    copy: (dtype) => open(copy(dtype)),
    constant: () => open(CONSTANT),
    scalar: () => open(SCALAR),
    fails: () => open(FAILS),
    runtime,
    dtypes: [
      'float32',
      'float64',
      'float16',
      'int8',
      'uint8',
      'int16',
      'uint16',
      'int32',
      'uint32',
      'int64',
      'uint64',
      'bool',
      'string',
    ],
    zeroSize: true,
  };
}
