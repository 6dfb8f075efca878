import { intAttribute } from '../attributes.ts';
import { type Dim, floorDivide } from '../dim.ts';
import { ATTENTION_MICROSOFT } from './attention.ts';
import { type Call, input, type Rule, shapeOf, type Value } from './call.ts';
import { CONV, convolved } from './conv.ts';
import { gemmShape, LINEAR, matMulShape } from './linear.ts';
import { NORMALIZE, statisticFrom } from './normalize.ts';
import { QUANTIZE_MICROSOFT } from './quantize.ts';
import { SHAPE } from './shape.ts';

/** The first input's type and shape. */
const same: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: shapeOf(call, 0) }];

const fusedMatMul: Rule = (call) => {
  const side = (at: number, turn: string, batchTurn: string) => {
    let dims = shapeOf(call, at);
    // The batch flag moves the first dimension behind the others but the last.
    if (intAttribute(call.node, batchTurn, 0) === 1) dims = [...dims.slice(1, -1), dims[0], ...dims.slice(-1)];
    if (intAttribute(call.node, turn, 0) === 0 || dims.length < 2) return dims;
    return [...dims.slice(0, -2), dims[dims.length - 1], dims[dims.length - 2]];
  };
  const shape = matMulShape(call, side(0, 'transA', 'transBatchA'), side(1, 'transB', 'transBatchB'));
  return [{ dtype: input(call, 0).dtype, shape }];
};

/** Outputs: normalized, mean, inverse deviation, and the sum that was normalized. */
const skipLayerNormalization: Rule = (call) => {
  const statistic = statisticFrom(call, -1);
  const [output] = same(call);
  return [output, statistic, statistic, output];
};

/** Token ids and segment ids `[batch, length]`, tables of words, positions and segments. */
const embedLayerNormalization: Rule = (call) => {
  const [batch, length] = shapeOf(call, 0);
  const table = input(call, 2);
  const [, hidden] = shapeOf(call, 2);
  const output: Value = { dtype: table.dtype, shape: [batch, length, hidden] };
  return [output, { dtype: 'int32', shape: [batch] }, output];
};

/** Weights packed in blocks of 4 bits: the attributes say K and N. */
const matMulNBits: Rule = (call) => {
  const dims = shapeOf(call, 0);
  return [{ dtype: input(call, 0).dtype, shape: [...dims.slice(0, -1), intAttribute(call.node, 'N')] }];
};

const matMulToFloat =
  (scale: number): Rule =>
  (call) => [{ dtype: input(call, scale).dtype, shape: matMulShape(call, shapeOf(call, 0), shapeOf(call, 1)) }];

/** a, scale, zero point, b, scale, zero point, c, y's scale, y's zero point. */
const qGemm: Rule = (call) => [{ dtype: call.inputs[8]?.dtype ?? input(call, 1).dtype, shape: gemmShape(call, 0, 3) }];

/** x, scale, zero point, y's scale, y's zero point. */
const qLinearPool =
  (rule: Rule): Rule =>
  (call) => {
    if (intAttribute(call.node, 'channels_last', 0) === 0) return rule(call).slice(0, 1);
    return channelsLast(call, rule);
  };

function channelsLast(call: Call, rule: Rule): Value[] {
  const dims = shapeOf(call, 0);
  const first = [dims[0], dims[dims.length - 1], ...dims.slice(1, -1)];
  const [{ dtype, shape }] = rule({ ...call, inputs: [{ ...call.inputs[0], shape: first }, ...call.inputs.slice(1)] });
  const [n, c, ...lengths] = shape as readonly Dim[];
  return [{ dtype, shape: [n, ...lengths, c] }];
}

/** y's scale, y's zero point, then a tensor, a scale and a zero point for each part. */
const qLinearConcat: Rule = (call) => {
  const parts = call.inputs.filter((_, i) => i >= 2 && (i - 2) % 3 === 0);
  return SHAPE.Concat({ ...call, inputs: parts }).map(({ dtype, shape }) => ({ dtype, shape }));
};

/** `[batch, length, 2*size]`: one half gates the other. */
const biasSplitGelu: Rule = (call) => {
  const dims = shapeOf(call, 0);
  return [{ dtype: input(call, 0).dtype, shape: dims.with(-1, floorDivide(dims[dims.length - 1], 2)) }];
};

const nhwcConv: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const first = {
    ...call,
    inputs: [{ shape: [dims[0], dims[dims.length - 1], ...dims.slice(1, -1)] }, call.inputs[1]],
  };
  const [n, c, ...lengths] = convolved(first, 0, 1);
  return [{ dtype: input(call, 0).dtype, shape: [n, ...lengths, c] }];
};

/** The operators of domain `com.microsoft` that ONNX Runtime's optimizers and quantizers write. */
export const MICROSOFT: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    [
      'BiasAdd', 'BiasDropout', 'BiasGelu', 'BiasSoftmax', 'FastGelu', 'Gelu', 'GroupNorm', 'QuickGelu', 'RotaryEmbedding',
    ].map((name) => [name, same]), // biome-ignore format: a list reads as one
  ),
  ...ATTENTION_MICROSOFT,
  ...QUANTIZE_MICROSOFT,
  BiasSplitGelu: biasSplitGelu,
  DynamicQuantizeMatMul: LINEAR.MatMul,
  EmbedLayerNormalization: embedLayerNormalization,
  FusedConv: CONV.Conv,
  FusedGemm: LINEAR.Gemm,
  FusedMatMul: fusedMatMul,
  LayerNormalization: NORMALIZE.LayerNormalization,
  MatMulIntegerToFloat: matMulToFloat(2),
  MatMulNBits: matMulNBits,
  NhwcConv: nhwcConv,
  NhwcFusedConv: nhwcConv,
  NhwcMaxPool: (call) => channelsLast(call, CONV.MaxPool),
  Pad: (call) => SHAPE.Pad({ ...call, opset: 18 }),
  QGemm: qGemm,
  QLinearAveragePool: qLinearPool(CONV.AveragePool),
  QLinearConcat: qLinearConcat,
  QLinearConv: CONV.QLinearConv,
  QLinearGlobalAveragePool: qLinearPool(CONV.GlobalAveragePool),
  SimplifiedLayerNormalization: NORMALIZE.SimplifiedLayerNormalization,
  SkipLayerNormalization: skipLayerNormalization,
  SkipSimplifiedLayerNormalization: skipLayerNormalization,
  TransposeMatMul: fusedMatMul,
};
