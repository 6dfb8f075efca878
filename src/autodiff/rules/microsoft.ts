import { floatAttribute, floatsAttribute, intAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { geluExact, geluTanh, swish } from './activations.ts';
import { CONV } from './conv.ts';
import { ofEach } from './functions.ts';
import { LINEAR, transposed, unbroadcastBatch } from './linear.ts';
import { throughLayer, throughRootMeanSquare } from './normalize.ts';

/** y = gelu(x + bias), the bias optional. */
function biased(gelu: (g: Backward, dy: string, x: string) => string): Rule {
  return (node, g, [dy]) => {
    const [x, bias] = node.input;
    if (!bias) return [gelu(g, dy as string, x)];
    const dx = gelu(g, dy as string, g.add(x, bias));
    return [dx, g.unbroadcast(dx, g.shape(node.output[0]), bias)];
  };
}

/** Y = alpha op(A) op(B), op exchanging rows and columns or not. */
const FusedMatMul: Rule = (node, g, [dy]) => {
  const [a, b] = node.input;
  const flag = (name: string) => intAttribute(node, name, 0) === 1;
  if (flag('transBatchA') || flag('transBatchB')) return g.unsupported(node, 'it transposes batches');
  const [rankA, rankB] = [g.rank(a), g.rank(b)];
  if (rankA < 2 || rankB < 2) return g.unsupported(node, 'one of its inputs is a vector');
  const alpha = floatAttribute(node, 'alpha', 1);
  const scaled = alpha === 1 ? (dy as string) : g.mul(dy, alpha);
  const rank = Math.max(rankA, rankB);
  const turned = (x: string, of: number, isTurned: boolean) => (isTurned ? transposed(g, x, of) : x);
  const [isA, isB] = [flag('transA'), flag('transB')];
  const product = (left: string, right: string) => g.emit('MatMul', [left, right]);
  const da = isA
    ? product(turned(b, rankB, isB), transposed(g, scaled, rank))
    : product(scaled, turned(b, rankB, !isB));
  const db = isB
    ? product(transposed(g, scaled, rank), turned(a, rankA, isA))
    : product(turned(a, rankA, !isA), scaled);
  const batch = g.shape(node.output[0])?.slice(0, -2);
  return [unbroadcastBatch(g, da, batch, a), unbroadcastBatch(g, db, batch, b)];
};

/** Slopes of activations, from their result alone, by what ONNX Runtime's attributes say. */
function throughActivation(node: NodeProto, g: Backward, dy: string): string {
  const [y] = node.output;
  const activation = stringAttribute(node, 'activation', '');
  const given = floatsAttribute(node, 'activation_params', []);
  const [alpha, beta] = [
    floatAttribute(node, 'activation_alpha', given[0] ?? 0),
    floatAttribute(node, 'activation_beta', given[1] ?? 0),
  ];
  const within = (low: number, high: number, inside: string) =>
    g.where(g.greater(y, low), g.where(g.less(y, high), inside, 0), 0);
  switch (activation) {
    case '':
      return dy;
    case 'Relu':
      return g.where(g.greater(y, 0), dy, 0);
    case 'LeakyRelu':
      return g.where(g.greater(y, 0), dy, g.mul(dy, alpha));
    case 'Sigmoid':
      return g.mul(dy, g.mul(y, g.sub(1, y)));
    case 'Tanh':
      return g.mul(dy, g.sub(1, g.square(y)));
    case 'HardSigmoid':
      return within(0, 1, g.mul(dy, alpha));
    case 'Clip':
      return within(alpha, beta, dy);
    default:
      return g.unsupported(node, `its activation '${activation}' is not handled`);
  }
}

/** y = activation(convolution + z), z optional. */
const FusedConv: Rule = (node, g, [dy]) => {
  const dz = throughActivation(node, g, dy as string);
  const [dx, dw, dBias] = CONV.Conv(node, g, [dz]);
  return [dx, dw, dBias, dz];
};

const FusedGemm: Rule = (node, g, [dy]) => LINEAR.Gemm(node, g, [throughActivation(node, g, dy as string)]);

/** y = normalized(x + skip + offset); its last output is that sum, which the next block adds to. */
function skipping(through: typeof throughLayer, at: { bias?: number; offset: number }): Rule {
  return (node, g, [dy, dMean, dInverse, dSum]) => {
    if (dMean !== undefined || dInverse !== undefined) {
      return g.unsupported(node, 'its outputs of mean and deviation have no gradient');
    }
    const [x, skip, scale] = node.input;
    const bias = at.bias === undefined ? undefined : node.input[at.bias] || undefined;
    const offset = node.input[at.offset] || undefined;
    const total = node.output[3] || g.sum([x, skip, offset].filter((part) => part !== undefined));
    const gradients = new Array<string | undefined>(node.input.length).fill(undefined);
    let dTotal = dSum;
    if (dy !== undefined) {
      const epsilon = floatAttribute(node, 'epsilon', 1e-12);
      const parts = { x: total, like: x, scale, bias, axes: [g.rank(x) - 1], epsilon };
      const [dx, dScale, dBias] = through(g, dy, parts);
      dTotal = dSum === undefined ? dx : g.add(dx, dSum);
      gradients[2] = dScale;
      if (at.bias !== undefined) gradients[at.bias] = dBias;
    }
    gradients[0] = dTotal;
    gradients[1] = g.unbroadcast(dTotal as string, g.shape(x), skip);
    if (offset) gradients[at.offset] = g.unbroadcast(dTotal as string, g.shape(x), offset);
    return gradients;
  };
}

/** Operators of domain `com.microsoft` that ONNX Runtime's optimizer puts in the place of several of ONNX's own. */
export const MICROSOFT: Readonly<Record<string, Rule>> = {
  'com.microsoft.Gelu': ofEach(geluExact),
  'com.microsoft.BiasGelu': biased(geluExact),
  'com.microsoft.FastGelu': biased(geluTanh),
  'com.microsoft.QuickGelu': (node, g, [dy]) => [
    swish(g, dy as string, node.input[0], node.output[0], floatAttribute(node, 'alpha', 1.702)),
  ],
  'com.microsoft.FusedMatMul': FusedMatMul,
  'com.microsoft.FusedGemm': FusedGemm,
  'com.microsoft.FusedConv': FusedConv,
  'com.microsoft.SkipLayerNormalization': skipping(throughLayer, { bias: 3, offset: 4 }),
  'com.microsoft.SkipSimplifiedLayerNormalization': skipping(throughRootMeanSquare, { offset: 3 }),
};
