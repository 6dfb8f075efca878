import { intAttribute } from '../../onnx/attributes.ts';
import { sameDim } from '../../onnx/dim.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { place } from './place.ts';

/** The first operator set whose Scatter operators can add. */
export const SCATTER_ADDS = 16;

/** y = x[starts : ends : steps]: dy at its place among zeros. */
const Slice: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const begins = beginsOf(node, g);
  return [begins === undefined ? scatterSlice(node, g, dy as string) : place(g, dy as string, g.shapeOf(x), begins)];
};

/** Where a slice of constant starts and steps of 1 begins on each axis. */
function beginsOf(node: NodeProto, g: Backward): string | undefined {
  const [x, startsName, , axesName, stepsName] = node.input;
  const starts = g.known(startsName);
  const steps = stepsName ? g.known(stepsName) : [];
  const axes = axesName ? g.known(axesName) : starts?.map((_, axis) => axis);
  if (starts === undefined || axes === undefined || !steps?.every((step) => step === 1)) return undefined;
  const full = new Array<number>(g.rank(x)).fill(0);
  for (const [i, axis] of axes.entries()) full[axis < 0 ? axis + full.length : axis] = starts[i];
  return clamped(g, x, full);
}

/** Positions made non-negative and at most the length; exporters write huge numbers for "the end". */
function clamped(g: Backward, x: string, positions: readonly number[]): string {
  const shape = g.shape(x);
  const isEasy = positions.every((at, axis) => at === 0 || typeof shape?.[axis] === 'number');
  if (isEasy) {
    return g.ints(
      positions.map((at, axis) => {
        const length = shape?.[axis];
        return typeof length === 'number' ? Math.min(length, Math.max(0, at < 0 ? at + length : at)) : at;
      }),
    );
  }
  const lengths = g.shapeOf(x);
  const fromEnd = g.mul(lengths, g.ints(positions.map((at) => (at < 0 ? 1 : 0))));
  const least = g.emit('Max', [g.add(g.ints(positions), fromEnd), g.ints([0])]);
  return g.emit('Min', [least, lengths]);
}

/** Any slice: the same slice of the elements' numbers says where each came from. */
function scatterSlice(node: NodeProto, g: Backward, dy: string): string {
  const [x, ...rest] = node.input;
  return scatterFlat(g, x, g.emit('Slice', [numbered(g, x), ...rest]), dy, false);
}

/** The number of each element, row-major, in its place. */
export function numbered(g: Backward, x: string): string {
  const int = (value: number) => g.number(value, 'int64');
  return g.reshapeLike(g.emit('Range', [int(0), g.emit('Size', [x], {}, 'int64'), int(1)]), x);
}

/** dy at the given numbers of elements of x, zeros elsewhere. */
export function scatterFlat(g: Backward, x: string, numbers: string, dy: string, isAdded: boolean): string {
  const flat = (name: string) => g.reshape(name, [-1]);
  const inputs = [flat(g.zerosLike(x)), flat(numbers), flat(dy)];
  return g.reshapeLike(g.emit('ScatterElements', inputs, isAdded ? { axis: 0, reduction: 'add' } : { axis: 0 }), x);
}

/** y = x[..., i, ...]: what was picked more than once gets the sum. */
const Gather: Rule = (node, g, [dy]) => {
  const [x, indices] = node.input;
  const rank = g.rank(x);
  const given = intAttribute(node, 'axis', 0);
  const axis = given < 0 ? given + rank : given;
  const constant = g.known(indices);
  if (constant?.length === 1 && g.rank(indices) <= 1) {
    const row = g.rank(indices) === 0 ? g.unsqueeze(dy, [axis]) : (dy as string);
    const begins = new Array<number>(rank).fill(0);
    begins[axis] = constant[0];
    return [place(g, row, g.shapeOf(x), clamped(g, x, begins))];
  }
  return [gatherBack(g, x, indices, dy as string, axis)];
};

