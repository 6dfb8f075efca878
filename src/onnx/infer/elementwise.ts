import type { DType } from '../../tensor.ts';
import { intAttribute } from '../attributes.ts';
import { add, type Dim, floorDivide, maxDim, minDim, modulo, mul, negate, rangeOf, sameDim, sub } from '../dim.ts';
import { dtypeOf } from '../dtypes.ts';
import {
  broadcast,
  type Call,
  type Elements,
  input,
  isInteger,
  numericShape,
  type Rule,
  shapeOf,
  smallSize,
  type Value,
} from './call.ts';

type Fold1 = (x: Dim) => Dim | undefined;
type Fold2 = (a: Dim, b: Dim, dtype: DType | undefined) => Dim | undefined;

/** A value of shape arithmetic that cannot be said exactly, or leaves the safe integers, is unknown. */
function attempt(compute: () => Dim | undefined): Dim | undefined {
  try {
    return compute();
  } catch {
    return undefined;
  }
}

/** Output 0 is input 0 with its values mapped. */
function unary(fold?: Fold1, dtype?: DType): Rule {
  return (call) => {
    const x = input(call, 0);
    const data = fold && x.data?.map((value) => (value === undefined ? undefined : attempt(() => fold(value))));
    return [{ dtype: dtype ?? x.dtype, shape: x.shape, data }];
  };
}

/** Only for plain numbers. */
function onNumbers(fold: (x: number) => number): Fold1 {
  return (x) => (typeof x === 'number' ? fold(x) : undefined);
}

/** Rounding does nothing to dimensions, which are whole. */
function rounding(fold: (x: number) => number): Fold1 {
  return (x) => (typeof x === 'number' ? fold(x) : x);
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Elements of a broadcast result, or `undefined` where an input's values are not followed. */
export function foldBroadcast(
  shape: readonly Dim[],
  values: readonly Value[],
  fold: (elements: (Dim | undefined)[]) => Dim | undefined,
): Elements | undefined {
  const dims = numericShape(shape);
  const size = dims && smallSize(dims);
  if (dims === undefined || size === undefined || values.some((value) => value.data === undefined)) return undefined;
  const strides = values.map((value) => broadcastStrides(value.shape as number[], dims.length));
  return Array.from({ length: size }, (_, flat) => {
    const offsets = values.map(() => 0);
    for (let axis = dims.length - 1, rest = flat; axis >= 0; axis--) {
      const index = rest % dims[axis];
      rest = (rest - index) / dims[axis];
      for (let i = 0; i < values.length; i++) offsets[i] += index * strides[i][axis];
    }
    return attempt(() => fold(values.map((value, i) => (value.data as Elements)[offsets[i]])));
  });
}

function broadcastStrides(shape: readonly number[], rank: number): number[] {
  const strides = new Array<number>(rank).fill(0);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[rank - shape.length + axis] = shape[axis] === 1 ? 0 : step;
    step *= shape[axis];
  }
  return strides;
}

function binary(fold?: Fold2, dtype?: DType): Rule {
  return (call) => {
    const a = input(call, 0);
    const b = input(call, 1);
    // Before opset 7 broadcasting was one-sided, to the shape of the first input.
    const legacy = call.opset < 7 && call.node.domain !== 'com.microsoft';
    const left = legacy ? shapeOf(call, 0) : undefined;
    const shape = left ?? broadcast(call, [shapeOf(call, 0), shapeOf(call, 1)]);
    const known = a.dtype ?? b.dtype;
    const data =
      fold &&
      foldBroadcast(shape, [a, b], ([x, y]) => (x === undefined || y === undefined ? undefined : fold(x, y, known)));
    return [{ dtype: dtype ?? known, shape, data }];
  };
}

function variadic(fold?: Fold2): Rule {
  return (call) => {
    const values = call.inputs.map((_, i) => input(call, i));
    const shape = broadcast(
      call,
      values.map((_, i) => shapeOf(call, i)),
    );
    const dtype = values.find((value) => value.dtype)?.dtype;
    const data =
      fold &&
      foldBroadcast(shape, values, (elements) =>
        elements.reduce((a, b) => (a === undefined || b === undefined ? undefined : fold(a, b, dtype))),
      );
    return [{ dtype, shape, data }];
  };
}

