import { intAttribute, intsAttribute } from '../attributes.ts';
import {
  add,
  ceilDivide,
  type Dim,
  differ,
  divideExactly,
  floorDivide,
  isKnown,
  maxDim,
  minDim,
  mul,
  printShape,
  product,
  rangeOf,
  sameDim,
  sub,
} from '../dim.ts';
import {
  axisIn,
  broadcast,
  type Call,
  cannot,
  contradiction,
  type Elements,
  input,
  int64Vector,
  MAX_ELEMENTS,
  numbersOf,
  numericShape,
  ofRank,
  type Rule,
  shapeOf,
  smallSize,
  unify,
  type Value,
} from './call.ts';
import { foldBroadcast } from './elementwise.ts';

/** Integers that moved from an attribute to an input, in opset `since`. `undefined` where neither is given. */
export function intsOf(call: Call, name: string, at: number, since: number): number[] | undefined {
  if (call.opset < since) return intsAttribute(call.node, name, undefined);
  return call.inputs[at] === undefined ? undefined : numbersOf(call, at);
}

const shape: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const clampAxis = (axis: number) => Math.min(Math.max(axis < 0 ? axis + dims.length : axis, 0), dims.length);
  const start = clampAxis(intAttribute(call.node, 'start', 0));
  const end = clampAxis(intAttribute(call.node, 'end', dims.length));
  return [int64Vector(dims.slice(start, end))];
};

const size: Rule = (call) => [{ dtype: 'int64', shape: [], data: [product(shapeOf(call, 0))] }];

const reshape: Rule = (call) => {
  const x = input(call, 0);
  const wanted = call.opset < 5 ? intsAttribute(call.node, 'shape', []) : reshapeTarget(call);
  const dims = reshaped(call, x.shape, wanted, intAttribute(call.node, 'allowzero', 0) === 1);
  return [{ dtype: x.dtype, shape: dims, data: numericShape(dims) && x.data }];
};

function reshapeTarget(call: Call): Elements {
  const target = input(call, 1);
  if (target.data !== undefined) return target.data;
  const [rank] = target.shape ?? [];
  if (typeof rank !== 'number' || rank > MAX_ELEMENTS) return cannot('neither the new shape nor its rank is known');
  return new Array<undefined>(rank).fill(undefined);
}

function reshaped(call: Call, from: readonly Dim[] | undefined, wanted: Elements, allowZero: boolean): Dim[] {
  const dims: (Dim | undefined)[] = wanted.map((entry, axis) => {
    if (entry === 0 && !allowZero) {
      if (from && axis >= from.length)
        throw contradiction(call.node, `0 at axis ${axis} copies a dimension of ${printShape(from)}`);
      return from?.[axis] ?? call.fresh();
    }
    return entry === -1 ? undefined : entry;
  });
  const open = dims.flatMap((dim, axis) => (dim === undefined ? [axis] : []));
  const given = product(dims.filter((dim) => dim !== undefined));
  if (open.length === 1 && from !== undefined) dims[open[0]] = remaining(call, product(from), given);
  const result = dims.map((dim) => dim ?? call.fresh());
  if (open.length === 0 && from !== undefined && differ(product(from), given)) {
    throw contradiction(call.node, `${printShape(from)} cannot be reshaped to ${printShape(result)}`);
  }
  return result;
}

/** The one dimension of a new shape that is left open. */
function remaining(call: Call, total: Dim, given: Dim): Dim {
  if (given === 0) return call.fresh();
  const exact = divideExactly(total, given);
  if (exact !== undefined) return exact;
  if (typeof total === 'number' && typeof given === 'number') {
    throw contradiction(call.node, `${total} elements cannot be reshaped to rows of ${given}`);
  }
  return isKnown(total) && isKnown(given) ? floorDivide(total, given) : call.fresh();
}

const flatten: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const axis = intAttribute(call.node, 'axis', 1);
  const at = axis < 0 ? axis + dims.length : axis;
  if (at < 0 || at > dims.length) throw contradiction(call.node, `axis ${axis} is not one of ${printShape(dims)}`);
  return [{ dtype: input(call, 0).dtype, shape: [product(dims.slice(0, at)), product(dims.slice(at))] }];
};

