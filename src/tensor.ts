import ndarray, { type NdArray } from 'ndarray';
import { IsthmusError } from './errors.ts';

/**
 * Element types, by ONNX's meaning. `data` holds one array element a tensor element: float16 and bfloat16 as their
 * bits in a Uint16Array, bool as 0 or 1 in a Uint8Array, 4-bit and 2-bit integers unpacked, 8-bit floats as their bits.
 */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  int2: Int8Array,
  uint2: Uint8Array,
  float8e4m3fn: Uint8Array,
  float8e4m3fnuz: Uint8Array,
  float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array,
  float8e8m0: Uint8Array,
  float4e2m1: Uint8Array,
  string: Array<string>,
} as const;

export type DType = keyof typeof ARRAYS;
export type NumericDType = Exclude<DType, 'string'>;
export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;
export type TensorData = NumericData | string[];

/** A dense tensor, row-major. `data.length` is the product of `shape`; a scalar has shape `[]`. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** What public functions take where they take a tensor. */
export type TensorLike = Tensor | NdArray<TensorData>;

/** Number of elements of a shape. Throws `TENSOR_INVALID` for a negative, fractional or unsafe product. */
export function elements(shape: readonly number[]): number {
  let count = 1;
  for (const length of shape) {
    if (!Number.isInteger(length) || length < 0) {
      throw new IsthmusError(
        'TENSOR_INVALID',
        `shape [${shape}] has a dimension that is not a whole number of at least 0`,
      );
    }
    count *= length;
  }
  if (!Number.isSafeInteger(count)) {
    throw new IsthmusError('TENSOR_INVALID', `shape [${shape}] has more elements than can be addressed`);
  }
  return count;
}

/** A zeroed array that holds `length` elements of `dtype`. */
export function allocate(dtype: DType, length: number): TensorData {
  return dtype === 'string' ? new Array<string>(length).fill('') : new ARRAYS[dtype](length);
}

/** Bits of one element as ONNX stores it; strings have none. */
export function bitsOf(dtype: NumericDType): number {
  if (dtype === 'int4' || dtype === 'uint4' || dtype === 'float4e2m1') return 4;
  if (dtype === 'int2' || dtype === 'uint2') return 2;
  return ARRAYS[dtype].BYTES_PER_ELEMENT * 8;
}

/** Bytes of a tensor as ONNX stores it raw, sub-byte types packed. */
export function byteLength(dtype: NumericDType, shape: readonly number[]): number {
  return Math.ceil((elements(shape) * bitsOf(dtype)) / 8);
}

/** A checked tensor. Throws `TENSOR_INVALID` if array type, length or shape do not go together. */
export function tensor(dtype: DType, shape: readonly number[], data: TensorData): Tensor {
  if (!Object.hasOwn(ARRAYS, dtype)) throw new IsthmusError('TENSOR_INVALID', `unknown dtype '${dtype}'`);
  const Type = ARRAYS[dtype];
  if (!(data instanceof Type)) {
    throw new IsthmusError('TENSOR_INVALID', `dtype ${dtype} needs a ${Type.name}, got ${data?.constructor?.name}`);
  }
  if (!Array.isArray(shape)) {
    throw new IsthmusError('TENSOR_INVALID', `a shape is an array of lengths, got ${typeof shape}`);
  }
  const count = elements(shape);
  if (data.length !== count) {
    throw new IsthmusError('TENSOR_INVALID', `shape [${shape}] has ${count} elements, the data has ${data.length}`);
  }
  return { dtype, shape, data };
}

const NDARRAY_DTYPES: Readonly<Record<string, DType>> = {
  float32: 'float32',
  float64: 'float64',
  int8: 'int8',
  uint8: 'uint8',
  uint8_clamped: 'uint8',
  int16: 'int16',
  uint16: 'uint16',
  int32: 'int32',
  uint32: 'uint32',
  bigint64: 'int64',
  biguint64: 'uint64',
};

function isNdarray(value: TensorLike): value is NdArray<TensorData> {
  return 'stride' in value;
}

/**
 * The plain tensor of what a caller gave: a tensor is checked, an `ndarray` is viewed where it is contiguous and copied
 * in row-major order where it is not. Throws `TENSOR_INVALID`.
 */
export function asTensor(value: TensorLike): Tensor {
  if (value === null || typeof value !== 'object' || !('shape' in value)) {
    throw new IsthmusError('TENSOR_INVALID', 'expected a tensor { dtype, shape, data } or an ndarray');
  }
  if (!isNdarray(value)) return tensor(value.dtype, value.shape, value.data);
  const dtype = NDARRAY_DTYPES[value.dtype];
  if (dtype === undefined) {
    throw new IsthmusError('TENSOR_INVALID', `an ndarray of dtype '${value.dtype}' has no ONNX element type`);
  }
  const { shape, stride, offset } = value;
  const count = elements(shape);
  const source = (
    value.data instanceof Uint8ClampedArray
      ? new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.length)
      : value.data
  ) as NumericData;
  let step = 1;
  let contiguous = true;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] > 1 && stride[axis] !== step) contiguous = false;
    step *= shape[axis];
  }
  if (contiguous) return tensor(dtype, [...shape], source.subarray(offset, offset + count));
  const data = allocate(dtype, count) as NumericData;
  const index = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    data[i] = source[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += stride[axis];
      if (++index[axis] < shape[axis]) break;
      at -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return tensor(dtype, [...shape], data);
}

