import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { scatterFlat } from './pick.ts';
import { spread, type Window, windowOf } from './window.ts';

/** Axes of the positions of [batch, channels, ...positions]. */
function positionsOf(g: Backward, x: string): number[] {
  return Array.from({ length: g.rank(x) - 2 }, (_, axis) => axis + 2);
}

const GlobalAveragePool: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const count = g.emit('ReduceProd', [g.lengthsOf(x, 2, g.rank(x))], { keepdims: 0 });
  return [g.expandLike(g.div(dy, g.cast(count, g.dtype(x))), x)];
};

/** What reaches the largest element reaches it alone; equals share. */
const GlobalMaxPool: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const picked = g.cast(g.equal(x, node.output[0]), g.dtype(x));
  return [g.mul(picked, g.div(dy, g.reduceSum(picked, positionsOf(g, x))))];
};

/** Each mean is spread evenly over the positions that it is of; channels are taken for images of their own. */
const AveragePool: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const [y] = node.output;
  const window = windowOf(node, g, x, intsAttribute(node, 'kernel_shape'));
  const share = g.div(dy, countsOf(node, g, window));
  const planes = g.reshape(share, g.concatInts([g.ints([-1, 1]), g.lengthsOf(y, 2, g.rank(y))]));
  const size = window.kernel.reduce((a, b) => a * b, 1);
  const ones = g.floats([1, 1, ...window.kernel], new Array(size).fill(1), g.dtype(x));
  return [g.reshapeLike(spread(g, planes, ones, x, window, 1), x)];
};

/** How many positions each mean is of: a number, or a tensor that broadcasts with y where windows reach outside. */
function countsOf(node: NodeProto, g: Backward, window: Window): string | number {
  const { kernel, strides, dilations, before, after, isCeiled } = window;
  const countsPads = intAttribute(node, 'count_include_pad', 0) === 1;
  const isInside = [...before, ...after].every((pad) => pad === 0);
  if (!isCeiled && (countsPads || isInside)) return kernel.reduce((a, b) => a * b, 1);
  const inputs = g.lengths(node.input[0])?.slice(2);
  const outputs = g.lengths(node.output[0])?.slice(2);
  if (inputs === undefined || outputs === undefined) {
    return g.unsupported(node, 'windows that reach into the padding need an input of constant lengths');
  }
  const counts = outputs.map((windows, axis) => {
    const first = countsPads ? -before[axis] : 0;
    const end = inputs[axis] + (countsPads ? after[axis] : 0);
    return Array.from({ length: windows }, (_, i) => {
      const start = i * strides[axis] - before[axis];
      const taps = Array.from({ length: kernel[axis] }, (_, tap) => start + tap * dilations[axis]);
      return taps.filter((at) => at >= first && at < end).length;
    });
  });
  const products = counts.reduce((all, ofAxis) => all.flatMap((a) => ofAxis.map((b) => a * b)), [1]);
  return g.floats([1, 1, ...outputs], products, g.dtype(node.output[0]));
}

/** What reaches the largest element of a window reaches it alone; the operator's second output says which it is. */
const MaxPool: Rule = (node, g, [dy]) => {
  if (g.opset < 16) {
    return g.unsupported(node, `it needs operator set 16 or later, whose scatter can add (the model has ${g.opset})`);
  }
  const [x] = node.input;
  const kernel = intsAttribute(node, 'kernel_shape');
  const ones = kernel.map(() => 1);
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  const attributes = {
    kernel_shape: kernel,
    strides: intsAttribute(node, 'strides', ones),
    dilations: intsAttribute(node, 'dilations', ones),
    ceil_mode: intAttribute(node, 'ceil_mode', 0),
    ...(auto === 'NOTSET' ? { pads: intsAttribute(node, 'pads', [...ones, ...ones].fill(0)) } : { auto_pad: auto }),
  };
  const [, numbers] = g.emitMany('MaxPool', [x], attributes, [g.dtype(x), 'int64']);
  return [scatterFlat(g, x, numbers, dy as string, true)];
};

export const POOL: Readonly<Record<string, Rule>> = { GlobalAveragePool, GlobalMaxPool, AveragePool, MaxPool };
