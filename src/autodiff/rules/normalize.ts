import { floatAttribute, intAttribute } from '../../onnx/attributes.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/** x̂ = (x - mean) / σ over axes, and 1 / σ, σ = sqrt(variance + epsilon). */
function standardized(g: Backward, x: string, axes: readonly number[], epsilon: number) {
  const centred = g.sub(x, g.reduceMean(x, axes));
  const inverse = g.div(1, g.sqrt(g.add(g.reduceMean(g.square(centred), axes), epsilon)));
  return { hat: g.mul(centred, inverse), inverse };
}

/** Through x̂: dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / σ, means over the same axes. */
function throughStandardized(g: Backward, dHat: string, hat: string, inverse: string, axes: readonly number[]): string {
  const along = g.mul(hat, g.reduceMean(g.mul(dHat, hat), axes));
  return g.mul(inverse, g.sub(g.sub(dHat, g.reduceMean(dHat, axes)), along));
}

/** The axes from `axis` on. */
function axesFrom(axis: number, rank: number): number[] {
  const first = axis < 0 ? axis + rank : axis;
  return Array.from({ length: rank - first }, (_, i) => first + i);
}

/** The parts of y = x̂ scale + bias; `like` is a tensor of the graph of the shape of x. */
export interface Normalized {
  readonly x: string;
  readonly like: string;
  readonly scale: string;
  readonly bias: string | undefined;
  readonly axes: readonly number[];
  readonly epsilon: number;
}

/** The gradients at x, scale and bias, x̂ standardized over axes. */
export function throughLayer(g: Backward, dy: string, { x, like, scale, bias, axes, epsilon }: Normalized) {
  const { hat, inverse } = standardized(g, x, axes, epsilon);
  return [throughStandardized(g, g.mul(dy, scale), hat, inverse, axes), ...ofAffine(g, dy, hat, like, scale, bias)];
}

/** The same with x̂ = x / σ, σ the root mean square (Zhang & Sennrich 2019). */
export function throughRootMeanSquare(g: Backward, dy: string, { x, like, scale, bias, axes, epsilon }: Normalized) {
  const inverse = g.div(1, g.sqrt(g.add(g.reduceMean(g.square(x), axes), epsilon)));
  const hat = g.mul(x, inverse);
  const dHat = g.mul(dy, scale);
  const along = g.mul(hat, g.reduceMean(g.mul(dHat, hat), axes));
  return [g.mul(inverse, g.sub(dHat, along)), ...ofAffine(g, dy, hat, like, scale, bias)];
}

/** The gradients at scale and bias of y = x̂ scale + bias. */
function ofAffine(g: Backward, dy: string, hat: string, like: string, scale: string, bias: string | undefined) {
  const shape = g.shape(like);
  return [g.unbroadcast(g.mul(dy, hat), shape, scale), bias ? g.unbroadcast(dy, shape, bias) : undefined];
}

/** y = x̂ scale + bias over the axes from `axis` on. */
function normalizing(through: typeof throughLayer): Rule {
  return (node, g, [dy, ...statistics]) => {
    if (dy === undefined || statistics.some((each) => each !== undefined)) {
      return g.unsupported(node, 'its outputs of mean and deviation have no gradient');
    }
    const [x, scale, bias] = node.input;
    const axes = axesFrom(intAttribute(node, 'axis', -1), g.rank(x));
    return through(g, dy, { x, like: x, scale, bias, axes, epsilon: floatAttribute(node, 'epsilon', 1e-5) });
  };
}

/** y = (x - mean) / sqrt(variance + epsilon) scale + bias, all of them given a channel. */
const BatchNormalization: Rule = (node, g, [dy]) => {
  if (intAttribute(node, 'training_mode', 0) === 1) {
    return g.unsupported(node, 'it is in training mode; export the model for inference');
  }
  const [x, scale, , mean, variance] = node.input;
  const { channel, others } = channelsOf(g, x);
  const inverse = g.div(1, g.sqrt(g.add(variance, floatAttribute(node, 'epsilon', 1e-5))));
  const factor = g.mul(scale, inverse);
  const sum = g.reduceSum(dy as string, others, false);
  const hat = g.mul(g.sub(x, channel(mean)), channel(inverse));
  const inner = g.reduceSum(g.mul(dy, hat), others, false);
  return [
    g.mul(dy, channel(factor)),
    inner,
    sum,
    g.neg(g.mul(sum, factor)),
    g.mul(-0.5, g.mul(inner, g.mul(factor, inverse))),
  ];
};