const squeeze: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const axes = intsOf(call, 'axes', 1, 13)?.map((axis) => axisIn(call, axis, dims.length));
  if (axes === undefined && dims.some((dim) => typeof dim !== 'number')) {
    cannot(`which of the dimensions ${printShape(dims)} are 1, and so are dropped, is not known`);
  }
  const dropped = new Set(axes ?? dims.flatMap((dim, axis) => (dim === 1 ? [axis] : [])));
  for (const axis of dropped) unify(call, dims[axis], 1, `the dimension ${axis} to drop and 1`);
  const rest = dims.filter((_, axis) => !dropped.has(axis));
  return [{ dtype: x.dtype, shape: rest, data: x.data }];
};

const unsqueeze: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const given = intsOf(call, 'axes', 1, 13) ?? cannot('it has no axes');
  const rank = dims.length + given.length;
  const axes = new Set(given.map((axis) => axisIn(call, axis, rank)));
  if (axes.size !== given.length) throw contradiction(call.node, `the axes [${given}] repeat`);
  const rest = dims[Symbol.iterator]();
  const result = Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : (rest.next().value as Dim)));
  return [{ dtype: x.dtype, shape: result, data: x.data }];
};

const transpose: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const given = intsAttribute(call.node, 'perm', []);
  const perm =
    given.length > 0 ? given.map((axis) => axisIn(call, axis, dims.length)) : dims.map((_, i) => i).reverse();
  if (new Set(perm).size !== dims.length) {
    throw contradiction(call.node, `[${perm}] does not permute the dimensions ${printShape(dims)}`);
  }
  const data = x.data && transposed(x.data, dims as number[], perm);
  return [{ dtype: x.dtype, shape: perm.map((axis) => dims[axis]), data }];
};

function transposed(data: Elements, shape: readonly number[], perm: readonly number[]): Elements {
  let offsets = [0];
  for (const axis of perm) {
    const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    offsets = offsets.flatMap((offset) => Array.from({ length: shape[axis] }, (_, i) => offset + i * stride));
  }
  return offsets.map((offset) => data[offset]);
}

const expand: Rule = (call) => {
  const x = input(call, 0);
  const from = shapeOf(call, 0);
  const target = reshapeTarget(call).map((entry) => entry ?? call.fresh());
  const dims = broadcast(call, [from, target]);
  const data = foldBroadcast(
    dims,
    [x, { shape: numericShape(target) && target, data: numericShape(target) && [] }],
    ([value]) => value,
  );
  return [{ dtype: x.dtype, shape: dims, data }];
};

const concat: Rule = (call) => {
  const shapes = call.inputs.map((_, i) => shapeOf(call, i));
  if (shapes.length === 0) throw contradiction(call.node, 'it concatenates nothing');
  const rank = shapes[0].length;
  const axis = axisIn(call, intAttribute(call.node, 'axis', 1), rank);
  for (const each of shapes) ofRank(call, each, rank, 'every input');
  const dims = shapes[0].map((_, at) => {
    const lengths = shapes.map((each) => each[at]);
    if (at === axis) return lengths.reduce(add, 0);
    return lengths.reduce((a, b) => unify(call, a, b, `dimensions ${at} of its inputs`));
  });
  const parts = call.inputs.map((value) => value?.data);
  const length = numericShape(dims) && smallSize(numericShape(dims) as number[]);
  const data =
    axis === 0 && length !== undefined && parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  return [{ dtype: input(call, 0).dtype, shape: dims, data }];
};

const split: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const axis = axisIn(call, intAttribute(call.node, 'axis', 0), dims.length);
  const count = call.node.output.length;
  const lengths = splitLengths(call, dims[axis], count);
  let next: Dim = 0;
  return lengths.map((length): Value => {
    const start = next;
    next = add(start, length);
    const known = dims.length === 1 && typeof length === 'number' && typeof start === 'number';
    return {
      dtype: x.dtype,
      shape: dims.with(axis, length),
      data: known ? x.data?.slice(start, start + length) : undefined,
    };
  });
};

