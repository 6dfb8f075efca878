import { floatsAttribute, intAttribute, intsAttribute, stringAttribute } from '../attributes.ts';
import { type Dim, floorDivide, mul } from '../dim.ts';
import { axisIn, type Call, cannot, type Elements, input, ofRank, type Rule, shapeOf } from './call.ts';

/** floor(length * scale) as runtimes round it, in float32; a fresh length where a symbol meets an odd fraction. */
function scaled(call: Call, length: Dim, scale: number): Dim {
  if (typeof length === 'number') return Math.floor(Math.fround(Math.fround(scale) * length));
  for (let denominator = 1; denominator <= 64; denominator++) {
    const numerator = Math.round(scale * denominator);
    if (Math.fround(numerator / denominator) === Math.fround(scale))
      return floorDivide(mul(length, numerator), denominator);
  }
  return call.fresh();
}

const upsample: Rule = (call) => {
  const scales: Elements | undefined =
    call.opset < 9 ? (floatsAttribute(call.node, 'scales', undefined) ?? legacyScales(call)) : input(call, 1).data;
  const shape = shapeOf(call, 0).map((length, axis) => {
    const scale = scales?.[axis];
    return typeof scale === 'number' ? scaled(call, length, scale) : call.fresh();
  });
  return [{ dtype: input(call, 0).dtype, shape }];
};

/** Opset 1 had a scale each for height and width. */
function legacyScales(call: Call): number[] {
  const [height] = floatsAttribute(call.node, 'height_scale', [1]);
  const [width] = floatsAttribute(call.node, 'width_scale', [1]);
  return [1, 1, height, width];
}

const resize: Rule = (call) => {
  const x = input(call, 0);
  const dims = shapeOf(call, 0);
  const axes = intsAttribute(call.node, 'axes', undefined)?.map((axis) => axisIn(call, axis, dims.length)) ?? [
    ...dims.keys(),
  ];
  const sizes = call.opset > 10 ? call.inputs[3] : undefined;
  const result = [...dims];
  const lengths = sizes === undefined ? resizeByScales(call, dims, axes) : resizeToSizes(call, dims, axes, sizes.data);
  axes.forEach((axis, i) => {
    result[axis] = lengths[i];
  });
  return [{ dtype: x.dtype, shape: result }];
};

function resizeByScales(call: Call, dims: readonly Dim[], axes: readonly number[]): Dim[] {
  const scales = call.inputs[call.opset > 10 ? 2 : 1]?.data;
  const crop = stringAttribute(call.node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  const roi = crop ? call.inputs[1]?.data : undefined;
  return axes.map((axis, i) => {
    const scale = scales?.[i];
    if (typeof scale !== 'number') return call.fresh();
    if (!crop) return scaled(call, dims[axis], scale);
    const [start, end] = [roi?.[i], roi?.[i + axes.length]];
    if (typeof start !== 'number' || typeof end !== 'number') return call.fresh();
    return scaled(call, dims[axis], scale * (end - start));
  });
}

function resizeToSizes(call: Call, dims: readonly Dim[], axes: readonly number[], sizes: Elements | undefined): Dim[] {
  const policy = stringAttribute(call.node, 'keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return axes.map((_, i) => sizes?.[i] ?? call.fresh());
  const ratios = axes.map((axis, i) => {
    const [size, length] = [sizes?.[i], dims[axis]];
    return typeof size === 'number' && typeof length === 'number' ? size / length : undefined;
  });
  if (ratios.some((ratio) => ratio === undefined)) return axes.map(() => call.fresh());
  const pick = policy === 'not_larger' ? Math.min : Math.max;
  const ratio = pick(...(ratios as number[]));
  return axes.map((axis) => Math.floor(ratio * (dims[axis] as number) + 0.5));
}

const depthToSpace: Rule = (call) => {
  const [n, c, h, w] = ofRank(call, shapeOf(call, 0), 4, 'its input');
  const block = intAttribute(call.node, 'blocksize');
  return [{ dtype: input(call, 0).dtype, shape: [n, floorDivide(c, block * block), mul(h, block), mul(w, block)] }];
};

const spaceToDepth: Rule = (call) => {
  const [n, c, h, w] = ofRank(call, shapeOf(call, 0), 4, 'its input');
  const block = intAttribute(call.node, 'blocksize');
  return [
    { dtype: input(call, 0).dtype, shape: [n, mul(c, block * block), floorDivide(h, block), floorDivide(w, block)] },
  ];
};

/** x `[n, c, …]` sampled at grid `[n, …, axes]`. */
const gridSample: Rule = (call) => {
  const [n, c] = shapeOf(call, 0);
  return [{ dtype: input(call, 0).dtype, shape: [n, c, ...shapeOf(call, 1).slice(1, -1)] }];
};

const affineGrid: Rule = (call) => {
  const size = input(call, 1).data ?? cannot('its size is not known');
  const [n, , ...lengths] = size.map((length) => length ?? call.fresh());
  return [{ dtype: input(call, 0).dtype, shape: [n, ...lengths, lengths.length] }];
};

const roiAlign: Rule = (call) => {
  const [, c] = shapeOf(call, 0);
  const [count] = shapeOf(call, 1);
  const height = intAttribute(call.node, 'output_height', 1);
  const width = intAttribute(call.node, 'output_width', 1);
  return [{ dtype: input(call, 0).dtype, shape: [count, c, height, width] }];
};

const maxRoiPool: Rule = (call) => {
  const [, c] = shapeOf(call, 0);
  const [count] = shapeOf(call, 1);
  return [{ dtype: input(call, 0).dtype, shape: [count, c, ...intsAttribute(call.node, 'pooled_shape')] }];
};

export const SPATIAL: Readonly<Record<string, Rule>> = {
  Resize: resize,
  Upsample: upsample,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  RoiAlign: roiAlign,
  MaxRoiPool: maxRoiPool,
};
