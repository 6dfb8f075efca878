import { intAttribute, intsAttribute } from '../attributes.ts';
import { add, type Dim, maxDim, minDim, printShape, sub } from '../dim.ts';
import {
  axisIn,
  cannot,
  contradiction,
  type Elements,
  input,
  numericShape,
  type Rule,
  shapeOf,
  smallSize,
  type Value,
} from './call.ts';

const gather: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const indices = shapeOf(call, 1);
  const axis = axisIn(call, intAttribute(call.node, 'axis', 0), dims.length);
  const shape = [...dims.slice(0, axis), ...indices, ...dims.slice(axis + 1)];
  return [{ dtype: x.dtype, shape, data: gathered(x, axis, input(call, 1).data, shape) }];
};

/** Rows of a followed tensor, gathered along its first axis. */
function gathered(x: Value, axis: number, indices: Elements | undefined, shape: readonly Dim[]): Elements | undefined {
  const dims = numericShape(x.shape);
  const result = numericShape(shape);
  if (x.data === undefined || indices === undefined || dims === undefined || axis !== 0) return undefined;
  if (result === undefined || smallSize(result) === undefined) return undefined;
  const data = x.data;
  const row = dims.slice(1).reduce((a, b) => a * b, 1);
  return indices.flatMap((index) => {
    const at = typeof index === 'number' ? (index < 0 ? index + dims[0] : index) : -1;
    return Array.from({ length: row }, (_, i) => data[at * row + i]);
  });
}

const gatherNd: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const indices = shapeOf(call, 1);
  const batch = intAttribute(call.node, 'batch_dims', 0);
  const depth = indices[indices.length - 1];
  if (typeof depth !== 'number') return cannot('the last dimension of its indices is not known');
  if (batch + depth > dims.length) {
    throw contradiction(call.node, `indices of ${depth} numbers are too long for ${printShape(dims)}`);
  }
  return [{ dtype: input(call, 0).dtype, shape: [...indices.slice(0, -1), ...dims.slice(batch + depth)] }];
};

const gatherElements: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: shapeOf(call, 1) }];

/** The shape of what is written into; the values stay followed where they are a vector and the places are constant. */
const scatterNd: Rule = (call) => {
  const x = input(call, 0);
  const [indices, updates] = [input(call, 1), input(call, 2)];
  const followed = x.shape?.length === 1 && indices.data !== undefined && updates.data !== undefined;
  const plain = intAttribute(call.node, 'axis', 0) === 0 && indices.data?.length === updates.data?.length;
  if (!followed || !plain || x.data === undefined) return [{ dtype: x.dtype, shape: x.shape }];
  const data = [...x.data];
  for (const [i, index] of (indices.data as Elements).entries()) {
    if (typeof index !== 'number') return [{ dtype: x.dtype, shape: x.shape }];
    const at = index < 0 ? index + data.length : index;
    if (at >= 0 && at < data.length) data[at] = updates.data?.[i];
  }
  return [{ dtype: x.dtype, shape: x.shape, data }];
};

const keepsShape: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: shapeOf(call, 0) }];

const topK: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const axis = axisIn(call, intAttribute(call.node, 'axis', -1), dims.length);
  const k = call.opset < 10 ? intAttribute(call.node, 'k') : (input(call, 1).data?.[0] ?? call.fresh());
  const shape = dims.with(axis, k);
  return [
    { dtype: input(call, 0).dtype, shape },
    { dtype: 'int64', shape },
  ];
};

const nonZero: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const shape = numericShape(dims);
  if (x.data === undefined || shape === undefined || x.data.some((value) => typeof value !== 'number')) {
    return [{ dtype: 'int64', shape: [Math.max(dims.length, 1), call.fresh()] }];
  }
  const places = x.data.flatMap((value, i) => (value === 0 ? [] : [i]));
  const lengths = shape.length === 0 ? [1] : shape;
  const data = lengths.flatMap((length, axis) => {
    const step = lengths.slice(axis + 1).reduce((a, b) => a * b, 1);
    return places.map((place) => Math.floor(place / step) % length);
  });
  return [{ dtype: 'int64', shape: [lengths.length, places.length], data }];
};

