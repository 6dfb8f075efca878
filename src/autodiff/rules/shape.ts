import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { Rule } from '../rule.ts';

/** The same elements in another shape. */
const reshaping: Rule = (node, g, [dy]) => [g.reshapeLike(dy, node.input[0])];

const Transpose: Rule = (node, g, [dy]) => {
  const reversed = () => Array.from({ length: g.rank(node.input[0]) }, (_, axis) => axis).reverse();
  const perm = intsAttribute(node, 'perm', undefined) ?? reversed();
  const inverse: number[] = [];
  for (const [to, from] of perm.entries()) inverse[from] = to;
  return [g.transpose(dy as string, inverse)];
};

const Expand: Rule = (node, g, [dy]) => [g.unbroadcast(dy as string, g.shape(node.output[0]), node.input[0])];

/** Each axis of y is the repeats of an axis of x, one after another: their sum. */
const Tile: Rule = (node, g, [dy]) => {
  const [x, repeats] = node.input;
  const rank = g.rank(x);
  const pairs = g.emit('Concat', [g.unsqueeze(repeats, [1]), g.unsqueeze(g.shapeOf(x), [1])], { axis: 1 });
  const apart = g.reshape(dy, g.reshape(pairs, [-1]));
  const axes = Array.from({ length: rank }, (_, axis) => 2 * axis);
  return [g.reduceSum(apart, axes, false)];
};

const Concat: Rule = (node, g, [dy]) => {
  if (node.input.length === 1) return [dy];
  const axis = intAttribute(node, 'axis');
  const at = axis < 0 ? axis + g.rank(node.output[0]) : axis;
  const sizes = g.concatInts(node.input.map((x) => g.lengthsOf(x, at, at + 1)));
  const dtype = g.dtype(dy as string);
  return g.emitMany('Split', [dy, sizes], { axis: at }, new Array(node.input.length).fill(dtype));
};

const Split: Rule = (node, g, dy) => {
  const parts = node.output.map((y, i) => dy[i] ?? g.zerosLike(y));
  return [parts.length === 1 ? parts[0] : g.emit('Concat', parts, { axis: intAttribute(node, 'axis', 0) })];
};

/** Its own transpose: what the triangle keeps. */
const Trilu: Rule = (node, g, [dy]) => [
  g.emit('Trilu', [dy, node.input[1]], { upper: intAttribute(node, 'upper', 1) }),
];

const SpaceToDepth: Rule = (node, g, [dy]) => [
  g.emit('DepthToSpace', [dy], { blocksize: intAttribute(node, 'blocksize') }),
];

/** In mode CRD the channels of a block lie side by side; SpaceToDepth knows the other order alone. */
const DepthToSpace: Rule = (node, g, [dy]) => {
  const blocksize = intAttribute(node, 'blocksize');
  if (stringAttribute(node, 'mode', 'DCR') === 'DCR') return [g.emit('SpaceToDepth', [dy], { blocksize })];
  const [x] = node.input;
  const block = g.ints([blocksize]);
  const lengths = [g.lengthsOf(x, 2, 3), block, g.lengthsOf(x, 3, 4), block];
  const apart = g.reshape(dy, g.concatInts([g.ints([0, -1]), ...lengths]));
  return [g.reshapeLike(g.transpose(apart, [0, 1, 3, 5, 2, 4]), x)];
};

export const SHAPE: Readonly<Record<string, Rule>> = {
  Reshape: reshaping,
  Flatten: reshaping,
  Squeeze: reshaping,
  Unsqueeze: reshaping,
  Transpose,
  Expand,
  Tile,
  Concat,
  Split,
  Trilu,
  SpaceToDepth,
  DepthToSpace,
};