/** Exact arithmetic on dimensions, plain arithmetic where a number is a fraction. */
function arithmetic(exact: (a: Dim, b: Dim) => Dim, plain: (a: number, b: number) => number): Fold2 {
  return (a, b, dtype) => {
    if (isInteger(dtype)) return exact(a, b);
    if (typeof a === 'number' && typeof b === 'number') return plain(a, b);
    const whole = [a, b].every((value) => typeof value !== 'number' || Number.isInteger(value));
    return whole ? exact(a, b) : undefined;
  };
}

/** ONNX divides integers towards zero; dimensions are not negative, so floor is the same where signs are known. */
function divide(a: Dim, b: Dim, dtype: DType | undefined): Dim | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    if (b === 0) return undefined;
    return isInteger(dtype) ? Math.trunc(a / b) : a / b;
  }
  if (!isInteger(dtype)) {
    if (typeof b === 'number' && !Number.isInteger(b)) return undefined;
    const exact = floorDivide(a, b);
    return sameDim(mul(exact, b), a) ? exact : undefined;
  }
  return rangeOf(a).low >= 0 && rangeOf(b).low > 0 ? floorDivide(a, b) : undefined;
}

function remainder(a: Dim, b: Dim, fmod: boolean): Dim | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    if (b === 0) return undefined;
    return fmod ? a % b : a - b * Math.floor(a / b);
  }
  return rangeOf(a).low >= 0 && rangeOf(b).low > 0 ? modulo(a, b) : undefined;
}

function power(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a ** b;
  if (typeof b !== 'number' || !Number.isInteger(b) || b < 0 || b > 8) return undefined;
  return Array.from({ length: b }, () => a).reduce(mul, 1 as Dim);
}

/** 1, 0, or unknown where the symbols decide. */
function truth(holds: boolean, fails: boolean): number | undefined {
  return holds ? 1 : fails ? 0 : undefined;
}

const equal: Fold2 = (a, b) => {
  if (typeof a === 'number' && typeof b === 'number') return a === b ? 1 : 0;
  const { low, high } = rangeOf(sub(a, b));
  return truth(sameDim(a, b), low > 0 || high < 0);
};

const less: Fold2 = (a, b) => {
  if (typeof a === 'number' && typeof b === 'number') return a < b ? 1 : 0;
  const { low, high } = rangeOf(sub(b, a));
  return truth(low > 0, high <= 0);
};

const not: Fold1 = onNumbers((x) => (x === 0 ? 1 : 0));

function negated(fold: Fold2): Fold2 {
  return (a, b, dtype) => {
    const value = fold(a, b, dtype);
    return value === undefined ? undefined : not(value);
  };
}

const swapped =
  (fold: Fold2): Fold2 =>
  (a, b, dtype) =>
    fold(b, a, dtype);

const logical = (fold: (a: boolean, b: boolean) => boolean): Fold2 => {
  return (a, b) => (typeof a === 'number' && typeof b === 'number' ? Number(fold(a !== 0, b !== 0)) : undefined);
};

/** Values after a change of type: towards integers fractions are cut off, towards bool all but 0 is 1. */
function castElements(data: Elements | undefined, to: DType): Elements | undefined {
  return data?.map((value) => {
    if (typeof value !== 'number')
      return value !== undefined && to === 'bool' && rangeOf(value).low <= 0
        ? undefined
        : to === 'bool' && value !== undefined
          ? 1
          : value;
    if (to === 'bool') return value === 0 ? 0 : 1;
    if (!isInteger(to)) return value;
    return Number.isFinite(value) ? Math.trunc(value) : undefined;
  });
}

function castTo(call: Call, to: DType | undefined): Value[] {
  const x = input(call, 0);
  return [
    { dtype: to, shape: x.shape, data: to === undefined || to === 'string' ? undefined : castElements(x.data, to) },
  ];
}

const cast: Rule = (call) => castTo(call, dtypeOf(intAttribute(call.node, 'to')));

const where: Rule = (call) => {
  const values = [0, 1, 2].map((i) => input(call, i));
  const shape = broadcast(
    call,
    [0, 1, 2].map((i) => shapeOf(call, i)),
  );
  const data = foldBroadcast(shape, values, ([condition, yes, no]) => {
    if (condition === undefined) return yes !== undefined && no !== undefined && sameDim(yes, no) ? yes : undefined;
    return condition === 0 ? no : yes;
  });
  return [{ dtype: values[1].dtype ?? values[2].dtype, shape, data }];
};

