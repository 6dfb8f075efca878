import { floatAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { broadcasting } from './arithmetic.ts';
import { ofEach } from './functions.ts';

/** With attributes alpha and beta of these defaults. */
function shaped(
  defaults: { alpha?: number; beta?: number; gamma?: number },
  derivative: (
    g: Backward,
    dy: string,
    x: string,
    y: string,
    at: { alpha: number; beta: number; gamma: number },
  ) => string,
): Rule {
  return (node, g, dy) => {
    const read = (name: 'alpha' | 'beta' | 'gamma') => floatAttribute(node, name, defaults[name] ?? 0);
    const at = { alpha: read('alpha'), beta: read('beta'), gamma: read('gamma') };
    return ofEach((h, d, x, y) => derivative(h, d, x, y, at))(node, g, dy);
  };
}

export const sigmoid = (g: Backward, x: string) => g.emit('Sigmoid', [x]);

/** y = x Φ(x): dx = (Φ(x) + x φ(x)) dy, Φ and φ the standard normal distribution and density. */
export function geluExact(g: Backward, dy: string, x: string): string {
  const cdf = g.mul(0.5, g.add(1, g.emit('Erf', [g.mul(x, Math.SQRT1_2)])));
  const density = g.mul(1 / Math.sqrt(2 * Math.PI), g.exp(g.mul(-0.5, g.square(x))));
  return g.mul(dy, g.add(cdf, g.mul(x, density)));
}

/** y = x (1 + t) / 2 with t = tanh(u), u = sqrt(2/π) (x + 0.044715 x³). */
export function geluTanh(g: Backward, dy: string, x: string): string {
  const c = Math.sqrt(2 / Math.PI);
  const xx = g.square(x);
  const t = g.emit('Tanh', [g.mul(g.mul(x, c), g.add(1, g.mul(0.044715, xx)))]);
  const du = g.mul(c, g.add(1, g.mul(3 * 0.044715, xx)));
  const dt = g.mul(g.sub(1, g.square(t)), du);
  return g.mul(dy, g.mul(0.5, g.add(g.add(1, t), g.mul(x, dt))));
}

/** y = x s with s = sigmoid(alpha x): dx = (s + alpha y (1 - s)) dy. */
export function swish(g: Backward, dy: string, x: string, y: string, alpha: number): string {
  const s = sigmoid(g, alpha === 1 ? x : g.mul(x, alpha));
  const slope = g.mul(y, g.sub(1, s));
  return g.mul(dy, g.add(s, alpha === 1 ? slope : g.mul(slope, alpha)));
}

const Gelu: Rule = (node, g, dy) => {
  const approximate = stringAttribute(node, 'approximate', 'none');
  return ofEach(approximate === 'tanh' ? geluTanh : geluExact)(node, g, dy);
};

export const ACTIVATIONS: Readonly<Record<string, Rule>> = {
  // A product, since Where reads and writes three times as much.
  Relu: ofEach((g, dy, x) => g.mul(dy, g.cast(g.greater(x, 0), g.dtype(dy)))),
  LeakyRelu: shaped({ alpha: 0.01 }, (g, dy, x, _, { alpha }) => g.where(g.greater(x, 0), dy, g.mul(dy, alpha))),
  PRelu: broadcasting((g, dy, [x, slope]) => {
    const isNegative = g.less(x, 0);
    return [g.where(isNegative, g.mul(dy, slope), dy), g.where(isNegative, g.mul(dy, x), 0)];
  }),
  ThresholdedRelu: shaped({ alpha: 1 }, (g, dy, x, _, { alpha }) => g.where(g.greater(x, alpha), dy, 0)),
  Elu: shaped({ alpha: 1 }, (g, dy, x, y, { alpha }) => g.where(g.greater(x, 0), dy, g.mul(dy, g.add(y, alpha)))),
  Celu: shaped({ alpha: 1 }, (g, dy, x, _, { alpha }) =>
    g.where(g.greater(x, 0), dy, g.mul(dy, g.exp(g.div(x, alpha)))),
  ),
  // The constants are the standard's own, in float32 (Klambauer et al. 2017).
  Selu: shaped({ alpha: 1.6732631921768188, gamma: 1.0507010221481323 }, (g, dy, x, y, at) =>
    g.where(g.greater(x, 0), g.mul(dy, at.gamma), g.mul(dy, g.add(y, at.alpha * at.gamma))),
  ),
  Sigmoid: ofEach((g, dy, _, y) => g.mul(dy, g.mul(y, g.sub(1, y)))),
  Tanh: ofEach((g, dy, _, y) => g.mul(dy, g.sub(1, g.square(y)))),
  Softplus: ofEach((g, dy, x) => g.mul(dy, sigmoid(g, x))),
  Softsign: ofEach((g, dy, x) => g.div(dy, g.square(g.add(1, g.emit('Abs', [x]))))),
  HardSigmoid: shaped({ alpha: 0.2, beta: 0.5 }, (g, dy, _, y, { alpha }) =>
    g.where(g.greater(y, 0), g.where(g.less(y, 1), g.mul(dy, alpha), 0), 0),
  ),
  // y = x + bias below -lambd, x - bias above lambd, and 0 between them
  Shrink: (node, g, [dy]) => [
    g.where(g.greater(g.emit('Abs', [node.input[0]]), floatAttribute(node, 'lambd', 0.5)), dy, 0),
  ],
  // y = x max(0, min(1, x/6 + 1/2))
  HardSwish: ofEach((g, dy, x) => {
    const ramp = g.mul(dy, g.add(g.mul(x, 1 / 3), 0.5));
    return g.where(g.greater(x, -3), g.where(g.less(x, 3), ramp, dy), 0);
  }),
  // y = x tanh(s), s = softplus(x): dx = (t + x (1 - t²) sigmoid(x)) dy
  Mish: ofEach((g, dy, x) => {
    const t = g.emit('Tanh', [g.emit('Softplus', [x])]);
    return g.mul(dy, g.add(t, g.mul(x, g.mul(g.sub(1, g.square(t)), sigmoid(g, x)))));
  }),
  Gelu,
};
