import type { Tensor } from '../../tensor.ts';
import { toFloat32 } from '../../tensor.ts';
import {
  floatAttribute,
  floatsAttribute,
  hasAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  stringsAttribute,
  tensorAttribute,
} from '../attributes.ts';
import { add, type Dim, floorDivide, mul, sub } from '../dim.ts';
import { dtypeOf } from '../dtypes.ts';
import {
  type Call,
  cannot,
  contradiction,
  type Elements,
  input,
  isInteger,
  MAX_ELEMENTS,
  numericShape,
  type Rule,
  shapeOf,
  smallSize,
  type Value,
} from './call.ts';

/** int64 past the safe integers means "to the end" and becomes the largest of its sign. */
function clamp(value: bigint): number {
  return Math.min(Math.max(Number(value), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

/** A constant; small ones are followed by value. */
export function valueOfTensor(constant: Tensor): Value {
  const { dtype, shape } = constant;
  return { dtype, shape, data: constant.data.length <= MAX_ELEMENTS ? followed(constant) : undefined };
}

function followed(constant: Tensor): Elements | undefined {
  const { dtype, data } = constant;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, clamp);
  if (isInteger(dtype)) return Array.from(data as Int32Array);
  if (dtype === 'float64') return Array.from(data as Float64Array);
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') return Array.from(toFloat32(constant));
  return undefined;
}

const constant: Rule = (call) => {
  const { node } = call;
  if (hasAttribute(node, 'value')) return [valueOfTensor(tensorAttribute(node, 'value'))];
  if (hasAttribute(node, 'value_int')) {
    return [{ dtype: 'int64', shape: [], data: [intAttribute(node, 'value_int')] }];
  }
  if (hasAttribute(node, 'value_float')) {
    return [{ dtype: 'float32', shape: [], data: [floatAttribute(node, 'value_float')] }];
  }
  if (hasAttribute(node, 'value_ints')) return [vector('int64', intsAttribute(node, 'value_ints'))];
  if (hasAttribute(node, 'value_floats')) return [vector('float32', floatsAttribute(node, 'value_floats'))];
  if (hasAttribute(node, 'value_string')) return [{ dtype: 'string', shape: [] }];
  if (hasAttribute(node, 'value_strings')) {
    return [{ dtype: 'string', shape: [stringsAttribute(node, 'value_strings').length] }];
  }
  const sparse = node.attribute.find((attribute) => attribute.name === 'sparse_value')?.sparseTensor;
  if (sparse?.values) return [{ dtype: dtypeOf(sparse.values.dataType), shape: sparse.dims.map(Number) }];
  return cannot('it has no value');
};

function vector(dtype: 'int64' | 'float32', data: readonly number[]): Value {
  return { dtype, shape: [data.length], data: data.length <= MAX_ELEMENTS ? data : undefined };
}

/** The shape that an input spells out. */
function stated(call: Call, at: number): Dim[] {
  const { data, shape } = input(call, at);
  if (data !== undefined) return data.map((length) => length ?? call.fresh());
  const [rank] = shape ?? [];
  if (typeof rank !== 'number' || rank > 64) return cannot('neither the shape that it makes nor its rank is known');
  return Array.from({ length: rank }, () => call.fresh());
}

const constantOfShape: Rule = (call) => {
  const shape = stated(call, 0);
  if (shape.some((length) => typeof length === 'number' && length < 0)) {
    throw contradiction(call.node, 'it makes a shape with a negative dimension');
  }
  const value = hasAttribute(call.node, 'value')
    ? valueOfTensor(tensorAttribute(call.node, 'value'))
    : ({ dtype: 'float32', data: [0] } as Value);
  const lengths = numericShape(shape);
  const size = lengths && smallSize(lengths);
  const fill = value.data?.[0];
  const data = size === undefined || fill === undefined ? undefined : new Array<Dim>(size).fill(fill);
  return [{ dtype: value.dtype, shape, data }];
};

const eyeLike: Rule = (call) => {
  const stated = intAttribute(call.node, 'dtype', undefined);
  return [{ dtype: stated === undefined ? input(call, 0).dtype : dtypeOf(stated), shape: shapeOf(call, 0) }];
};

const random: Rule = (call) => [
  { dtype: dtypeOf(intAttribute(call.node, 'dtype', 1)), shape: intsAttribute(call.node, 'shape') },
];

const multinomial: Rule = (call) => {
  const [batch] = shapeOf(call, 0);
  const dtype = dtypeOf(intAttribute(call.node, 'dtype', 6));
  return [{ dtype, shape: [batch, intAttribute(call.node, 'sample_size', 1)] }];
};

const windowFunction: Rule = (call) => [
  { dtype: dtypeOf(intAttribute(call.node, 'output_datatype', 1)), shape: [input(call, 0).data?.[0] ?? call.fresh()] },
];

/** Frames of `[batch, signal, 1 or 2]`: `[batch, frames, bins, 2]`. */
const stft: Rule = (call) => {
  const [batch, length] = shapeOf(call, 0);
  const step = input(call, 1).data?.[0];
  const frame = call.inputs[3]?.data?.[0] ?? call.inputs[2]?.shape?.[0];
  if (step === undefined || frame === undefined) return cannot('its frame step or length is not known');
  const frames = add(floorDivide(sub(length, frame), step), 1);
  const bins = intAttribute(call.node, 'onesided', 1) === 1 ? add(floorDivide(frame, 2), 1) : frame;
  return [{ dtype: input(call, 0).dtype, shape: [batch, frames, bins, 2] }];
};

const dft: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const axisInput = call.opset >= 20 ? (call.inputs[2] === undefined ? -2 : call.inputs[2].data?.[0]) : undefined;
  const axis = call.opset >= 20 ? axisInput : intAttribute(call.node, 'axis', 1);
  if (typeof axis !== 'number') return cannot('its axis is not known');
  const at = axis < 0 ? axis + dims.length : axis;
  const onesided = intAttribute(call.node, 'onesided', 0) === 1;
  const inverse = intAttribute(call.node, 'inverse', 0) === 1;
  // A one-sided spectrum of n / 2 + 1 bins comes of an even n, where nothing else is said.
  const whole = onesided && inverse ? mul(2, sub(dims[at], 1)) : dims[at];
  const length = call.inputs[1] === undefined ? whole : (call.inputs[1].data?.[0] ?? call.fresh());
  const shape = dims.with(at, onesided && !inverse ? add(floorDivide(length, 2), 1) : length);
  return [{ dtype: input(call, 0).dtype, shape: shape.with(-1, onesided && inverse ? 1 : 2) }];
};

const melWeightMatrix: Rule = (call) => {
  const bins = input(call, 0).data?.[0] ?? call.fresh();
  const length = input(call, 1).data?.[0];
  const dtype = dtypeOf(intAttribute(call.node, 'output_datatype', 1));
  return [{ dtype, shape: [length === undefined ? call.fresh() : add(floorDivide(length, 2), 1), bins] }];
};

/** Losses: a scalar, or one number an element with `reduction` none; then the log-probabilities. */
const loss: Rule = (call) => {
  const { dtype } = input(call, 0);
  const each = stringAttribute(call.node, 'reduction', 'mean') === 'none';
  return [
    { dtype, shape: each ? shapeOf(call, 1) : [] },
    { dtype, shape: input(call, 0).shape },
  ];
};

export const GENERATE: Readonly<Record<string, Rule>> = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  EyeLike: eyeLike,
  RandomNormal: random,
  RandomUniform: random,
  RandomNormalLike: eyeLike,
  RandomUniformLike: eyeLike,
  Bernoulli: eyeLike,
  Multinomial: multinomial,
  HannWindow: windowFunction,
  HammingWindow: windowFunction,
  BlackmanWindow: windowFunction,
  STFT: stft,
  DFT: dft,
  MelWeightMatrix: melWeightMatrix,
  SoftmaxCrossEntropyLoss: loss,
  NegativeLogLikelihoodLoss: loss,
};
