import { elements } from '../../src/tensor.ts';
import { uniforms } from '../codec/features.ts';
import type { Input, Sample } from './check.ts';

/** Draws what a sample is made of. */
export class Draw {
  readonly random: () => number;
  readonly opset: number;

  constructor(seed: number, opset: number) {
    this.random = uniforms(seed);
    this.opset = opset;
  }

  /** A whole number from `low` to `high`. */
  int(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(...choices: T[]): T {
    return choices[this.int(0, choices.length - 1)];
  }

  shape(low = 0, high = 3): number[] {
    return Array.from({ length: this.int(low, high) }, () => this.int(1, 4));
  }

  /** A shape that broadcasts to `shape`. */
  narrowed(shape: readonly number[]): number[] {
    return shape.map((length) => this.pick(length, length, 1)).slice(this.pick(0, 0, this.int(0, shape.length)));
  }

  /** Floats from `low` to `high`, at least 0.1 from each corner. */
  real(shape: readonly number[], low = -2, high = 2, corners: readonly number[] = []): Input {
    const value = (): number => {
      const drawn = low + (high - low) * this.random();
      return corners.some((corner) => Math.abs(drawn - corner) < 0.1) ? value() : drawn;
    };
    return { shape, values: Array.from({ length: elements(shape) }, value) };
  }

  /** Floats that differ by at least 0.15 from one another. */
  distinct(shape: readonly number[]): Input {
    const order = Array.from({ length: elements(shape) }, (_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return { shape, values: order.map((i) => (i - order.length / 2) * 0.2 + 0.05 * this.random()) };
  }

  /** Some of the axes of a tensor, at least one, some counted from the end. */
  axes(rank: number): number[] {
    const axes = Array.from({ length: rank }, (_, axis) => axis).filter(() => this.random() < 0.5);
    return (axes.length > 0 ? axes : [this.int(0, rank - 1)]).map((axis) => this.pick(axis, axis - rank));
  }
}

/** Constants of the model. */
export const list = (...values: number[]): Input => ({
  shape: [values.length],
  values,
  dtype: 'int64',
  isConstant: true,
});
const scalar = (value: number): Input => ({ shape: [], values: [value], isConstant: true });
/** The same given at run time. */
const fed = (input: Input): Input => ({ ...input, isConstant: false });

export interface Case {
  readonly op: string;
  /** Operator sets to try; 13 and 21 by default. */
  readonly opsets?: readonly number[];
  readonly draw: (d: Draw) => Sample;
}

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

const reduction = (op: string, values: 'distinct' | 'positive' | 'any' = 'any'): Case => ({
  op,
  draw: (d): Sample => {
    const shape = d.shape(1);
    const x =
      values === 'distinct'
        ? d.distinct(shape)
        : values === 'positive'
          ? d.real(shape, 0.5, 2)
          : d.real(shape, -2, 2, [0]);
    const keepdims = d.int(0, 1);
    const axes = d.pick(undefined, d.axes(shape.length), d.axes(shape.length));
    if (axes === undefined) return { inputs: [x], attributes: { keepdims } };
    const byInput = op === 'ReduceSum' || d.opset >= 18;
    if (!byInput) return { inputs: [x], attributes: { keepdims, axes } };
    return { inputs: [x, d.pick(list(...axes), fed(list(...axes)))], attributes: { keepdims } };
  },
});

/** Kernel, strides, dilations and pads for some positions, and lengths that they fit into. */
function windowed(d: Draw, isPool: boolean) {
  const axes = d.int(1, 2);
  const each = (low: number, high: number) => Array.from({ length: axes }, () => d.int(low, high));
  const kernel = each(1, 3);
  const dilations = isPool && d.opset < 19 ? kernel.map(() => 1) : each(1, 2);
  const pads = [...kernel, ...kernel].map((length) => d.int(0, length - 1));
  const positions = kernel.map((length, axis) => dilations[axis] * (length - 1) + 1 + d.int(0, 4));
  const auto = d.pick('NOTSET', 'NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER');
  const padding: Record<string, number[] | number | string> = auto === 'NOTSET' ? { pads } : { auto_pad: auto };
  // Where a whole window lies past the end, ONNX Runtime 1.30 infers another shape than it computes.
  const ceil = isPool && auto === 'NOTSET' && d.pick(true, false);
  if (ceil) Object.assign(padding, { ceil_mode: 1, pads: pads.fill(0, axes) });
  const strides = each(1, 3).map((stride, axis) =>
    isPool && auto !== 'VALID' ? Math.min(stride, kernel[axis]) : stride,
  );
  // SAME with dilations is read differently by runtimes.
  const attributes: Record<string, number[] | number | string> = auto.startsWith('SAME')
    ? { kernel_shape: kernel, strides, ...padding }
    : { kernel_shape: kernel, strides, ...(isPool && d.opset < 19 ? {} : { dilations }), ...padding };
  return { kernel, positions, attributes };
}

const convolution: Case = {
  op: 'Conv',
  draw: (d) => {
    const { kernel, positions, attributes } = windowed(d, false);
    const group = d.pick(1, 1, 2, 3);
    const [inGroup, outGroup] = [d.int(1, 2), d.int(1, 2)];
    const isSame = String(attributes.auto_pad).startsWith('SAME');
    const x = { ...d.real([d.int(1, 3), group * inGroup, ...positions]), isFixedShape: isSame };
    const w = { ...d.real([group * outGroup, inGroup, ...kernel]), isFixedShape: true };
    const bias = d.pick([], [d.real([group * outGroup])]);
    return { inputs: [x, w, ...bias], attributes: { ...attributes, group } };
  },
};

const transposedConvolution: Case = {
  op: 'ConvTranspose',
  draw: (d) => {
    const axes = d.int(1, 2);
    const each = (low: number, high: number) => Array.from({ length: axes }, () => d.int(low, high));
    const [kernel, strides, dilations, positions] = [each(1, 3), each(1, 3), each(1, 2), each(2, 4)];
    const pads = [...kernel, ...kernel].map((length) => d.int(0, Math.min(1, length - 1)));
    const group = d.pick(1, 1, 2);
    const [inGroup, outGroup] = [d.int(1, 2), d.int(1, 2)];
    const x = d.real([d.int(1, 3), group * inGroup, ...positions]);
    const w = { ...d.real([group * inGroup, outGroup, ...kernel]), isFixedShape: true };
    const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
    const more = d.pick<Record<string, number[]>>(
      {},
      { output_padding: strides.map((stride) => d.int(0, stride - 1)) },
    );
    return { inputs: [x, w, ...d.pick([], [d.real([group * outGroup])])], attributes: { ...attributes, ...more } };
  },
};

const einsum: Case = {
  op: 'Einsum',
  draw: (d) => {
    const equation = d.pick(
      'ij,jk->ik',
      'bhqd,bhkd->bhqk',
      'bqd,bkd',
      'bij,j->bi',
      'ij->ji',
      'ij->i',
      'ijk->j',
      'i,j->ij',
      'bn,bmn,m->b',
      'ij,ij->',
    );
    const lengths = new Map([...'bhqdkijmn'].map((letter) => [letter, d.int(1, 3)]));
    const shapes = equation.split('->')[0].split(',');
    return {
      inputs: shapes.map((term) => d.real([...term].map((letter) => lengths.get(letter) as number))),
      attributes: { equation },
    };
  },
};

const matrices: Case = {
  op: 'MatMul',
  draw: (d) => {
    const [m, k, n] = [d.int(1, 4), d.int(1, 4), d.int(1, 4)];
    const batch = d.shape(0, 2);
    const shapes = d.pick<[number[], number[]]>(
      [
        [m, k],
        [k, n],
      ],
      [
        [...batch, m, k],
        [k, n],
      ],
      [
        [m, k],
        [...batch, k, n],
      ],
      [
        [...batch, m, k],
        [...d.narrowed(batch), k, n],
      ],
      [
        [...d.narrowed(batch), m, k],
        [...batch, k, n],
      ],
      [[k], [k]],
      [[k], [...batch, k, n]],
      [[...batch, m, k], [k]],
    );
    return { inputs: [d.real(shapes[0]), d.real(shapes[1])] };
  },
};

const gemm: Case = {
  op: 'Gemm',
  draw: (d) => {
    const [m, k, n] = [d.int(1, 4), d.int(1, 4), d.int(1, 4)];
    const [transA, transB] = [d.int(0, 1), d.int(0, 1)];
    const c = d.pick<number[] | undefined>(undefined, [n], [m, 1], [1, n], [m, n], []);
    return {
      inputs: [d.real(transA ? [k, m] : [m, k]), d.real(transB ? [n, k] : [k, n]), ...(c ? [d.real(c)] : [])],
      attributes: { transA, transB, alpha: d.pick(1, 0.7), beta: d.pick(1, -1.3) },
    };
  },
};

const slice: Case = {
  op: 'Slice',
  draw: (d) => {
    const shape = d.shape(1);
    const axes = d.axes(shape.length);
    const isStepped = d.random() < 0.4;
    const parts = axes.map((axis) => {
      const length = shape.at(axis) as number;
      const start = d.int(0, length - 1);
      const end = d.int(start + 1, length);
      const step = isStepped ? d.pick(1, 2, -1, -2) : 1;
      if (step < 0) return { start: d.pick(length - 1, -1, 99), end: -99, step };
      return { start: d.pick(start, start - length), end: d.pick(end, 2 ** 40), step };
    });
    const how = d.pick(fed, (input: Input) => input);
    const lists = [parts.map((p) => p.start), parts.map((p) => p.end), axes, parts.map((p) => p.step)];
    return { inputs: [d.real(shape), ...lists.map((each) => how(list(...each)))] };
  },
};

const gather: Case = {
  op: 'Gather',
  draw: (d) => {
    const shape = d.shape(1);
    const axis = d.int(-shape.length, shape.length - 1);
    const length = shape.at(axis) as number;
    const at = d.shape(0, 2);
    const values = Array.from({ length: elements(at) }, () => d.int(-length, length - 1));
    const indices: Input = { shape: at, values, dtype: d.pick('int64', 'int32'), isConstant: d.pick(true, false) };
    return { inputs: [d.real(shape), indices], attributes: { axis } };
  },
};

const normalization: Case = {
  op: 'LayerNormalization',
  opsets: [17, 21],
  draw: (d) => {
    const shape = [...d.shape(0, 2), d.int(3, 5)];
    const axis = d.int(-shape.length, -1);
    const inner = shape.slice(axis);
    const scale = d.pick(inner, inner, d.narrowed(inner).slice(-1));
    const bias = d.pick<Input[]>([], [d.real(inner)]);
    return {
      inputs: [d.real(shape), d.real(scale.length > 0 ? scale : inner), ...bias],
      attributes: { axis, epsilon: 0.1 },
    };
  },
};

export const CASES: readonly Case[] = [
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
  unary('Atan'),
  unary('Floor', { corners: [-2, -1, 0, 1, 2] }),
  unary('Ceil', { corners: [-2, -1, 0, 1, 2] }),
  unary('Sign', { corners: [0] }),
  unary('Identity'),
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
  unary('HardSwish', { low: -5, high: 5, corners: [-3, 3], opsets: [14, 21] }),
  unary('Mish', { opsets: [18, 21] }),
  {
    op: 'Gelu',
    opsets: [20, 21],
    draw: (d) => ({ inputs: [d.real(d.shape())], attributes: { approximate: d.pick('none', 'tanh') } }),
  },
  unary('com.microsoft.Gelu'),
  matrices,
  gemm,
  einsum,
  reduction('ReduceSum'),
  reduction('ReduceMean'),
  reduction('ReduceMax', 'distinct'),
  reduction('ReduceMin', 'distinct'),
  reduction('ReduceL1'),
  reduction('ReduceL2', 'positive'),
  reduction('ReduceSumSquare'),
  reduction('ReduceLogSumExp'),
  reduction('ReduceLogSum', 'positive'),
  {
    op: 'CumSum',
    draw: (d) => {
      const shape = d.shape(1);
      const axis: Input = { shape: [], values: [d.int(-shape.length, shape.length - 1)], dtype: 'int64' };
      return { inputs: [d.real(shape), axis], attributes: { exclusive: d.int(0, 1), reverse: d.int(0, 1) } };
    },
  },
  {
    op: 'Reshape',
    draw: (d) => {
      const x = d.real([2, d.int(1, 3), 4]);
      return { inputs: [x, d.pick(list, (...v: number[]) => fed(list(...v)))(...d.pick([-1], [0, -1], [4, -1, 2]))] };
    },
  },
  { op: 'Flatten', draw: (d) => ({ inputs: [d.real([2, 3, 2])], attributes: { axis: d.int(-3, 3) } }) },
  {
    op: 'Squeeze',
    draw: (d) => {
      const axes = d.pick(undefined, list(0), list(-1), list(0, 2));
      return { inputs: [{ ...d.real([1, 3, 1]), isFixedShape: axes === undefined }, axes] };
    },
  },
  {
    op: 'Unsqueeze',
    draw: (d) => ({ inputs: [d.real(d.shape(1)), d.pick(list(0), list(-1), list(0, 2), fed(list(1)))] }),
  },
  {
    op: 'Transpose',
    draw: (d) => {
      const shape = d.shape(1);
      const { values } = d.distinct([shape.length]);
      const perm = shape.map((_, i) => i).sort((a, b) => values[a] - values[b]);
      return { inputs: [d.real(shape)], attributes: d.pick<Record<string, number[]>>({}, { perm }) };
    },
  },
  {
    op: 'Expand',
    draw: (d) => {
      const shape = d.shape(1);
      return { inputs: [d.real(d.narrowed(shape)), d.pick(list(...shape), fed(list(...shape)))] };
    },
  },
  {
    op: 'Tile',
    draw: (d) => {
      const shape = d.shape(1);
      const repeats = list(...shape.map(() => d.int(1, 3)));
      return { inputs: [d.real(shape), d.pick(repeats, fed(repeats))] };
    },
  },
  {
    op: 'Concat',
    draw: (d) => {
      const shape = d.shape(1);
      const axis = d.int(-shape.length, shape.length - 1);
      const parts = Array.from({ length: d.int(1, 3) }, () => shape.with(axis, d.int(1, 3)));
      return { inputs: parts.map((part) => d.real(part)), attributes: { axis } };
    },
  },
  {
    op: 'Split',
    draw: (d) => {
      const sizes = [d.int(1, 3), d.int(1, 3), d.int(1, 3)];
      const shape = [2, sizes[0] + sizes[1] + sizes[2], 2];
      const used = d.pick([0, 1, 2], [1], [0, 2]);
      return { inputs: [d.real(shape), list(...sizes)], attributes: { axis: d.pick(1, -2) }, outputs: 3, used };
    },
  },
  slice,
  gather,
  {
    op: 'GatherElements',
    opsets: [16, 21],
    draw: (d) => {
      const indices: Input = { shape: [2, 3], values: Array.from({ length: 6 }, () => d.int(-2, 1)), dtype: 'int64' };
      return { inputs: [d.real([2, 3]), indices], attributes: { axis: 0 } };
    },
  },
  {
    op: 'GatherND',
    opsets: [16, 21],
    draw: (d) => {
      const depth = d.int(1, 2);
      const values = Array.from({ length: 3 * depth }, () => d.int(0, 1));
      return { inputs: [d.real([2, 2, 3]), { shape: [3, depth], values, dtype: 'int64' }] };
    },
  },
  {
    op: 'ScatterElements',
    opsets: [16, 21],
    draw: (d) => {
      const indices: Input = { shape: [2, 1], values: [d.int(0, 2), d.int(0, 2)], dtype: 'int64' };
      const attributes = { axis: 1, ...d.pick<Record<string, string>>({}, { reduction: 'add' }) };
      return { inputs: [d.real([2, 3]), indices, d.real([2, 1])], attributes };
    },
  },
  {
    op: 'ScatterND',
    opsets: [16, 21],
    draw: (d) => ({
      inputs: [d.real([4, 2]), { shape: [2, 1], values: [d.int(0, 1), d.int(2, 3)], dtype: 'int64' }, d.real([2, 2])],
      attributes: d.pick<Record<string, string>>({}, { reduction: 'add' }),
    }),
  },
  {
    op: 'Pad',
    draw: (d) => {
      const pads = list(d.int(0, 2), d.int(-1, 2), d.int(0, 2), d.int(-1, 2));
      return { inputs: [d.real([2, 4]), d.pick(pads, fed(pads)), d.pick(undefined, scalar(0.5))] };
    },
  },
  {
    op: 'Trilu',
    opsets: [14, 21],
    draw: (d) => ({
      inputs: [d.real([2, 3, 4]), { shape: [], values: [d.int(-1, 1)], dtype: 'int64' }],
      attributes: { upper: d.int(0, 1) },
    }),
  },
  { op: 'DepthToSpace', draw: (d) => ({ inputs: [d.real([1, 8, 2, 3])], attributes: { blocksize: 2 } }) },
  { op: 'SpaceToDepth', draw: (d) => ({ inputs: [d.real([1, 2, 4, 6])], attributes: { blocksize: 2 } }) },
  {
    op: 'Softmax',
    draw: (d) => ((s) => ({ inputs: [d.real(s)], attributes: { axis: d.int(-s.length, s.length - 1) } }))(d.shape(1)),
  },
  {
    op: 'LogSoftmax',
    draw: (d) => ((s) => ({ inputs: [d.real(s)], attributes: { axis: d.int(-s.length, s.length - 1) } }))(d.shape(1)),
  },
  normalization,
  {
    op: 'BatchNormalization',
    draw: (d) => {
      const channels = d.int(1, 3);
      const x = d.real([d.int(1, 3), channels, ...d.shape(0, 2)]);
      const [scale, bias, mean] = [d.real([channels]), d.real([channels]), d.real([channels])];
      return { inputs: [x, scale, bias, mean, d.real([channels], 0.5, 2)], attributes: { epsilon: 0.01 } };
    },
  },
  {
    op: 'InstanceNormalization',
    draw: (d) => {
      const x = d.real([d.int(1, 2), 2, d.int(3, 5), ...d.shape(0, 1)]);
      return { inputs: [x, d.real([2]), d.real([2])], attributes: { epsilon: 0.1 } };
    },
  },
  convolution,
  transposedConvolution,
  { op: 'GlobalAveragePool', draw: (d) => ({ inputs: [d.real([2, 2, ...d.shape(1, 2)])] }) },
  { op: 'GlobalMaxPool', draw: (d) => ({ inputs: [d.distinct([2, 2, ...d.shape(1, 2)])] }) },
  {
    op: 'AveragePool',
    draw: (d) => {
      const { positions, attributes } = windowed(d, true);
      const count = d.int(0, 1);
      const isCounted = attributes.auto_pad === 'VALID' || (count === 1 && attributes.pads && !attributes.ceil_mode);
      const x = { ...d.real([d.int(1, 2), d.int(1, 2), ...positions]), isFixedShape: !isCounted };
      return { inputs: [x], attributes: { ...attributes, count_include_pad: count } };
    },
  },
  {
    op: 'MaxPool',
    opsets: [16, 21],
    draw: (d) => {
      const { positions, attributes } = windowed(d, true);
      return { inputs: [d.distinct([1, d.int(1, 2), ...positions])], attributes };
    },
  },
];

function broadcasts(d: Draw): Input[] {
  const shape = d.shape();
  return Array.from({ length: d.int(1, 3) }, (_, i) => d.real(i === 0 ? shape : d.narrowed(shape)));
}