/** An `ndarray` that views the tensor's data. Throws `TENSOR_INVALID` for strings, which ndarray cannot index by stride. */
export function toNdarray(value: Tensor): NdArray<NumericData> {
  if (value.dtype === 'string') throw new IsthmusError('TENSOR_INVALID', 'a string tensor cannot become an ndarray');
  return ndarray(value.data as NumericData, [...value.shape]) as NdArray<NumericData>;
}

/** float32 data of a float tensor (float16 and bfloat16 widened, float64 rounded); a view where it already is float32. */
export function toFloat32(value: Tensor): Float32Array {
  const { dtype, data } = value;
  if (dtype === 'float32') return data as Float32Array;
  if (dtype === 'float64') return Float32Array.from(data as Float64Array);
  if (dtype === 'float16') return halfToFloat(data as Uint16Array);
  if (dtype === 'bfloat16') return bfloatToFloat(data as Uint16Array);
  throw new IsthmusError('TENSOR_INVALID', `expected a float tensor, got ${dtype}`);
}

/** The inverse of {@link toFloat32}: float32 values in another float dtype, rounded to nearest, ties to even. */
export function fromFloat32(dtype: DType, shape: readonly number[], values: Float32Array): Tensor {
  if (dtype === 'float32') return tensor(dtype, shape, values);
  if (dtype === 'float64') return tensor(dtype, shape, Float64Array.from(values));
  if (dtype === 'float16') return tensor(dtype, shape, floatToHalf(values));
  if (dtype === 'bfloat16') return tensor(dtype, shape, floatToBfloat(values));
  throw new IsthmusError('TENSOR_INVALID', `expected a float dtype, got ${dtype}`);
}

/** A float tensor in another float dtype; as it is where it has that. */
export function asFloat(value: Tensor, dtype: DType): Tensor {
  return value.dtype === dtype ? value : fromFloat32(dtype, value.shape, toFloat32(value));
}

/** IEEE 754 half-precision bits to float32 values, exactly; into `values` where that is given, of the same length. */
export function halfToFloat(bits: Uint16Array, values: Float32Array = new Float32Array(bits.length)): Float32Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  widened ??= Uint32Array.from({ length: 2 ** 16 }, (_, half) => widenedHalf(half));
  // A table of all halves: three times as fast as working each out.
  for (let i = 0; i < bits.length; i++) words[i] = widened[bits[i]];
  return values;
}

let widened: Uint32Array | undefined;

/** The bits of a float32 that has the value of a half. */
function widenedHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const rest = half & 0x7fff;
  if (rest >= 0x7c00) return sign | 0x7f800000 | ((rest & 0x3ff) << 13);
  if (rest >= 0x400) return sign | ((rest << 13) + 0x38000000);
  // Below 2^-14 a half counts 2^-24ths: normal numbers of float32.
  const exponent = 31 - Math.clz32(rest);
  return rest === 0 ? sign : sign | ((exponent + 127 - 24) << 23) | ((rest << (23 - exponent)) & 0x7fffff);
}

/**
 * float32 values to IEEE 754 half-precision bits, to nearest, ties to even; values past 65504 become infinite, NaN stays NaN.
 * (@petamoriken/float16 does the same at 2 microseconds a value, 70 ms a ViT-Tiny feature.)
 */
export function floatToHalf(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const sign = (words[i] >>> 16) & 0x8000;
    const rest = words[i] & 0x7fffffff;
    if (rest > 0x7f800000) bits[i] = sign | 0x7e00;
    else if (rest >= 0x477ff000) bits[i] = sign | 0x7c00;
    else if (rest >= 0x38800000) bits[i] = sign | ((rest - 0x38000000 + 0xfff + ((rest >>> 13) & 1)) >>> 13);
    // below 2^-14 halves are multiples of 2^-24: adding 1/2 leaves just those bits of a float32, rounded to even
    else bits[i] = sign | (roundedSum(Math.abs(values[i])) & 0x7fff);
  }
  return bits;
}

const SUM = new Float32Array(1);
const SUM_BITS = new Uint32Array(SUM.buffer);
function roundedSum(magnitude: number): number {
  SUM[0] = magnitude + 0.5;
  return SUM_BITS[0] - 0x3f000000;
}

/** bfloat16 bits (the upper half of a float32) to float32 values. */
export function bfloatToFloat(bits: Uint16Array): Float32Array {
  const words = Uint32Array.from(bits, (b) => b << 16);
  return new Float32Array(words.buffer);
}

/** float32 values to bfloat16 bits, to nearest, ties to even; NaN stays NaN. */
export function floatToBfloat(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(words, (w, i) => (Number.isNaN(values[i]) ? 0x7fc0 : (w + 0x7fff + ((w >>> 16) & 1)) >>> 16));
}
