import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/** The rule of a function of each element: `derivative` gives dx from dy, x and y = f(x). */
export function ofEach(derivative: (g: Backward, dy: string, x: string, y: string) => string): Rule {
  return (node, g, [dy]) => [derivative(g, dy as string, node.input[0], node.output[0])];
}

/** Of what is constant but for its steps, or reads its input's shape alone. */
const flat: Rule = () => [];

/** A cast between float types is the identity. */
const cast: Rule = (node, g, [dy]) => [g.cast(dy as string, g.dtype(node.input[0]))];

/** At inference the identity; in training what the mask lets through, grown by 1 / (1 - ratio). */
const Dropout: Rule = (node, g, [dy]) => {
  const [, ratio, training] = node.input;
  const flag = g.known(training)?.[0];
  if (training === undefined || training === '' || flag === 0) return [dy];
  const mask = node.output[1];
  if (!mask) return g.unsupported(node, 'it drops at random and gives no mask out; give it a second output');
  const kept = ratio ? g.sub(1, g.cast(ratio, g.dtype(node.output[0]))) : 0.5;
  return [g.where(training, g.where(mask, g.div(dy, kept), 0), dy)];
};

export const FUNCTIONS: Readonly<Record<string, Rule>> = {
  Identity: (_node, _g, [dy]) => [dy],
  Cast: cast,
  CastLike: cast,
  Dropout,
  Neg: ofEach((g, dy) => g.neg(dy)),
  Abs: ofEach((g, dy, x) => g.mul(dy, g.emit('Sign', [x]))),
  Sqrt: ofEach((g, dy, _, y) => g.div(g.mul(dy, 0.5), y)),
  Reciprocal: ofEach((g, dy, _, y) => g.neg(g.mul(dy, g.square(y)))),
  Exp: ofEach((g, dy, _, y) => g.mul(dy, y)),
  Log: ofEach((g, dy, x) => g.div(dy, x)),
  // 2 / sqrt(pi) exp(-x²)
  Erf: ofEach((g, dy, x) => g.mul(dy, g.mul(2 / Math.sqrt(Math.PI), g.exp(g.neg(g.square(x)))))),
  Sin: ofEach((g, dy, x) => g.mul(dy, g.emit('Cos', [x]))),
  Cos: ofEach((g, dy, x) => g.neg(g.mul(dy, g.emit('Sin', [x])))),
  Tan: ofEach((g, dy, _, y) => g.mul(dy, g.add(1, g.square(y)))),
  Asin: ofEach((g, dy, x) => g.div(dy, g.sqrt(g.sub(1, g.square(x))))),
  Acos: ofEach((g, dy, x) => g.neg(g.div(dy, g.sqrt(g.sub(1, g.square(x)))))),
  Atan: ofEach((g, dy, x) => g.div(dy, g.add(1, g.square(x)))),
  Sinh: ofEach((g, dy, x) => g.mul(dy, g.emit('Cosh', [x]))),
  Cosh: ofEach((g, dy, x) => g.mul(dy, g.emit('Sinh', [x]))),
  Asinh: ofEach((g, dy, x) => g.div(dy, g.sqrt(g.add(g.square(x), 1)))),
  Acosh: ofEach((g, dy, x) => g.div(dy, g.sqrt(g.sub(g.square(x), 1)))),
  Atanh: ofEach((g, dy, x) => g.div(dy, g.sub(1, g.square(x)))),
  Floor: flat,
  Ceil: flat,
  Sign: flat,
  Hardmax: flat,
  EyeLike: flat,
  RandomNormalLike: flat,
  RandomUniformLike: flat,
};