function splitLengths(call: Call, total: Dim, count: number): Dim[] {
  const given = call.opset < 13 ? intsAttribute(call.node, 'split', undefined) : givenSplit(call, count);
  if (given === undefined) {
    const parts = intAttribute(call.node, 'num_outputs', count);
    if (parts < 1) throw contradiction(call.node, `it splits into ${parts} parts`);
    const chunk = ceilDivide(total, parts);
    const last = sub(total, mul(chunk, parts - 1));
    return Array.from({ length: count }, (_, i) => (i === parts - 1 ? last : chunk));
  }
  if (given.length !== count) throw contradiction(call.node, `it has ${count} outputs and ${given.length} lengths`);
  const lengths = given.map((length) => length ?? call.fresh());
  const sum = lengths.reduce(add, 0);
  if (differ(sum, total))
    throw contradiction(call.node, `the lengths [${lengths.map(String)}] do not add up to the dimension`);
  return lengths;
}

function givenSplit(call: Call, count: number): Elements | undefined {
  if (call.inputs[1] === undefined) return undefined;
  return call.inputs[1].data ?? new Array<undefined>(count).fill(undefined);
}

/** Exporters write 2^31 - 1 or 2^63 - 1 for "to the end". */
const PAST_THE_END = 2 ** 31 - 1;

/** A bound of a slice from the front and inside, for a step above 0; `undefined` where its sign is not known. */
function clampIndex(index: Dim | undefined, length: Dim): Dim | undefined {
  if (index === undefined || index === 0) return index;
  if (typeof index === 'number' && Math.abs(index) >= PAST_THE_END) return index > 0 ? length : 0;
  const { low, high } = rangeOf(index);
  if (low >= 0) return minDim(index, length);
  return high < 0 ? maxDim(0, add(index, length)) : undefined;
}

/** Length of `start:end:step` along a dimension; a fresh one where it cannot be said. */
function slicedLength(call: Call, length: Dim, start: Dim | undefined, end: Dim | undefined, step: number): Dim {
  if (step < 0) return slicedBackwards(call, length, start, end, step);
  const to = clampIndex(end, length);
  if (typeof start === 'number' && start < 0 && to !== undefined && sameDim(to, length)) {
    return ceilDivide(minDim(length, -start), step);
  }
  const from = clampIndex(start, length);
  if (from === undefined || to === undefined) return call.fresh();
  if (from === 0 && sameDim(to, length)) return ceilDivide(length, step);
  return maxDim(0, ceilDivide(sub(to, from), step));
}

function slicedBackwards(call: Call, length: Dim, start: Dim | undefined, end: Dim | undefined, step: number): Dim {
  if (typeof start !== 'number' || typeof end !== 'number') return call.fresh();
  if (typeof length === 'number') {
    const from = Math.min(Math.max(start < 0 ? start + length : start, 0), length - 1);
    const to = Math.min(Math.max(end < 0 ? end + length : end, -1), length - 1);
    return Math.max(0, Math.ceil((to - from) / step));
  }
  // All of it, from the last to the first.
  return (start === -1 || start >= PAST_THE_END) && end <= -PAST_THE_END ? ceilDivide(length, -step) : call.fresh();
}

