import type { DType } from '../../tensor.ts';
import { intAttribute } from '../attributes.ts';
import { dtypeOf } from '../dtypes.ts';
import { broadcast, input, type Rule, shapeOf } from './call.ts';

const quantizeLinear: Rule = (call) => {
  const stated = intAttribute(call.node, 'output_dtype', 0);
  const dtype: DType | undefined = call.inputs[2] ? call.inputs[2].dtype : stated === 0 ? 'uint8' : dtypeOf(stated);
  return [{ dtype, shape: shapeOf(call, 0) }];
};

const dequantizeLinear: Rule = (call) => {
  const stated = intAttribute(call.node, 'output_dtype', 0);
  return [{ dtype: stated === 0 ? input(call, 1).dtype : dtypeOf(stated), shape: shapeOf(call, 0) }];
};

const dynamicQuantizeLinear: Rule = (call) => [
  { dtype: 'uint8', shape: shapeOf(call, 0) },
  { dtype: 'float32', shape: [] },
  { dtype: 'uint8', shape: [] },
];

/** Of Microsoft's domain: a, scale, zero point, b, scale, zero point, y's scale, y's zero point. */
const qLinearBinary: Rule = (call) => [
  { dtype: input(call, 0).dtype, shape: broadcast(call, [shapeOf(call, 0), shapeOf(call, 3)]) },
];

const qLinearUnary: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: shapeOf(call, 0) }];

export const QUANTIZE: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
};

export const QUANTIZE_MICROSOFT: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  QLinearAdd: qLinearBinary,
  QLinearMul: qLinearBinary,
  QLinearSigmoid: qLinearUnary,
  QLinearLeakyRelu: qLinearUnary,
  QLinearSoftmax: qLinearUnary,
};
