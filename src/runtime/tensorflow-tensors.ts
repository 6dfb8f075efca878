import type { DataType, Tensor as TfTensor } from '@tensorflow/tfjs';
import { IsthmusError } from '../errors.ts';
import { type DType, type Tensor, type TensorData, tensor } from '../tensor.ts';
import type { TensorInfo } from './session.ts';
import type { TensorFlow } from './tensorflow-peer.ts';

const DTYPES: readonly DType[] = ['float32', 'int32', 'bool', 'string'];

/** The element type; TensorFlow.js names those it shares with ONNX alike. Throws `RUNTIME_LOAD` for complex numbers. */
export function dtypeOf(name: string, dtype: string): DType {
  const found = DTYPES.find((known) => known === dtype);
  if (found) return found;
  throw new IsthmusError(
    'RUNTIME_LOAD',
    `'${name}' is ${dtype}; isthmus takes ${DTYPES.join(', ')} from TensorFlow.js`,
  );
}

/** A shape as the port tells it: what TensorFlow.js leaves open as null or -1 is `'?'`. */
export function shapeOf(shape: readonly (number | null)[]): TensorInfo['shape'] {
  return shape.map((length) => (length === null || length < 0 ? '?' : length));
}

/** Views a tensor's data; it is the caller's to dispose. */
export function toTf(tf: TensorFlow, { dtype, shape, data }: Tensor): TfTensor {
  return tf.tensor(data as Float32Array, [...shape], dtype as DataType);
}

/** Copies the data: backends give their own memory, which may be a weight's or a feed's. */
export async function fromTf(value: TfTensor): Promise<Tensor> {
  const data = ((await value.data()) as TensorData).slice() as TensorData;
  return tensor(value.dtype as DType, [...value.shape], data);
}
