import { intAttribute } from '../attributes.ts';
import { axisIn, type Call, input, type Rule, shapeOf, type Value } from './call.ts';

const batchNormalization: Rule = (call) => {
  const x = input(call, 0);
  const statistic: Value = { dtype: call.inputs[3]?.dtype ?? x.dtype, shape: [x.shape?.[1] ?? call.fresh()] };
  return [{ dtype: x.dtype, shape: x.shape }, statistic, statistic, statistic, statistic];
};

/** A statistic over the axes from `axis` on, which stay as 1. */
export function statisticFrom(call: Call, axis: number): Value {
  const dims = shapeOf(call, 0);
  const from = axisIn(call, axis, dims.length);
  return { dtype: 'float32', shape: dims.map((dim, i) => (i < from ? dim : 1)) };
}

const layerNormalization: Rule = (call) => {
  const statistic = statisticFrom(call, intAttribute(call.node, 'axis', -1));
  return [{ dtype: input(call, 0).dtype, shape: shapeOf(call, 0) }, statistic, statistic];
};

export const NORMALIZE: Readonly<Record<string, Rule>> = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  RMSNormalization: layerNormalization,
};
