import { IsthmusError } from '../errors.ts';
import { allocate, elements, type NumericData, type Tensor, tensor, toFloat32 } from '../tensor.ts';

/** The rows (first axis) of a tensor, picked by index; an index may come several times. */
export function gatherRows(value: Tensor, rows: readonly number[]): Tensor {
  const length = rowLength(value);
  const source = value.data as NumericData;
  const data = allocate(value.dtype, length * rows.length) as NumericData;
  rows.forEach((row, i) => {
    if (!(row >= 0 && row < value.shape[0])) {
      throw new IsthmusError('INVALID_ARGUMENT', `row ${row} of a tensor of ${value.shape[0]} rows`);
    }
    data.set(source.subarray(row * length, (row + 1) * length) as never, i * length);
  });
  return tensor(value.dtype, [rows.length, ...value.shape.slice(1)], data);
}

/** Tensors of one dtype and one shape but for the first axis, one after the other. Throws `TENSOR_INVALID` otherwise. */
export function stackRows(values: readonly Tensor[]): Tensor {
  const [first] = values;
  if (first === undefined) throw new IsthmusError('INVALID_ARGUMENT', 'no tensors to stack');
  const inner = first.shape.slice(1);
  let rows = 0;
  for (const { dtype, shape } of values) {
    if (dtype !== first.dtype || `${shape.slice(1)}` !== `${inner}` || shape.length === 0) {
      throw new IsthmusError('TENSOR_INVALID', `cannot stack ${dtype}[${shape}] below ${first.dtype}[${first.shape}]`);
    }
    rows += shape[0];
  }
  const data = allocate(first.dtype, elements([rows, ...inner])) as NumericData;
  let at = 0;
  for (const value of values) {
    data.set(value.data as never, at);
    at += value.data.length;
  }
  return tensor(first.dtype, [rows, ...inner], data);
}

/** Rows of token ids as int64 `[rows, length]`, padded with 0 at the end. */
export function paddedTokens(rows: readonly (readonly number[])[], length: number): Tensor {
  const data = new BigInt64Array(rows.length * length);
  for (const [row, tokens] of rows.entries()) {
    for (const [at, token] of tokens.entries()) data[row * length + at] = BigInt(token);
  }
  return tensor('int64', [rows.length, length], data);
}

/** Logits as float32 with their sizes. Throws `TENSOR_INVALID` unless they are floats of the shape `[rows, …, width]`. */
export function checkLogits(logits: Tensor, rank: 2 | 3, rows: number, width: number, widthIs: string): Float32Array {
  const { shape } = logits;
  if (shape.length !== rank || shape[0] !== rows || shape[rank - 1] !== width) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `the tail gives logits [${shape}]; the task needs ${rank} dimensions, ${rows} rows and ${width} ${widthIs} in the last`,
    );
  }
  return toFloat32(logits);
}

function rowLength({ dtype, shape }: Tensor): number {
  if (shape.length === 0 || dtype === 'string') {
    throw new IsthmusError('TENSOR_INVALID', `${dtype}[${shape}] has no rows to pick`);
  }
  return elements(shape.slice(1));
}
