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

/** y = x̂ scale + bias, x̂ standardized over the axes from `axis` on. */
const LayerNormalization: Rule = (node, g, [dy, dMean, dInverse]) => {
  if (dMean !== undefined || dInverse !== undefined) {
    return g.unsupported(node, 'its outputs of mean and deviation have no gradient');
  }
  const [x, scale, bias] = node.input;
  const rank = g.rank(x);
  const axis = intAttribute(node, 'axis', -1);
  const first = axis < 0 ? axis + rank : axis;
  const axes = Array.from({ length: rank - first }, (_, i) => first + i);
  const { hat, inverse } = standardized(g, x, axes, floatAttribute(node, 'epsilon', 1e-5));
  const shape = g.shape(x);
  return [
    throughStandardized(g, g.mul(dy, scale), hat, inverse, axes),
    g.unbroadcast(g.mul(dy, hat), shape, scale),
    bias ? g.unbroadcast(dy as string, shape, bias) : undefined,
  ];
};

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

/** For x of [batch, channels, ...]: a vector over channels made to broadcast with x, and the axes that are none. */
function channelsOf(g: Backward, x: string) {
  const rank = g.rank(x);
  const positions = Array.from({ length: rank - 2 }, (_, i) => i + 1);
  const channel = (vector: string) => (positions.length === 0 ? vector : g.unsqueeze(vector, positions));
  return { channel, others: [0, ...positions.map((axis) => axis + 1)] };
}

export const NORMALIZE: Readonly<Record<string, Rule>> = {
  LayerNormalization,
  BatchNormalization,
  InstanceNormalization,
};
