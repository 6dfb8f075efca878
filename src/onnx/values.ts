import { create } from '@bufbuild/protobuf';
import { IsthmusError, messageOf } from '../errors.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import { allocate, bitsOf, type DType, type NumericData, type NumericDType, type Tensor, tensor } from '../tensor.ts';
import { dataTypeOf, dtypeOf } from './dtypes.ts';
import { type TensorProto, TensorProtoSchema } from './onnx_pb.ts';
import { type Payload, payloadOf } from './payload.ts';

/** ONNX's raw bytes are little-endian; on a machine of the other order elements are turned round. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const SIGNED_SMALL: ReadonlySet<DType> = new Set<DType>(['int4', 'int2']);

/**
 * The tensor that a TensorProto holds, from whichever field it is stored in. 4-bit and 2-bit elements are unpacked.
 * `data` is a view of `rawData` where alignment allows, so it must not be written to.
 * Throws `ONNX_INVALID` where data and shape disagree or a value does not fit its type, `ONNX_UNSUPPORTED` for complex
 * numbers, `ONNX_EXTERNAL_DATA` for data that was not loaded, `LIMIT_EXCEEDED`.
 */
export function tensorOf(proto: TensorProto, limits: Readonly<Limits> = DEFAULT_LIMITS): Tensor {
  const where = `tensor '${proto.name}'`;
  const payload = payloadOf(proto, limits, where);
  const dtype = dtypeOf(proto.dataType);
  if (dtype === 'string')
    return tensor(
      dtype,
      payload.shape,
      proto.stringData.map((bytes) => textOf(bytes, where)),
    );
  return tensor(dtype, payload.shape, dataOf(proto, dtype, payload, where));
}

function dataOf(proto: TensorProto, dtype: NumericDType, payload: Payload, where: string): NumericData {
  const { count, storage } = payload;
  switch (storage) {
    case 'rawData':
      return bitsOf(dtype) < 8 ? unpack(dtype, proto.rawData, count) : view(dtype, proto.rawData);
    case 'int32Data':
      return fromInts(proto.int32Data, dtype, count, where);
    case 'uint64Data':
      return dtype === 'uint64' ? BigUint64Array.from(proto.uint64Data) : toUint32(proto.uint64Data, where);
    case 'int64Data':
      return BigInt64Array.from(proto.int64Data);
    case 'floatData':
      return Float32Array.from(proto.floatData);
    case 'doubleData':
      return Float64Array.from(proto.doubleData);
    default:
      return allocate(dtype, 0) as NumericData;
  }
}

/**
 * A TensorProto of that name that holds the tensor: strings as UTF-8, all others as packed raw bytes, viewed where no
 * packing is needed. Throws `TENSOR_INVALID` if the tensor is not consistent or an element does not fit in its bits.
 */
export function protoOf(name: string, value: Tensor): TensorProto {
  const { dtype, shape, data } = tensor(value.dtype, value.shape, value.data);
  const proto = create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: dataTypeOf(dtype) });
  if (dtype === 'string') {
    const encoder = new TextEncoder();
    proto.stringData = (data as string[]).map((text) => encoder.encode(text));
  } else {
    proto.rawData = bitsOf(dtype) < 8 ? pack(dtype, data as NumericData, name) : rawBytes(data as NumericData);
  }
  return proto;
}

function textOf(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new IsthmusError('ONNX_UNSUPPORTED', `${where} has a string that is not UTF-8 (${messageOf(cause)})`, {
      cause,
    });
  }
}

function view(dtype: NumericDType, bytes: Uint8Array): NumericData {
  const empty = allocate(dtype, 0) as NumericData;
  const Type = empty.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => NumericData;
  const size = empty.BYTES_PER_ELEMENT;
  if (LITTLE_ENDIAN && bytes.byteOffset % size === 0)
    return new Type(bytes.buffer, bytes.byteOffset, bytes.length / size);
  const copy = bytes.slice();
  return new Type((LITTLE_ENDIAN ? copy : reverseElements(copy, size)).buffer, 0, bytes.length / size);
}

function rawBytes(data: NumericData): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return LITTLE_ENDIAN ? bytes : reverseElements(bytes.slice(), data.BYTES_PER_ELEMENT);
}

function reverseElements(bytes: Uint8Array, size: number): Uint8Array {
  for (let start = 0; start < bytes.length; start += size) bytes.subarray(start, start + size).reverse();
  return bytes;
}

/** Elements below 8 bits, the first in the lowest bits of its byte. */
function unpack(dtype: NumericDType, bytes: ArrayLike<number>, count: number): NumericData {
  const bits = bitsOf(dtype);
  const perByte = 8 / bits;
  const data = allocate(dtype, count) as Int8Array | Uint8Array;
  const unused = 32 - bits;
  for (let i = 0; i < count; i++) {
    const element = bytes[Math.floor(i / perByte)] >>> ((i % perByte) * bits);
    data[i] = SIGNED_SMALL.has(dtype) ? (element << unused) >> unused : (element << unused) >>> unused;
  }
  return data;
}

function pack(dtype: NumericDType, data: NumericData, name: string): Uint8Array {
  const bits = bitsOf(dtype);
  const perByte = 8 / bits;
  const bytes = new Uint8Array(Math.ceil(data.length / perByte));
  const least = SIGNED_SMALL.has(dtype) ? -(2 ** (bits - 1)) : 0;
  const mask = 2 ** bits - 1;
  for (let i = 0; i < data.length; i++) {
    const element = Number(data[i]);
    if (element < least || element > least + mask) {
      throw new IsthmusError(
        'TENSOR_INVALID',
        `tensor '${name}': element ${i} is ${element}, which ${dtype} cannot hold`,
      );
    }
    bytes[Math.floor(i / perByte)] |= (element & mask) << ((i % perByte) * bits);
  }
  return bytes;
}

/** Elements of at most 32 bits from `int32Data`: one an entry, or a packed byte an entry below 8 bits. */
function fromInts(entries: readonly number[], dtype: NumericDType, count: number, where: string): NumericData {
  if (bitsOf(dtype) < 8) {
    // Writers differ in whether a packed byte above 127 is negative.
    const bad = entries.find((entry) => entry < -128 || entry > 255);
    if (bad !== undefined) throw misfit(where, dtype, bad);
    return unpack(
      dtype,
      entries.map((entry) => entry & 0xff),
      count,
    );
  }
  const data = allocate(dtype, count) as Exclude<NumericData, BigInt64Array | BigUint64Array>;
  for (let i = 0; i < count; i++) {
    data[i] = entries[i];
    if (data[i] !== entries[i] || (dtype === 'bool' && data[i] > 1)) throw misfit(where, dtype, entries[i]);
  }
  return data;
}

function toUint32(entries: readonly bigint[], where: string): Uint32Array {
  const bad = entries.find((entry) => entry > 0xffffffffn);
  if (bad !== undefined) throw misfit(where, 'uint32', bad);
  return Uint32Array.from(entries, Number);
}

function misfit(where: string, dtype: DType, value: number | bigint): IsthmusError {
  return new IsthmusError('ONNX_INVALID', `${where} holds ${value}, which ${dtype} cannot hold`);
}
