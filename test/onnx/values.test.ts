import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dataTypeOf, dtypeOf } from '../../src/onnx/dtypes.ts';
import { TensorProto_DataType as DataType, type TensorProto, TensorProtoSchema } from '../../src/onnx/onnx_pb.ts';
import { protoOf, tensorOf } from '../../src/onnx/values.ts';
import { allocate, bitsOf, type DType, type NumericData, type NumericDType, tensor } from '../../src/tensor.ts';

const NUMERIC: readonly NumericDType[] = [
  ...(['float32', 'float64', 'float16', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'] as const),
  ...(['int64', 'uint64', 'bool', 'int4', 'uint4', 'int2', 'uint2', 'float8e4m3fn', 'float8e4m3fnuz'] as const),
  ...(['float8e5m2', 'float8e5m2fnuz', 'float8e8m0', 'float4e2m1'] as const),
];

const SEED = { seed: 7, numRuns: 40 };

/** Elements of a dtype, from random bits. */
function fill(dtype: NumericDType, bits: readonly number[]): NumericData {
  const data = allocate(dtype, bits.length) as NumericData;
  const width = bitsOf(dtype);
  for (let i = 0; i < bits.length; i++) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(bits[i]) * -7_000_000_007n;
    else if (data instanceof Float32Array || data instanceof Float64Array) data[i] = bits[i] / 3;
    else if (dtype === 'bool') data[i] = bits[i] & 1;
    else if (width < 8)
      data[i] = dtype.startsWith('int') ? (bits[i] << (32 - width)) >> (32 - width) : bits[i] & (2 ** width - 1);
    else data[i] = bits[i];
  }
  return data;
}

const bits = fc.array(fc.nat(0xffff_ffff), { maxLength: 33 });

describe('every dtype', () => {
  test.each(NUMERIC)('%s survives protoOf, the wire at any alignment, and tensorOf', (dtype) => {
    fc.assert(
      fc.property(bits, fc.nat(7), (values, shift) => {
        const value = tensor(dtype, [values.length], fill(dtype, values));
        const bytes = toBinary(TensorProtoSchema, protoOf('t', value));
        const moved = new Uint8Array(bytes.length + shift);
        moved.set(bytes, shift);
        const proto = fromBinary(TensorProtoSchema, moved.subarray(shift));
        expect(proto.dataType).toBe(dataTypeOf(dtype));
        expect(tensorOf(proto)).toEqual(value);
      }),
      SEED,
    );
  });

  test('strings survive, the empty one and other scripts too', () => {
    const value = tensor('string', [2, 2], ['', 'a', 'Ωμέγα', '\ufeff✓']);
    expect(tensorOf(fromBinary(TensorProtoSchema, toBinary(TensorProtoSchema, protoOf('s', value))))).toEqual(value);
  });

  test('codes and names are inverse', () => {
    for (const dtype of [...NUMERIC, 'string'] as DType[]) expect(dtypeOf(dataTypeOf(dtype))).toBe(dtype);
    for (const code of [DataType.COMPLEX64, DataType.COMPLEX128, 27, -1]) {
      expect(() => dtypeOf(code)).toThrow(expect.objectContaining({ code: 'ONNX_UNSUPPORTED' }));
    }
    expect(() => dtypeOf(0)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
  });
});

describe('typed lists', () => {
  const of = (dataType: DataType, dims: number[], fields: Partial<TensorProto>): TensorProto =>
    create(TensorProtoSchema, { name: 't', dataType, dims: dims.map(BigInt), ...(fields as object) });

  test.each([
    ['float32', of(DataType.FLOAT, [2], { floatData: [1.5, -2] }), Float32Array.of(1.5, -2)],
    ['float64', of(DataType.DOUBLE, [1], { doubleData: [Math.PI] }), Float64Array.of(Math.PI)],
    ['int64', of(DataType.INT64, [2], { int64Data: [-1n, 2n ** 62n] }), BigInt64Array.of(-1n, 2n ** 62n)],
    ['uint64', of(DataType.UINT64, [1], { uint64Data: [2n ** 64n - 1n] }), BigUint64Array.of(2n ** 64n - 1n)],
    ['uint32', of(DataType.UINT32, [1], { uint64Data: [0xffff_ffffn] }), Uint32Array.of(0xffff_ffff)],
    ['int32', of(DataType.INT32, [1], { int32Data: [-5] }), Int32Array.of(-5)],
    ['int16', of(DataType.INT16, [1], { int32Data: [-32768] }), Int16Array.of(-32768)],
    ['int8', of(DataType.INT8, [1], { int32Data: [-128] }), Int8Array.of(-128)],
    ['uint8', of(DataType.UINT8, [1], { int32Data: [255] }), Uint8Array.of(255)],
    ['uint16', of(DataType.UINT16, [1], { int32Data: [65535] }), Uint16Array.of(65535)],
    ['bool', of(DataType.BOOL, [2], { int32Data: [1, 0] }), Uint8Array.of(1, 0)],
    ['float16', of(DataType.FLOAT16, [1], { int32Data: [0x3c00] }), Uint16Array.of(0x3c00)],
    ['bfloat16', of(DataType.BFLOAT16, [1], { int32Data: [0x3f80] }), Uint16Array.of(0x3f80)],
    ['float8e5m2', of(DataType.FLOAT8E5M2, [1], { int32Data: [0xfc] }), Uint8Array.of(0xfc)],
    ['int4', of(DataType.INT4, [3], { int32Data: [0x7f, 0x08] }), Int8Array.of(-1, 7, -8)],
    ['uint4', of(DataType.UINT4, [3], { int32Data: [0xf1, 0x02] }), Uint8Array.of(1, 15, 2)],
    ['int2', of(DataType.INT2, [5], { int32Data: [0b11_10_01_00, 0b11] }), Int8Array.of(0, 1, -2, -1, -1)],
    ['uint2', of(DataType.UINT2, [4], { int32Data: [0b11_10_01_00] }), Uint8Array.of(0, 1, 2, 3)],
    ['float4e2m1', of(DataType.FLOAT4E2M1, [2], { int32Data: [0xf1] }), Uint8Array.of(1, 15)],
  ] as const)('%s', (dtype, proto, data) => {
    expect(tensorOf(proto)).toEqual({ dtype, shape: proto.dims.map(Number), data });
  });

  test.each([
    ['a value that int8 cannot hold', of(DataType.INT8, [1], { int32Data: [200] })],
    ['a bool of 2', of(DataType.BOOL, [1], { int32Data: [2] })],
    ['a uint32 above its range', of(DataType.UINT32, [1], { uint64Data: [2n ** 32n] })],
    ['a packed entry above a byte', of(DataType.INT4, [2], { int32Data: [256] })],
    ['too few entries', of(DataType.FLOAT, [3], { floatData: [1, 2] })],
    ['too many packed entries', of(DataType.INT4, [2], { int32Data: [1, 2] })],
    ['too many bytes', of(DataType.FLOAT, [1], { rawData: new Uint8Array(5) })],
    ['no data', of(DataType.FLOAT, [1], {})],
    ['data in two places', of(DataType.FLOAT, [1], { rawData: new Uint8Array(4), floatData: [1] })],
    ['another list', of(DataType.FLOAT, [1], { int32Data: [1] })],
    ['strings as raw bytes', of(DataType.STRING, [1], { rawData: new Uint8Array(1) })],
    ['a negative dimension', of(DataType.FLOAT, [-1], { floatData: [1] })],
    ['data for no elements', of(DataType.FLOAT, [0], { floatData: [1] })],
    ['no data type', of(DataType.UNDEFINED, [1], { floatData: [1] })],
  ])('%s is refused', (_, proto) => {
    expect(() => tensorOf(proto)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
  });

  test('a shape whose product overflows is refused before anything is allocated', () => {
    for (const dims of [
      [2 ** 40, 2 ** 40],
      [2 ** 52, 2 ** 10],
      [65536, 65536, 65536, 65536],
    ]) {
      expect(() => tensorOf(of(DataType.FLOAT, dims, {}))).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    }
    const many = of(DataType.STRING, [2 ** 45], {});
    expect(() => tensorOf(many)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    expect(() => tensorOf(of(DataType.FLOAT, Array(17).fill(1), {}))).toThrow(/tensorRank/);
  });

  test('scalars and tensors of no elements', () => {
    expect(tensorOf(of(DataType.FLOAT, [], { floatData: [3] }))).toEqual(tensor('float32', [], Float32Array.of(3)));
    expect(tensorOf(of(DataType.INT64, [0, 5], {}))).toEqual(tensor('int64', [0, 5], new BigInt64Array(0)));
  });
});

test('protoOf refuses an element that does not fit, and a tensor that is not one', () => {
  const code = expect.objectContaining({ code: 'TENSOR_INVALID' });
  expect(() => protoOf('t', { dtype: 'int4', shape: [1], data: Int8Array.of(8) })).toThrow(code);
  expect(() => protoOf('t', { dtype: 'uint2', shape: [1], data: Uint8Array.of(4) })).toThrow(code);
  expect(() => protoOf('t', { dtype: 'float32', shape: [2], data: Float32Array.of(8) })).toThrow(code);
});

test('aligned raw data is viewed, not copied', () => {
  const rawData = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  const { data } = tensorOf(create(TensorProtoSchema, { dataType: DataType.FLOAT, dims: [3n], rawData }));
  expect((data as Float32Array).buffer).toBe(rawData.buffer);
});