const clip: Rule = (call) => {
  const x = input(call, 0);
  const scalar = (at: number) => (call.inputs[at] === undefined ? null : call.inputs[at]?.data?.[0]);
  const [low, high] = call.opset < 11 ? [undefined, undefined] : [scalar(1), scalar(2)];
  const data = x.data?.map((value) => {
    if (value === undefined || low === undefined || high === undefined) return undefined;
    return attempt(() => {
      const raised = low === null ? value : maxDim(value, low);
      return high === null ? raised : minDim(raised, high);
    });
  });
  return [{ dtype: x.dtype, shape: x.shape, data }];
};

const dropout: Rule = (call) => {
  const x = input(call, 0);
  // The mask had the type of the data before opset 10.
  return [x, { dtype: call.opset < 10 ? x.dtype : 'bool', shape: x.shape }];
};

const same = unary();
const boolean = unary(undefined, 'bool');

const SAME_SHAPE = [
  'Acos', 'Acosh', 'Asin', 'Asinh', 'Atan', 'Atanh', 'Celu', 'Cos', 'Cosh', 'Elu', 'Erf', 'Gelu', 'HardSigmoid',
  'HardSwish', 'Hardmax', 'LeakyRelu', 'LogSoftmax', 'LRN', 'LpNormalization', 'MeanVarianceNormalization', 'Mish',
  'ParametricSoftplus', 'PRelu', 'ScaledTanh', 'Selu', 'Shrink', 'Sigmoid', 'Sin', 'Sinh', 'Softmax', 'Softplus',
  'Softsign', 'Swish', 'Tan', 'Tanh', 'ThresholdedRelu', 'BitwiseNot', 'InstanceNormalization', 'GroupNormalization',
  'Affine', 'ImageScaler', 'Trilu', 'ReverseSequence', 'CumSum', 'RotaryEmbedding', 'Scale',
]; // biome-ignore format: a list reads as one

const minimum: Fold2 = arithmetic(minDim, Math.min);
const maximum: Fold2 = arithmetic(maxDim, Math.max);

export const ELEMENTWISE: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(SAME_SHAPE.map((name) => [name, same])),
  Identity: (call) => [input(call, 0)],
  Abs: unary((x) => (typeof x === 'number' ? Math.abs(x) : rangeOf(x).low >= 0 ? x : undefined)),
  Neg: unary((x) => (typeof x === 'number' ? -x : negate(x))),
  Floor: unary(rounding(Math.floor)),
  Ceil: unary(rounding(Math.ceil)),
  Round: unary(rounding(roundHalfToEven)),
  Sqrt: unary(onNumbers(Math.sqrt)),
  Exp: unary(onNumbers(Math.exp)),
  Log: unary(onNumbers(Math.log)),
  Reciprocal: unary(onNumbers((x) => 1 / x)),
  Relu: unary((x) => maxDim(x, 0)),
  Sign: unary((x) => (typeof x === 'number' ? Math.sign(x) : rangeOf(x).low > 0 ? 1 : undefined)),
  Not: unary(not, 'bool'),
  IsNaN: boolean,
  IsInf: boolean,
  Clip: clip,
  Dropout: dropout,
  Cast: cast,
  CastLike: (call) => castTo(call, input(call, 1).dtype),
  Add: binary(arithmetic(add, (a, b) => a + b)),
  Sub: binary(arithmetic(sub, (a, b) => a - b)),
  Mul: binary(arithmetic(mul, (a, b) => a * b)),
  Div: binary(divide),
  Mod: (call) => binary((a, b) => remainder(a, b, intAttribute(call.node, 'fmod', 0) === 1))(call),
  Pow: (call) => [{ ...binary(power)(call)[0], dtype: input(call, 0).dtype }],
  BitShift: binary(),
  BitwiseAnd: binary(),
  BitwiseOr: binary(),
  BitwiseXor: binary(),
  And: binary(
    logical((a, b) => a && b),
    'bool',
  ),
  Or: binary(
    logical((a, b) => a || b),
    'bool',
  ),
  Xor: binary(
    logical((a, b) => a !== b),
    'bool',
  ),
  Equal: binary(equal, 'bool'),
  Less: binary(less, 'bool'),
  Greater: binary(swapped(less), 'bool'),
  LessOrEqual: binary(negated(swapped(less)), 'bool'),
  GreaterOrEqual: binary(negated(less), 'bool'),
  Sum: variadic(arithmetic(add, (a, b) => a + b)),
  Mean: variadic(),
  Min: variadic(minimum),
  Max: variadic(maximum),
  Where: where,
};
