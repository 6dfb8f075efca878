import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/**
 * The rule of an element-wise operator with broadcasting: `derivative` gives gradients of the output's shape, which are
 * summed over the axes that their input was repeated along.
 */
export function broadcasting(
  derivative: (g: Backward, dy: string, x: readonly string[], y: string, node: NodeProto) => (string | undefined)[],
): Rule {
  return (node, g, [dy]) => {
    const [y] = node.output;
    return derivative(g, dy as string, node.input, y, node).map((dx, i) =>
      dx === undefined ? undefined : g.unbroadcast(dx, g.shape(y), node.input[i]),
    );
  };
}

/** What reaches y reaches the input that it equals; equals share. */
const extremum = broadcasting((g, dy, x, y) => {
  if (x.length === 1) return [dy];
  const picked = x.map((each) => g.cast(g.equal(each, y), g.dtype(y)));
  const share = g.div(dy, g.sum(picked));
  return picked.map((each) => g.mul(share, each));
});

/** The derivative p x^(p-1) for a number p, without a general power where there is a plainer way. */
function powerDerivative(g: Backward, x: string, p: number): string | number {
  if (p === 0 || p === 1) return p;
  if (p === 2) return g.mul(2, x);
  if (p === 3) return g.mul(3, g.square(x));
  return g.mul(p, g.pow(x, p - 1));
}

/** y = x^p: dx = p x^(p-1) dy, dp = y log(x) dy, which is 0 where x is not positive. */
const Pow: Rule = broadcasting((g, dy, [x, exponent], y) => {
  const dtype = g.dtype(x);
  const [p, ...more] = g.known(exponent) ?? [];
  if (p !== undefined && more.length === 0) {
    return [g.mul(dy, powerDerivative(g, x, p))];
  }
  const q = g.cast(exponent, dtype);
  const dx = g.where(g.equal(q, 0), 0, g.mul(dy, g.mul(q, g.pow(x, g.sub(q, 1)))));
  const isPositive = g.greater(x, 0);
  const log = g.emit('Log', [g.where(isPositive, x, 1)]);
  return [dx, g.wants(exponent) ? g.mul(dy, g.where(isPositive, g.mul(y, log), 0)) : undefined];
});

/** y = x - b n with n whole: n = trunc(x / b) for `fmod`, which floats have to have. */
const Mod: Rule = broadcasting((g, dy, [x, b], y) => [dy, g.neg(g.mul(dy, g.div(g.sub(x, y), b)))]);

/** y = x between low and high, and constant outside: what reaches y reaches x or the bound that holds it. */
const Clip: Rule = (node, g, [dy]) => {
  const [x, low, high] = node.input.map((name) => (name === '' ? undefined : name));
  let inside = dy as string;
  const bound = (limit: string | undefined, outside: (limit: string) => string) => {
    if (limit === undefined) return undefined;
    const isOutside = outside(limit);
    const gradient = g.unbroadcast(g.where(isOutside, dy, 0), g.shape(x as string), limit);
    inside = g.where(isOutside, 0, inside);
    return gradient;
  };
  const dHigh = bound(high, (limit) => g.greater(x, limit));
  const dLow = bound(low, (limit) => g.less(x, limit));
  return [inside, dLow, dHigh];
};

export const ARITHMETIC: Readonly<Record<string, Rule>> = {
  Add: broadcasting((_, dy) => [dy, dy]),
  Sub: broadcasting((g, dy) => [dy, g.neg(dy)]),
  Mul: broadcasting((g, dy, [a, b]) => [g.mul(dy, b), g.mul(dy, a)]),
  Div: broadcasting((g, dy, [, b], y) => {
    const da = g.div(dy, b);
    return [da, g.neg(g.mul(da, y))];
  }),
  Sum: broadcasting((_, dy, x) => x.map(() => dy)),
  Mean: broadcasting((g, dy, x) => x.map(() => g.div(dy, x.length))),
  Max: extremum,
  Min: extremum,
  Mod,
  Pow,
  Clip,
  Where: broadcasting((g, dy, [condition]) => [undefined, g.where(condition, dy, 0), g.where(condition, 0, dy)]),
};