/** The rows of dy added at their indices: by scattering, or by a product with a 0-1 matrix where scatter cannot add. */
function gatherBack(g: Backward, x: string, indices: string, dy: string, axis: number): string {
  const before = g.lengthsOf(x, 0, axis);
  const after = g.lengthsOf(x, axis + 1, g.rank(x));
  const count = g.reshape(g.emit('Size', [indices], {}, 'int64'), [1]);
  if (g.opset >= SCATTER_ADDS) {
    const shape = g.concatInts([before, count, after]);
    const column = g.ints([-1, ...new Array<number>(g.rank(x) - 1 - axis).fill(1)]);
    const at = g.emit('Expand', [g.reshape(indices, column), shape]);
    return g.emit('ScatterElements', [g.zerosLike(x), at, g.reshape(dy, shape)], { axis, reduction: 'add' });
  }
  const isEqual = g.equal(g.unsqueeze(rowsOf(g, x, axis), [1]), g.reshape(fromStart(g, indices, x, axis), [1, -1]));
  const isAt = g.cast(isEqual, g.dtype(dy));
  const product = (lengths: string) => g.emit('ReduceProd', [g.concatInts([g.ints([1]), lengths])], { keepdims: 1 });
  const flat = g.reshape(dy, g.concatInts([product(before), count, product(after)]));
  return g.reshapeLike(g.emit('MatMul', [isAt, flat]), x);
}

/** y = x at an index a position along one axis. */
const GatherElements: Rule = (node, g, [dy]) => {
  const [x, indices] = node.input;
  const rank = g.rank(x);
  const given = intAttribute(node, 'axis', 0);
  const axis = given < 0 ? given + rank : given;
  if (g.opset < SCATTER_ADDS) return [gatherElementsBack(node, g, dy as string, axis)];
  return [g.emit('ScatterElements', [g.zerosLike(x), indices, dy], { axis, reduction: 'add' })];
};

/** Without a scatter that adds: dy where an index is that of a row, summed over the indices. */
function gatherElementsBack(node: NodeProto, g: Backward, dy: string, axis: number): string {
  const [x, indices] = node.input;
  const [from, to] = [g.shape(x), g.shape(indices)];
  if (!from?.every((length, i) => i === axis || (to !== undefined && sameDim(length, to[i])))) needsAdding(node, g);
  const rows = g.reshape(rowsOf(g, x, axis), [-1, ...new Array<number>(g.rank(x) - axis).fill(1)]);
  const isAt = g.equal(rows, g.unsqueeze(fromStart(g, indices, x, axis), [axis]));
  return g.reduceSum(g.where(isAt, g.unsqueeze(dy, [axis]), 0), [axis + 1], false);
}

/** The indices 0, 1, … along an axis. */
function rowsOf(g: Backward, x: string, axis: number): string {
  const length = g.reshape(g.lengthsOf(x, axis, axis + 1), []);
  return g.emit('Range', [g.number(0, 'int64'), length, g.number(1, 'int64')]);
}

/** Indices along an axis as int64, those from its end counted from its start. */
function fromStart(g: Backward, indices: string, x: string, axis: number): string {
  const places = g.cast(indices, 'int64');
  return g.where(g.less(places, 0), g.add(places, g.lengthsOf(x, axis, axis + 1)), places);
}

const GatherND: Rule = (node, g, [dy]) => {
  needsAdding(node, g);
  if (intAttribute(node, 'batch_dims', 0) !== 0) return g.unsupported(node, 'its batch_dims are not 0');
  const [x, indices] = node.input;
  return [g.emit('ScatterND', [g.zerosLike(x), indices, dy], { reduction: 'add' })];
};

function needsAdding(node: NodeProto, g: Backward): void {
  if (g.opset < SCATTER_ADDS) {
    g.unsupported(
      node,
      `it needs operator set ${SCATTER_ADDS} or later, whose scatter can add (the model has ${g.opset})`,
    );
  }
}

/** The largest or smallest elements along an axis, each from a place of its own. */
const TopK: Rule = (node, g, [dy]) => {
  const [x] = node.input;
  const indices = node.output[1];
  if (!indices) return g.unsupported(node, 'it does not give out its indices; give it a second output');
  return [g.emit('ScatterElements', [g.zerosLike(x), indices, dy], { axis: intAttribute(node, 'axis', -1) })];
};

export const PICK: Readonly<Record<string, Rule>> = { Slice, Gather, GatherElements, GatherND, TopK };
