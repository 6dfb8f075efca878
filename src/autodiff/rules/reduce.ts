import { intAttribute, intsAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/** Axes of a reduction: numbers, the name of a list that is known only at run time, or `undefined` for all. */
function axesOf(node: NodeProto, g: Backward): readonly number[] | string | undefined {
  const input = node.input[1] || undefined;
  const axes = intsAttribute(node, 'axes', undefined) ?? g.known(input) ?? input;
  const isNone = axes === undefined || axes.length === 0;
  if (isNone) return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : undefined;
  return axes;
}

/**
 * The rule of a reduction: `derivative` gives dx from x, and from dy and y with the reduced axes as lengths of 1.
 * dx may still lack the repetition along these axes.
 */
function reduction(
  derivative: (g: Backward, at: { dy: string; x: string; y: string; axes: ReturnType<typeof axesOf> }) => string,
): Rule {
  return (node, g, [dy]) => {
    const [x] = node.input;
    const axes = axesOf(node, g);
    if (typeof axes === 'string' && intAttribute(node, 'noop_with_empty_axes', 0) === 1) {
      return g.unsupported(node, `its axes '${axes}' are not constant and may be none`);
    }
    const isKept = intAttribute(node, 'keepdims', 1) === 1 || axes === undefined || axes.length === 0;
    const kept = (name: string | undefined) => (isKept ? (name as string) : g.unsqueeze(name, axes));
    return [derivative(g, { dy: kept(dy), x, y: kept(node.output[0]), axes })];
  };
}

/** What reaches an extreme element reaches it alone; equals share. */
const extreme = reduction((g, { dy, x, y, axes }) => {
  const picked = g.cast(g.equal(x, y), g.dtype(x));
  return g.mul(g.div(dy, g.reduceSum(picked, axes)), picked);
});

/** dx is the product of the others, which is 0 where one of them is 0. */
const product = reduction((g, { dy, x, axes }) => {
  const isZero = g.equal(x, 0);
  const factors = g.where(isZero, 1, x);
  const zeros = g.cast(isZero, g.dtype(x));
  const otherZeros = g.sub(g.reduceSum(zeros, axes), zeros);
  const others = g.div(g.mul(dy, reduceProd(g, factors, axes)), factors);
  return g.where(g.greater(otherZeros, 0), 0, others);
});

function reduceProd(g: Backward, x: string, axes: ReturnType<typeof axesOf>): string {
  if (axes?.length === 0) return x;
  if (g.opset >= 18) return g.emit('ReduceProd', [x, g.axes(axes)], { keepdims: 1 });
  return g.emit('ReduceProd', [x], axes === undefined ? { keepdims: 1 } : { keepdims: 1, axes: axes as number[] });
}

/** How many elements each mean is of, as a scalar. */
function meanOver(g: Backward, x: string, dy: string): string {
  const size = (name: string) => g.emit('Size', [name], {}, 'int64');
  return g.cast(g.div(size(x), size(dy)), g.dtype(x));
}

/** y_i = the sum of x_j for j up to i: dx_j is the sum of dy_i from j on. */
const CumSum: Rule = (node, g, [dy]) => {
  const reverse = 1 - intAttribute(node, 'reverse', 0);
  return [g.emit('CumSum', [dy, node.input[1]], { exclusive: intAttribute(node, 'exclusive', 0), reverse })];
};

export const REDUCE: Readonly<Record<string, Rule>> = {
  ReduceSum: reduction((g, { dy, x }) => g.expandLike(dy, x)),
  ReduceMean: reduction((g, { dy, x }) => g.expandLike(g.div(dy, meanOver(g, x, dy)), x)),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceL1: reduction((g, { dy, x }) => g.mul(dy, g.emit('Sign', [x]))),
  // x / |x|, and 0 at 0
  ReduceL2: reduction((g, { dy, x, y }) => g.mul(x, g.where(g.equal(y, 0), 0, g.div(dy, y)))),
  ReduceProd: product,
  ReduceSumSquare: reduction((g, { dy, x }) => g.mul(g.mul(2, x), dy)),
  ReduceLogSumExp: reduction((g, { dy, x, y }) => g.mul(dy, g.exp(g.sub(x, y)))),
  ReduceLogSum: reduction((g, { dy, x, y }) => g.expandLike(g.div(dy, g.exp(y)), x)),
  CumSum,
};
