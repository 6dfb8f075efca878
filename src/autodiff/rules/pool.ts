import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { SCATTER_ADDS, scatterFlat } from './pick.ts';
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

const AveragePool: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const window = windowOf(node, g, x, intsAttribute(node, 'kernel_shape'));
  return [spreadEvenly(g, g.div(dy, countsOf(node, g, window)), node, window)];
};

/** Each element of a tensor of y's shape, added to all positions of its window; channels are taken for images. */
function spreadEvenly(g: Backward, share: string, node: NodeProto, window: Window): string {
  const [x] = node.input;
  const [y] = node.output;
  const planes = g.reshape(share, g.concatInts([g.ints([-1, 1]), g.lengthsOf(y, 2, g.rank(y))]));
  const size = window.kernel.reduce((a, b) => a * b, 1);
  const ones = g.floats([1, 1, ...window.kernel], new Array(size).fill(1), g.dtype(x));
  return g.reshapeLike(spread(g, planes, ones, x, window, 1), x);
}

/** y = (Σ |x|^p)^(1/p): dx = sign(x) |x|^(p-1) times dy y^(1-p), which is 0 where y is. */
const LpPool: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const window = windowOf(node, g, x, intsAttribute(node, 'kernel_shape'));
  return [throughNorm(node, g, dy as string, (share) => spreadEvenly(g, share, node, window))];
};

const GlobalLpPool: Rule = (node, g, [dy]) => [throughNorm(node, g, dy as string, (share) => share)];

function throughNorm(node: NodeProto, g: Backward, dy: string, repeat: (share: string) => string): string {
  const [x] = node.input;
  const [y] = node.output;
  const p = intAttribute(node, 'p', 2);
  if (p === 1) return g.mul(g.emit('Sign', [x]), repeat(dy));
  if (p === 2) return g.mul(x, repeat(g.where(g.equal(y, 0), 0, g.div(dy, y))));
  const share = g.where(g.equal(y, 0), 0, g.div(dy, g.pow(y, p - 1)));
  return g.mul(g.mul(g.emit('Sign', [x]), g.pow(g.emit('Abs', [x]), p - 1)), repeat(share));
}

/** How many positions each mean is of: a number, or a tensor that broadcasts with y where windows reach outside. */
function countsOf(node: NodeProto, g: Backward, window: Window): string | number {
  const { kernel, strides, dilations, before, after, isCeiled } = window;
  const countsPads = intAttribute(node, 'count_include_pad', 0) === 1;
  const isInside = [...before, ...after].every((pad) => pad === 0);
  if (!isCeiled && (countsPads || isInside)) return kernel.reduce((a, b) => a * b, 1);
  const inputs = g.lengths(node.input[0])?.slice(2);
  const outputs = g.lengths(node.output[0])?.slice(2);
  if (inputs === undefined || outputs === undefined) {
    if (!countsPads && !isCeiled) return countsAtRun(g, node, window);
    return g.unsupported(node, 'windows that reach past the padding need an input of constant lengths');
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

/** Where the mean divides by the elements inside alone: pooling ones, padding counted, gives which part of a window is. */
function countsAtRun(g: Backward, node: NodeProto, { kernel, strides, dilations, before, after }: Window): string {
  const [x] = node.input;
  const shape = g.concatInts([g.ints([1, 1]), g.lengthsOf(x, 2, g.rank(x))]);
  const ones = g.emit('Expand', [g.number(1, g.dtype(x)), shape]);
  const attributes = { kernel_shape: kernel, strides, pads: [...before, ...after], count_include_pad: 1 };
  const dilated = g.opset < 19 ? attributes : { ...attributes, dilations };
  return g.mul(
    g.emit('AveragePool', [ones], dilated),
    kernel.reduce((a, b) => a * b, 1),
  );
}

/** What reaches the largest element of a window reaches it alone; the operator's second output says which it is. */
const MaxPool: Rule = (node, g, [dy]) => {
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
  if (g.opset >= SCATTER_ADDS) return [scatterFlat(g, x, numbers, dy as string, true)];
  return [byTaps(node, g, dy as string, numbers, windowOf(node, g, x, kernel))];
};

/** Without a scatter that adds: dy in the channel of the tap that it came from, spread by a kernel of that tap alone. */
function byTaps(node: NodeProto, g: Backward, dy: string, numbers: string, window: Window): string {
  const [x] = node.input;
  const [y] = node.output;
  const { kernel } = window;
  const taps = kernel.reduce((a, b) => a * b, 1);
  const list = Array.from({ length: taps }, (_, tap) => tap);
  const channels = g.reshape(g.ints(list), [taps, ...kernel.map(() => 1)]);
  const isFrom = g.equal(g.unsqueeze(tapsOf(g, x, y, numbers, window), [2]), channels);
  const apart = g.where(isFrom, g.unsqueeze(dy, [2]), 0);
  const planes = g.reshape(apart, g.concatInts([g.ints([-1, taps]), g.lengthsOf(y, 2, g.rank(y))]));
  const one = list.flatMap((channel) => list.map((tap) => (tap === channel ? 1 : 0)));
  return g.reshapeLike(spread(g, planes, g.floats([taps, 1, ...kernel], one, g.dtype(x)), x, window, 1), x);
}

/** Which position of its window, row-major, each element of y is, from its number in x. */
function tapsOf(g: Backward, x: string, y: string, numbers: string, window: Window): string {
  const { kernel, strides, dilations, before } = window;
  const int = (value: number) => g.number(value, 'int64');
  let rest = numbers;
  let taps: string | undefined;
  let size = 1;
  for (let axis = kernel.length - 1; axis >= 0; axis--) {
    const length = g.lengthsOf(x, axis + 2, axis + 3);
    const at = g.emit('Mod', [rest, length]);
    rest = g.div(rest, length);
    const windows = g.emit('Range', [int(0), g.reshape(g.lengthsOf(y, axis + 2, axis + 3), []), int(1)]);
    const starts = g.reshape(g.sub(g.mul(windows, strides[axis]), before[axis]), [
      -1,
      ...kernel.slice(axis + 1).fill(1),
    ]);
    const own = g.mul(g.div(g.sub(at, starts), dilations[axis]), size);
    taps = taps === undefined ? own : g.add(taps, own);
    size *= kernel[axis];
  }
  return taps as string;
}

export const POOL: Readonly<Record<string, Rule>> = {
  GlobalAveragePool,
  GlobalMaxPool,
  GlobalLpPool,
  AveragePool,
  LpPool,
  MaxPool,
};
