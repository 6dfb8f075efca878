import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.ts';
import { sameDim } from '../../onnx/dim.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/**
 * Resizing is linear, an axis at a time: y = x R along each axis, and dx = dy Rᵀ. Row i of R is the resized i-th unit
 * vector, so that the operator itself makes R out of the identity, whatever its mode, coordinates and antialiasing.
 */
const Resize: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const rank = g.rank(x);
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') return g.unsupported(node, `its keep_aspect_ratio_policy '${policy}' is not handled`);
  if (stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize') {
    return g.unsupported(node, 'it crops (tf_crop_and_resize)');
  }
  const all = Array.from({ length: rank }, (_, axis) => axis);
  const axes = intsAttribute(node, 'axes', all).map((axis) => (axis < 0 ? axis + rank : axis));
  const scales = scalesOf(node, g);
  let dx = dy as string;
  for (const [at, axis] of axes.entries()) {
    if (isUnchanged(node, g, axis, scales === undefined ? undefined : (g.known(scales)?.[at] ?? Number.NaN))) continue;
    dx = alongAxis(g, dx, matrixOf(node, g, axis, at), axis, rank);
  }
  return [dx];
};

/** The input of scales, if the node goes by these. Exporters put an empty list there beside sizes. */
function scalesOf(node: NodeProto, g: Backward): string | undefined {
  const scales = node.input[2] || undefined;
  return scales !== undefined && g.lengths(scales)?.[0] !== 0 ? scales : undefined;
}

/** Whether an axis stays as it is; `scale` is absent where sizes are given, and not a number where it is unknown. */
function isUnchanged(node: NodeProto, g: Backward, axis: number, scale: number | undefined): boolean {
  const [before, after] = [g.shape(node.input[0])?.[axis], g.shape(node.output[0])?.[axis]];
  const isAsLong = before !== undefined && after !== undefined && sameDim(before, after);
  if (scale === 1 || (isAsLong && scale === undefined)) return true;
  // ONNX Runtime copies where no length changes, whatever the scale, so that no matrix can be had.
  if (isAsLong) return g.unsupported(node, `it scales axis ${axis} by other than 1 and leaves its length`);
  return false;
}

/** R of [length of x, length of y] along an axis, the `at`-th of those that scales or sizes are given for. */
function matrixOf(node: NodeProto, g: Backward, axis: number, at: number): string {
  const [x, , , sizes] = node.input;
  const length = g.lengthsOf(x, axis, axis + 1);
  const zeros = g.emit('Expand', [g.number(0, 'float32'), g.concatInts([length, length])]);
  const identity = g.unsqueeze(g.emit('EyeLike', [zeros]), [0, 1]);
  const own = (list: string) => g.emit('Slice', [list, g.ints([at]), g.ints([at + 1])]);
  const scales = scalesOf(node, g);
  const how =
    scales === undefined
      ? [undefined, g.concatInts([g.ints([1, 1]), length, own(sizes)])]
      : [g.emit('Concat', [g.floats([3], [1, 1, 1], 'float32'), own(scales)], { axis: 0 })];
  const resized = g.emit('Resize', [identity, undefined, ...how], attributesOf(node, g.opset));
  return g.cast(g.emit('Squeeze', [resized, g.ints([0, 1])]), g.dtype(x));
}

/** Attributes that say how positions are read and weighted. */
function attributesOf(node: NodeProto, opset: number) {
  return {
    mode: stringAttribute(node, 'mode', 'nearest'),
    coordinate_transformation_mode: stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel'),
    nearest_mode: stringAttribute(node, 'nearest_mode', 'round_prefer_floor'),
    cubic_coeff_a: floatAttribute(node, 'cubic_coeff_a', -0.75),
    exclude_outside: intAttribute(node, 'exclude_outside', 0),
    ...(opset >= 18 ? { antialias: intAttribute(node, 'antialias', 0) } : {}),
  };
}

/** dy Rᵀ along an axis: a product from the left or the right for the last two, which need not be moved. */
function alongAxis(g: Backward, dy: string, matrix: string, axis: number, rank: number): string {
  if (axis === rank - 2) return g.emit('MatMul', [matrix, dy]);
  const transposed = g.transpose(matrix, [1, 0]);
  if (axis === rank - 1) return g.emit('MatMul', [dy, transposed]);
  const perm = Array.from({ length: rank }, (_, i) => i);
  perm[axis] = rank - 1;
  perm[rank - 1] = axis;
  return g.transpose(g.emit('MatMul', [g.transpose(dy, perm), transposed]), perm);
}

export const RESIZE: Readonly<Record<string, Rule>> = { Resize };
