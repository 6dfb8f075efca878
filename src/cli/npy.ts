import { dump, parse } from 'npyjs';
import { IsthmusError, messageOf } from '../errors.ts';
import { readWhole, writeBeside } from '../files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { type Tensor, tensor, toFloat32 } from '../tensor.ts';

/** A float32 tensor from a .npy file of any float type, row-major. Throws `TENSOR_INVALID` and what reading a file throws. */
export async function readNpy(path: string): Promise<Tensor> {
  const bytes = await readWhole(path, DEFAULT_LIMITS, 'tensorBytes', 'feature');
  let array: ReturnType<typeof parse>;
  try {
    array = parse(bytes.slice().buffer);
  } catch (cause) {
    throw new IsthmusError('TENSOR_INVALID', `${path} is not a .npy file: ${messageOf(cause)}`, { cause });
  }
  const { data, shape, dtype, fortranOrder } = array;
  if (!(data instanceof Float32Array || data instanceof Float64Array) || fortranOrder) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `${path} holds ${dtype}${fortranOrder ? ' in column-major order' : ''}; save numpy.ascontiguousarray(x, dtype="float32")`,
    );
  }
  return tensor('float32', shape, Float32Array.from(data));
}

/** Writes a float tensor as a float32 .npy file, beside and renamed. Throws `FILE_UNWRITABLE`. */
export async function writeNpy(path: string, value: Tensor): Promise<void> {
  await writeBeside(path, [new Uint8Array(dump(toFloat32(value), [...value.shape]))]);
}
