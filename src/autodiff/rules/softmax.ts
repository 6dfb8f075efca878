import { intAttribute } from '../../onnx/attributes.ts';
import type { Rule } from '../rule.ts';

/** y = softmax(x): dx = y (dy - Σ dy y). */
const Softmax: Rule = (node, g, [dy]) => {
  const [y] = node.output;
  const axis = intAttribute(node, 'axis', -1);
  const inner = g.reduceSum(g.mul(dy, y), [axis]);
  return [g.mul(y, g.sub(dy, inner))];
};

/** y = x - log Σ exp(x): dx = dy - exp(y) Σ dy. */
const LogSoftmax: Rule = (node, g, [dy]) => {
  const axis = intAttribute(node, 'axis', -1);
  const total = g.reduceSum(dy as string, [axis]);
  return [g.sub(dy, g.mul(g.exp(node.output[0]), total))];
};

export const SOFTMAX: Readonly<Record<string, Rule>> = { Softmax, LogSoftmax };