const unique: Rule = (call) => {
  const axis = intAttribute(call.node, 'axis', undefined);
  const count = call.fresh();
  const dims = axis === undefined ? [] : shapeOf(call, 0);
  const shape = axis === undefined ? [count] : dims.with(axisIn(call, axis, dims.length), count);
  const indices: Value = { dtype: 'int64', shape: [count] };
  const inverse = axis === undefined ? call.fresh() : dims[axisIn(call, axis, dims.length)];
  return [{ dtype: input(call, 0).dtype, shape }, indices, { dtype: 'int64', shape: [inverse] }, indices];
};

const compress: Rule = (call) => {
  const axis = intAttribute(call.node, 'axis', undefined);
  const condition = input(call, 1).data;
  const known = condition?.every((value) => typeof value === 'number');
  const count = known ? (condition?.filter((value) => value !== 0).length as number) : call.fresh();
  const dims = axis === undefined ? [] : shapeOf(call, 0);
  const shape = axis === undefined ? [count] : dims.with(axisIn(call, axis, dims.length), count);
  return [{ dtype: input(call, 0).dtype, shape }];
};

const oneHot: Rule = (call) => {
  const indices = shapeOf(call, 0);
  const depth = input(call, 1).data?.[0] ?? call.fresh();
  const axis = axisIn(call, intAttribute(call.node, 'axis', -1), indices.length + 1);
  return [{ dtype: input(call, 2).dtype, shape: indices.toSpliced(axis, 0, depth) }];
};

const centerCropPad: Rule = (call) => {
  const dims = [...shapeOf(call, 0)];
  const axes = intsAttribute(call.node, 'axes', undefined) ?? dims.map((_, i) => i);
  axes.forEach((axis, i) => {
    dims[axisIn(call, axis, dims.length)] = input(call, 1).data?.[i] ?? call.fresh();
  });
  return [{ dtype: input(call, 0).dtype, shape: dims }];
};

/** Legacy: cuts `border` = left, top, right, bottom off, or `scale` = height, width out. */
const crop: Rule = (call) => {
  const [n, c, h, w] = shapeOf(call, 0);
  const border = intsAttribute(call.node, 'border', []);
  const scale = intsAttribute(call.node, 'scale', []);
  if (border.length !== 4 || w === undefined) return cannot('it needs four borders and an input of four dimensions');
  const inside = (length: Dim, before: number, after: number, size?: number) => {
    const rest = maxDim(0, sub(length, add(before, after)));
    return size === undefined ? rest : minDim(rest, size);
  };
  const [left, top, right, bottom] = border;
  const cut: Dim[] = scale.length === 2 ? [scale[0], scale[1]] : [inside(h, top, bottom), inside(w, left, right)];
  return [{ dtype: input(call, 0).dtype, shape: [n, c, ...cut] }];
};

/** Non-maximum suppression keeps a number of boxes that only the data say; three indices each. */
const nonMaxSuppression: Rule = (call) => [{ dtype: 'int64', shape: [call.fresh(), 3] }];

/** `[0, 1, …]` from numbers, or a count of steps from symbols. */
const range: Rule = (call) => {
  const dtype = input(call, 0).dtype;
  const [start, limit, delta] = [0, 1, 2].map((at) => input(call, at).data?.[0]);
  if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number' && delta !== 0) {
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    const data =
      smallSize([count]) === undefined ? undefined : Array.from({ length: count }, (_, i) => start + i * delta);
    return [{ dtype, shape: [count], data }];
  }
  if (start === undefined || limit === undefined || (delta !== 1 && delta !== -1)) {
    return [{ dtype, shape: [call.fresh()] }];
  }
  const span = delta === 1 ? sub(limit, start) : sub(start, limit);
  return [{ dtype, shape: [maxDim(0, span)] }];
};

export const GATHER: Readonly<Record<string, Rule>> = {
  Gather: gather,
  GatherND: gatherNd,
  GatherElements: gatherElements,
  Scatter: keepsShape,
  ScatterElements: scatterNd,
  ScatterND: scatterNd,
  TensorScatter: keepsShape,
  TopK: topK,
  NonZero: nonZero,
  Unique: unique,
  Compress: compress,
  OneHot: oneHot,
  CenterCropPad: centerCropPad,
  Crop: crop,
  NonMaxSuppression: nonMaxSuppression,
  Range: range,
};