const slice: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const old = call.opset < 10;
  const starts: Elements = old ? intsAttribute(call.node, 'starts') : slicePart(call, 1);
  const ends: Elements = old ? intsAttribute(call.node, 'ends') : slicePart(call, 2);
  const axes = intsOf(call, 'axes', 3, 10) ?? starts.map((_, i) => i);
  const steps = old || call.inputs[4] === undefined ? axes.map(() => 1) : numbersOf(call, 4);
  if (starts.length !== axes.length || ends.length !== axes.length || steps.length !== axes.length) {
    throw contradiction(call.node, 'starts, ends, axes and steps have different lengths');
  }
  const result = [...dims];
  const kept = numericShape(dims)?.map((length) => Array.from({ length: x.data ? length : 0 }, (_, i) => i));
  axes.forEach((given, i) => {
    const axis = axisIn(call, given, dims.length);
    if (steps[i] === 0) throw contradiction(call.node, 'a step is 0');
    result[axis] = slicedLength(call, dims[axis], starts[i], ends[i], steps[i]);
    if (kept) kept[axis] = slicedIndices(dims[axis] as number, starts[i], ends[i], steps[i]);
  });
  const data = x.data && kept && numericShape(result) ? picked(x.data, dims as number[], kept) : undefined;
  return [{ dtype: x.dtype, shape: result, data }];
};

/** Bounds of a slice; where their values are not known, as many unknown ones. */
function slicePart(call: Call, at: number): Elements {
  const part = input(call, at);
  if (part.data !== undefined) return part.data;
  const [count] = part.shape ?? [];
  if (typeof count !== 'number' || count > 64) return cannot('how many axes are sliced is not known');
  return new Array<undefined>(count).fill(undefined);
}

/** Where a slice reads along an axis; nothing where a bound is not constant. */
function slicedIndices(length: number, start: Dim | undefined, end: Dim | undefined, step: number): number[] {
  if (typeof start !== 'number' || typeof end !== 'number' || length > MAX_ELEMENTS) return [];
  const [least, most] = step > 0 ? [0, length] : [-1, length - 1];
  const to = Math.min(Math.max(end < 0 ? end + length : end, least), most);
  const indices: number[] = [];
  let at = Math.min(Math.max(start < 0 ? start + length : start, 0), most);
  for (; step > 0 ? at < to : at > to; at += step) indices.push(at);
  return indices;
}

/** The elements at the given indices of each axis. */
function picked(data: Elements, shape: readonly number[], indices: readonly (readonly number[])[]): Elements {
  let offsets = [0];
  for (const [axis, along] of indices.entries()) {
    offsets = offsets.flatMap((offset) => along.map((index) => offset * shape[axis] + index));
  }
  return offsets.map((offset) => data[offset]);
}

const tile: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const repeats = reshapeTarget(call);
  if (repeats.length !== dims.length)
    throw contradiction(call.node, `${repeats.length} repeats for ${printShape(dims)}`);
  const result = dims.map((dim, i) => (repeats[i] === undefined ? call.fresh() : mul(dim, repeats[i])));
  const size = numericShape(result) && smallSize(numericShape(result) as number[]);
  const data =
    dims.length === 1 && size !== undefined && x.data
      ? Array.from({ length: size }, (_, i) => x.data?.[i % (x.data.length || 1)])
      : undefined;
  return [{ dtype: x.dtype, shape: result, data }];
};

const pad: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const old = call.opset < 11 && call.node.domain !== 'com.microsoft';
  const attribute = intsAttribute(call.node, 'pads', undefined) ?? intsAttribute(call.node, 'paddings', undefined);
  const axes = old || call.inputs[3] === undefined ? dims.map((_, i) => i) : numbersOf(call, 3);
  const pads: Elements = old ? (attribute ?? []) : (input(call, 1).data ?? new Array(2 * axes.length).fill(undefined));
  if (pads.length !== 2 * axes.length) {
    throw contradiction(call.node, `${pads.length} pads for ${axes.length} of the dimensions ${printShape(dims)}`);
  }
  const result = [...dims];
  axes.forEach((given, i) => {
    const axis = axisIn(call, given, dims.length);
    const [before, after] = [pads[i], pads[i + axes.length]];
    result[axis] = before === undefined || after === undefined ? call.fresh() : add(dims[axis], add(before, after));
  });
  return [{ dtype: x.dtype, shape: result }];
};

export const SHAPE: Readonly<Record<string, Rule>> = {
  Shape: shape,
  Size: size,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Concat: concat,
  Split: split,
  Slice: slice,
  Tile: tile,
  Pad: pad,
};
