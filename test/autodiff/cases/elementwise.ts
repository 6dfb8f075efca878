import { elements } from '../../../src/tensor.ts';
import type { Input, Sample } from '../applied.ts';
import { type Case, type Draw, list, scalar } from './draw.ts';

const unary = (
  op: string,
  options: { low?: number; high?: number; corners?: number[]; opsets?: number[] } = {},
): Case => ({
  op,
  opsets: options.opsets,
  draw: (d) => ({ inputs: [d.real(d.shape(), options.low, options.high, options.corners)] }),
});

const attributed = (op: string, attributes: (d: Draw) => Record<string, number>, corners: number[] = []): Case => ({
  op,
  draw: (d) => ({ inputs: [d.real(d.shape(), -2, 2, corners)], attributes: attributes(d) }),
});

/** Two inputs that broadcast to one another. */
const binary = (op: string, second?: (d: Draw, shape: number[]) => Input): Case => ({
  op,
  draw: (d) => {
    const shape = d.shape();
    const [a, b] = d.pick(
      [shape, d.narrowed(shape)],
      [d.narrowed(shape), shape],
      [d.narrowed(shape), d.narrowed(shape)],
    );
    return { inputs: [d.real(a), second ? second(d, b) : d.real(b)] };
  },
});

/** Two or more inputs whose elements are never close to each other. */
const extremum = (op: string): Case => ({
  op,
  draw: (d) => {
    const shape = d.shape(1);
    const count = d.int(1, 3);
    const all = d.distinct([elements(shape) * count]).values;
    const inputs = Array.from({ length: count }, (_, i) => {
      const own = i === 0 ? shape : d.narrowed(shape);
      return { shape: own, values: all.slice(i * elements(shape), i * elements(shape) + elements(own)) };
    });
    return { inputs };
  },
});

function broadcasts(d: Draw): Input[] {
  const shape = d.shape();
  return Array.from({ length: d.int(1, 3) }, (_, i) => d.real(i === 0 ? shape : d.narrowed(shape)));
}

export const ELEMENTWISE: readonly Case[] = [
  binary('Add'),
  binary('Sub'),
  binary('Mul'),
  binary('Div', (d, shape) => d.real(shape, 0.5, 2)),
  {
    op: 'Pow',
    draw: (d) => {
      const shape = d.shape();
      return d.pick<Sample>(
        { inputs: [d.real(shape, 0.5, 2), d.real(d.narrowed(shape))] },
        { inputs: [d.real(shape), scalar(d.pick(0, 1, 2, 3))] },
        { inputs: [d.real(shape, 0.5, 2), scalar(d.pick(0.5, -1, 2.5))] },
        { inputs: [d.real(shape), { ...list(d.int(0, 3)), isConstant: d.pick(true, false) }] },
      );
    },
  },
  unary('Neg'),
  unary('Abs', { corners: [0] }),
  unary('Sqrt', { low: 0.3 }),
  unary('Reciprocal', { low: 0.4 }),
  unary('Exp'),
  unary('Log', { low: 0.3 }),
  unary('Erf'),
  unary('Sin'),
  unary('Cos'),
  unary('Tan', { low: -1, high: 1 }),
  unary('Asin', { low: -0.8, high: 0.8 }),
  unary('Acos', { low: -0.8, high: 0.8 }),
  unary('Atan'),
  unary('Sinh'),
  unary('Cosh'),
  unary('Asinh'),
  unary('Acosh', { low: 1.3, high: 3 }),
  unary('Atanh', { low: -0.8, high: 0.8 }),
  unary('Floor', { corners: [-2, -1, 0, 1, 2] }),
  unary('Ceil', { corners: [-2, -1, 0, 1, 2] }),
  unary('Sign', { corners: [0] }),
  { op: 'Hardmax', draw: (d) => ({ inputs: [d.distinct(d.shape(1))] }) },
  { op: 'EyeLike', draw: (d) => ({ inputs: [d.real([d.int(1, 3), d.int(1, 3)])] }) },
  unary('Identity'),
  {
    op: 'Mod',
    // Quotients lie at least 0.1 from whole numbers.
    draw: (d) => {
      const shape = d.shape();
      const b = d.real(d.narrowed(shape), 1, 2);
      const whole = d.int(-2, 1);
      const at = (i: number) => (b.values.length === 1 ? b.values[0] : b.values[i % b.values.length]);
      return {
        inputs: [{ shape, values: d.real(shape, 0.2, 0.8).values.map((part, i) => (whole + part) * at(i)) }, b],
        attributes: { fmod: 1 },
      };
    },
  },
  extremum('Max'),
  extremum('Min'),
  { op: 'Sum', draw: (d) => ({ inputs: broadcasts(d) }) },
  { op: 'Mean', draw: (d) => ({ inputs: broadcasts(d) }) },
  {
    op: 'Where',
    draw: (d) => {
      const shape = d.shape();
      const condition = d.narrowed(shape);
      const values = Array.from({ length: elements(condition) }, () => d.int(0, 1));
      return {
        inputs: [{ shape: condition, values, dtype: 'bool' }, d.real(d.narrowed(shape)), d.real(shape)],
      };
    },
  },
  {
    op: 'Clip',
    draw: (d) => {
      const [low, high] = [
        { ...d.real([]), values: [-1] },
        { ...d.real([]), values: [0.9] },
      ];
      const bounds = d.pick<(Input | undefined)[]>(
        [],
        [low],
        [low, high],
        [undefined, high],
        [scalar(-1), scalar(0.9)],
      );
      return { inputs: [d.real(d.shape(), -2, 2, [-1, 0.9]), ...bounds] };
    },
  },
  { op: 'Cast', draw: (d) => ({ inputs: [d.real(d.shape())], attributes: { to: 11 } }) },
  { op: 'Dropout', draw: (d) => ({ inputs: [d.real(d.shape()), d.pick(undefined, scalar(0.3))] }) },
  unary('Relu', { corners: [0] }),
  attributed('LeakyRelu', () => ({ alpha: 0.1 }), [0]),
  { op: 'PRelu', draw: (d) => ((s) => ({ inputs: [d.real(s, -2, 2, [0]), d.real(d.narrowed(s))] }))(d.shape()) },
  attributed('ThresholdedRelu', () => ({ alpha: 0.5 }), [0.5]),
  attributed('Elu', (d) => ({ alpha: d.pick(1, 0.6) }), [0]),
  attributed('Celu', (d) => ({ alpha: d.pick(1, 0.6) }), [0]),
  attributed('Selu', (d) => d.pick<Record<string, number>>({}, { alpha: 0.8, gamma: 1.3 }), [0]),
  unary('Sigmoid'),
  unary('Tanh'),
  unary('Softplus'),
  unary('Softsign', { corners: [0] }),
  attributed('HardSigmoid', () => ({ alpha: 0.4, beta: 0.5 }), [-1.25, 1.25]),
  { ...attributed('Shrink', () => ({ lambd: 0.7, bias: 0.2 }), [-0.7, 0.7]), isSingle: true },
  unary('HardSwish', { low: -5, high: 5, corners: [-3, 3], opsets: [14, 21] }),
  unary('Mish', { opsets: [18, 21] }),
  {
    op: 'Gelu',
    opsets: [20, 21],
    draw: (d) => ({ inputs: [d.real(d.shape())], attributes: { approximate: d.pick('none', 'tanh') } }),
  },
];
