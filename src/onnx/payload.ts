import { IsthmusError } from '../errors.ts';
import { type Limits, within } from '../limits.ts';
import { bitsOf } from '../tensor.ts';
import { dtypeOf } from './dtypes.ts';
import { TensorProto_DataType as DataType, type TensorProto, TensorProto_DataLocation } from './onnx_pb.ts';

/** The typed lists of a TensorProto, in which small tensors and those of old exporters lie instead of `rawData`. */
const LISTS = ['floatData', 'int32Data', 'stringData', 'int64Data', 'doubleData', 'uint64Data'] as const;
type List = (typeof LISTS)[number];

/** Which list holds a data type where it is not the one for small types, `int32Data`. */
const LIST_OF: Readonly<Partial<Record<DataType, List>>> = {
  [DataType.FLOAT]: 'floatData',
  [DataType.COMPLEX64]: 'floatData',
  [DataType.STRING]: 'stringData',
  [DataType.INT64]: 'int64Data',
  [DataType.DOUBLE]: 'doubleData',
  [DataType.COMPLEX128]: 'doubleData',
  [DataType.UINT32]: 'uint64Data',
  [DataType.UINT64]: 'uint64Data',
};

export interface Payload {
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly count: number;
  /** Where the elements lie; absent for a tensor of none. */
  readonly storage?: 'rawData' | List;
}

/** Bits of an element as ONNX stores it raw; complex numbers too, which no dtype of ours stands for. */
function rawBits(dataType: DataType, where: string): number {
  if (dataType === DataType.UNDEFINED) throw new IsthmusError('ONNX_INVALID', `${where} has no data type`);
  if (DataType[dataType] === undefined) {
    throw new IsthmusError('ONNX_UNSUPPORTED', `${where} has data type ${dataType}, which is none that isthmus knows`);
  }
  if (dataType === DataType.COMPLEX64) return 64;
  if (dataType === DataType.COMPLEX128) return 128;
  const dtype = dtypeOf(dataType);
  return dtype === 'string' ? 0 : bitsOf(dtype);
}

function shapeOf(tensor: TensorProto, limits: Readonly<Limits>, where: string): number[] {
  within(limits, 'tensorRank', tensor.dims.length, `dimensions of ${where}`);
  return tensor.dims.map((dim) => {
    if (dim < 0n) throw new IsthmusError('ONNX_INVALID', `${where} has a negative dimension, ${dim}`);
    return Number(dim);
  });
}

/** Raw bytes that a tensor's shape and data type call for, not above the cap. Nothing is allocated. */
export function rawByteLength(tensor: TensorProto, limits: Readonly<Limits>, where: string): number {
  const shape = shapeOf(tensor, limits, where);
  // Products of doubles lose low bits above 2^53, where they are over any cap and therefore refused all the same.
  const count = shape.includes(0) ? 0 : shape.reduce((product, length) => product * length, 1);
  const bytes = Math.ceil((count * rawBits(tensor.dataType, where)) / 8);
  within(limits, 'tensorBytes', bytes, `bytes of ${where} of shape [${shape}]`);
  within(limits, 'tensorBytes', count, `elements of ${where} of shape [${shape}]`);
  return bytes;
}

/** Entries of the typed list for `count` elements: packed like bytes below 8 bits, real and imaginary parts apart. */
function listLength(dataType: DataType, count: number, where: string): number {
  if (dataType === DataType.COMPLEX64 || dataType === DataType.COMPLEX128) return count * 2;
  const bits = rawBits(dataType, where);
  return bits > 0 && bits < 8 ? Math.ceil((count * bits) / 8) : count;
}

/**
 * Checks that a tensor's bytes agree with its shape and data type, without reading or allocating them.
 * `where` names the tensor in messages.
 * Throws `ONNX_INVALID`, `ONNX_UNSUPPORTED` (unknown data type, segments), `ONNX_EXTERNAL_DATA` (not loaded yet) or
 * `LIMIT_EXCEEDED`.
 */
export function payloadOf(tensor: TensorProto, limits: Readonly<Limits>, where: string): Payload {
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const location = tensor.externalData.find((entry) => entry.key === 'location')?.value ?? '';
    throw new IsthmusError(
      'ONNX_EXTERNAL_DATA',
      `${where} keeps its data in another file, '${location}'; to read files beside the model, open the model ` +
        'from its path with the option externalData: true',
    );
  }
  if (tensor.segment !== undefined) {
    throw new IsthmusError('ONNX_UNSUPPORTED', `${where} is stored in segments, which no runtime loads`);
  }
  const bytes = rawByteLength(tensor, limits, where);
  const shape = tensor.dims.map(Number);
  const count = shape.includes(0) ? 0 : shape.reduce((product, length) => product * length, 1);
  const used = [...(tensor.rawData.length > 0 ? (['rawData'] as const) : []), ...LISTS.filter((l) => tensor[l].length)];
  if (count === 0 && used.length === 0) return { shape, count };
  const name = DataType[tensor.dataType].toLowerCase();
  if (used.length !== 1) {
    const found = used.length === 0 ? 'has no data' : `has data in several places (${used.join(', ')})`;
    throw new IsthmusError('ONNX_INVALID', `${where} of shape [${shape}] and type ${name} ${found}`);
  }
  const [storage] = used;
  const allowed = LIST_OF[tensor.dataType as DataType] ?? 'int32Data';
  if (storage !== allowed && (storage !== 'rawData' || tensor.dataType === DataType.STRING)) {
    throw new IsthmusError('ONNX_INVALID', `${where} is of type ${name} and has its data in ${storage}`);
  }
  const needed = storage === 'rawData' ? bytes : listLength(tensor.dataType, count, where);
  const found = tensor[storage].length;
  if (found !== needed) {
    const unit = storage === 'rawData' ? 'bytes' : `entries of ${storage}`;
    throw new IsthmusError(
      'ONNX_INVALID',
      `${where} of shape [${shape}] and type ${name} needs ${needed} ${unit} and has ${found}`,
    );
  }
  return { shape, count, storage };
}