/** y = x̂ scale + bias, x̂ standardized over each channel's positions. */
const InstanceNormalization: Rule = (node, g, [dy]) => {
  const [x, scale] = node.input;
  const { channel, others } = channelsOf(g, x);
  const axes = others.slice(1);
  const { hat, inverse } = standardized(g, x, axes, floatAttribute(node, 'epsilon', 1e-5));
  return [
    throughStandardized(g, g.mul(dy, channel(scale)), hat, inverse, axes),
    g.reduceSum(g.mul(dy, hat), others, false),
    g.reduceSum(dy as string, others, false),
  ];
};

/**
 * y = x̂ scale + bias, x̂ standardized over the channels and positions of a group. Until operator set 20 there is a scale a
 * group, later a scale a channel.
 */
const GroupNormalization: Rule = (node, g, [dy]) => {
  const [x, scale] = node.input;
  const groups = intAttribute(node, 'num_groups');
  const grouped = (each: string) => g.reshape(each, [0, groups, -1]);
  const { hat, inverse } = standardized(g, grouped(x), [2], floatAttribute(node, 'epsilon', 1e-5));
  if (g.opset < 21) {
    const d = grouped(dy as string);
    const dx = throughStandardized(g, g.mul(d, g.unsqueeze(scale, [1])), hat, inverse, [2]);
    return [g.reshapeLike(dx, x), g.reduceSum(g.mul(d, hat), [0, 2], false), g.reduceSum(d, [0, 2], false)];
  }
  const { channel, others } = channelsOf(g, x);
  const dx = throughStandardized(g, grouped(g.mul(dy, channel(scale))), hat, inverse, [2]);
  return [
    g.reshapeLike(dx, x),
    g.reduceSum(g.mul(dy, g.reshapeLike(hat, x)), others, false),
    g.reduceSum(dy as string, others, false),
  ];
};

/** y = x / |x| by the p-norm along an axis: dx = (dy - |y|^(p-1) sign(y) Σ dy y) / |x|, and 0 where x is 0. */
const LpNormalization: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const [y] = node.output;
  const axis = intAttribute(node, 'axis', -1);
  const isL1 = intAttribute(node, 'p', 2) === 1;
  const norm = isL1 ? g.reduceSum(g.emit('Abs', [x]), [axis]) : g.sqrt(g.reduceSum(g.square(x), [axis]));
  const along = g.mul(isL1 ? g.emit('Sign', [x]) : y, g.reduceSum(g.mul(dy, y), [axis]));
  return [g.where(g.equal(norm, 0), 0, g.div(g.sub(dy, along), norm))];
};

/** For x of [batch, channels, ...]: a vector over channels made to broadcast with x, and the axes that are none. */
function channelsOf(g: Backward, x: string) {
  const rank = g.rank(x);
  const positions = Array.from({ length: rank - 2 }, (_, i) => i + 1);
  const channel = (vector: string) => (positions.length === 0 ? vector : g.unsqueeze(vector, positions));
  return { channel, others: [0, ...positions.map((axis) => axis + 1)] };
}

export const NORMALIZE: Readonly<Record<string, Rule>> = {
  LayerNormalization: normalizing(throughLayer),
  RMSNormalization: normalizing(throughRootMeanSquare),
  // ONNX Runtime's own name for it, which its optimizer writes into ONNX's domain.
  SimplifiedLayerNormalization: normalizing(throughRootMeanSquare),
  BatchNormalization,
  InstanceNormalization,
  GroupNormalization,
  LpNormalization,
};
