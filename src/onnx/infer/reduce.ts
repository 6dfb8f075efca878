import { intAttribute } from '../attributes.ts';
import { add, type Dim, maxDim, minDim, mul } from '../dim.ts';
import { axisIn, type Call, type Elements, input, type Rule, shapeOf, type Value } from './call.ts';
import { intsOf } from './shape.ts';

/** The opset in which a reduction's axes became an input. */
const AXES_INPUT = 18;

function reduce(since: number, fold?: (a: Dim, b: Dim) => Dim): Rule {
  return (call) => {
    const x = input(call, 0);
    const dims = shapeOf(call, 0);
    const keep = intAttribute(call.node, 'keepdims', 1) === 1;
    const given = axesOf(call, since);
    if (given === undefined) {
      // The axes are data: only with keepdims is the rank known.
      return [{ dtype: x.dtype, shape: keep ? dims.map(() => call.fresh()) : undefined }];
    }
    if (given.length === 0 && intAttribute(call.node, 'noop_with_empty_axes', 0) === 1) return [x];
    const axes = new Set(given.length === 0 ? dims.keys() : given.map((axis) => axisIn(call, axis, dims.length)));
    const shape = dims.flatMap((dim, axis) => (axes.has(axis) ? (keep ? [1] : []) : [dim]));
    return [{ dtype: x.dtype, shape, data: axes.size === dims.length ? folded(x.data, fold) : undefined }];
  };
}

function axesOf(call: Call, since: number): readonly number[] | undefined {
  if (call.opset >= since && call.inputs[1] !== undefined && call.inputs[1].data === undefined) return undefined;
  return intsOf(call, 'axes', 1, since) ?? [];
}

function folded(data: Elements | undefined, fold?: (a: Dim, b: Dim) => Dim): Elements | undefined {
  if (fold === undefined || data === undefined || data.length === 0) return undefined;
  try {
    return [data.reduce((a, b) => (a === undefined || b === undefined ? undefined : fold(a, b)))];
  } catch {
    return undefined;
  }
}

const arg: Rule = (call): Value[] => {
  const dims = shapeOf(call, 0);
  const axis = axisIn(call, intAttribute(call.node, 'axis', 0), dims.length);
  const keep = intAttribute(call.node, 'keepdims', 1) === 1;
  return [{ dtype: 'int64', shape: keep ? dims.with(axis, 1) : dims.toSpliced(axis, 1) }];
};

const plain = reduce(AXES_INPUT);

export const REDUCE: Readonly<Record<string, Rule>> = {
  ReduceL1: plain,
  ReduceL2: plain,
  ReduceLogSum: plain,
  ReduceLogSumExp: plain,
  ReduceMean: plain,
  ReduceSumSquare: plain,
  ReduceMax: reduce(AXES_INPUT, maxDim),
  ReduceMin: reduce(AXES_INPUT, minDim),
  ReduceProd: reduce(AXES_INPUT, mul),
  ReduceSum: reduce(13, add),
  ArgMax: arg,
  ArgMin: arg,
};
