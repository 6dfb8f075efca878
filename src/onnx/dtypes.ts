import { IsthmusError } from '../errors.ts';
import type { DType } from '../tensor.ts';
import { TensorProto_DataType as DataType } from './onnx_pb.ts';

const DTYPES: Readonly<Partial<Record<DataType, DType>>> = {
  [DataType.FLOAT]: 'float32',
  [DataType.UINT8]: 'uint8',
  [DataType.INT8]: 'int8',
  [DataType.UINT16]: 'uint16',
  [DataType.INT16]: 'int16',
  [DataType.INT32]: 'int32',
  [DataType.INT64]: 'int64',
  [DataType.STRING]: 'string',
  [DataType.BOOL]: 'bool',
  [DataType.FLOAT16]: 'float16',
  [DataType.DOUBLE]: 'float64',
  [DataType.UINT32]: 'uint32',
  [DataType.UINT64]: 'uint64',
  [DataType.BFLOAT16]: 'bfloat16',
  [DataType.FLOAT8E4M3FN]: 'float8e4m3fn',
  [DataType.FLOAT8E4M3FNUZ]: 'float8e4m3fnuz',
  [DataType.FLOAT8E5M2]: 'float8e5m2',
  [DataType.FLOAT8E5M2FNUZ]: 'float8e5m2fnuz',
  [DataType.UINT4]: 'uint4',
  [DataType.INT4]: 'int4',
  [DataType.FLOAT4E2M1]: 'float4e2m1',
  [DataType.FLOAT8E8M0]: 'float8e8m0',
  [DataType.UINT2]: 'uint2',
  [DataType.INT2]: 'int2',
};

const DATA_TYPES = Object.fromEntries(Object.entries(DTYPES).map(([code, dtype]) => [dtype, Number(code)])) as Record<
  DType,
  DataType
>;

/**
 * The element type of an ONNX data type number.
 * Throws `ONNX_INVALID` for 0 (undefined) and `ONNX_UNSUPPORTED` for complex numbers and numbers newer than isthmus.
 */
export function dtypeOf(dataType: number): DType {
  const dtype = DTYPES[dataType as DataType];
  if (dtype !== undefined) return dtype;
  if (dataType === DataType.UNDEFINED) throw new IsthmusError('ONNX_INVALID', 'a tensor has no data type');
  const name = DataType[dataType]?.toLowerCase() ?? `${dataType}, which is none that isthmus knows`;
  throw new IsthmusError('ONNX_UNSUPPORTED', `tensors of data type ${name} are not handled`);
}

/** The inverse of {@link dtypeOf}. */
export function dataTypeOf(dtype: DType): DataType {
  return DATA_TYPES[dtype];
}
