import { intAttribute, intsAttribute, stringAttribute } from '../attributes.ts';
import { add, ceilDivide, type Dim, floorDivide, maxDim, minDim, mul, printShape, product, sub } from '../dim.ts';
import { type Call, cannot, contradiction, input, ofRank, type Rule, shapeOf, unify } from './call.ts';

/** How a window moves over the spatial dimensions. */
export interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins of all dimensions, then ends. */
  readonly pads: readonly number[];
  readonly autoPad: string;
}

/** The window attributes of a convolution or pool over `rank` spatial dimensions. Throws `ONNX_SHAPE`. */
export function windowOf(call: Call, rank: number, weights?: readonly Dim[]): Window {
  const list = (name: string, length: number, fallback: number) => {
    const given = intsAttribute(call.node, name, []);
    if (given.length === 0) return new Array<number>(length).fill(fallback);
    if (given.length === length) return given;
    throw contradiction(call.node, `${name} [${given}] does not fit ${rank} spatial dimensions`);
  };
  const stated = intsAttribute(call.node, 'kernel_shape', []);
  const kernel = stated.length > 0 ? stated : (weights ?? cannot('it has no kernel_shape'));
  const strides = list('strides', rank, 1);
  const dilations = list('dilations', rank, 1);
  if (kernel.length !== rank) throw contradiction(call.node, `kernel_shape [${kernel}] is not of ${rank} dimensions`);
  weights?.forEach((length, i) => {
    unify(call, length, kernel[i], 'kernel_shape and the shape of the weights');
  });
  if (strides.some((stride) => stride < 1)) throw contradiction(call.node, `strides [${strides}] are not positive`);
  if (dilations.some((dilation) => dilation < 1))
    throw contradiction(call.node, `dilations [${dilations}] are not positive`);
  return {
    kernel,
    strides,
    dilations,
    pads: list('pads', 2 * rank, 0),
    autoPad: stringAttribute(call.node, 'auto_pad', 'NOTSET'),
  };
}

/** Length that a window covers with its dilation. */
function extent(window: Window, axis: number): Dim {
  return add(mul(sub(window.kernel[axis], 1), window.dilations[axis]), 1);
}

function slide(length: Dim, window: Window, axis: number, ceil: boolean): Dim {
  const stride = window.strides[axis];
  if (window.autoPad.startsWith('SAME')) return ceilDivide(length, stride);
  const valid = window.autoPad === 'VALID';
  const [before, after] = valid ? [0, 0] : [window.pads[axis], window.pads[axis + window.strides.length]];
  const free = sub(add(length, before + after), extent(window, axis));
  if (!ceil) return add(floorDivide(free, stride), 1);
  // The last window must start inside the input or the padding before it.
  return minDim(add(ceilDivide(free, stride), 1), ceilDivide(add(length, before), stride));
}

function spatial(call: Call, at: number): { n: Dim; c: Dim; lengths: readonly Dim[] } {
  const dims = shapeOf(call, at);
  if (dims.length < 3) throw contradiction(call.node, `its input ${printShape(dims)} has no spatial dimensions`);
  return { n: dims[0], c: dims[1], lengths: dims.slice(2) };
}

/** Shape of a convolution of input `x` with weights `w`. */
export function convolved(call: Call, x: number, w: number): Dim[] {
  const { n, c, lengths } = spatial(call, x);
  const weights = ofRank(call, shapeOf(call, w), lengths.length + 2, 'the weights');
  unify(call, c, mul(weights[1], intAttribute(call.node, 'group', 1)), 'channels of input and weights');
  const window = windowOf(call, lengths.length, weights.slice(2));
  return [n, weights[0], ...lengths.map((length, axis) => slide(length, window, axis, false))];
}

const conv: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: convolved(call, 0, 1) }];

const convTranspose: Rule = (call) => {
  const { n, c, lengths } = spatial(call, 0);
  const weights = ofRank(call, shapeOf(call, 1), lengths.length + 2, 'the weights');
  unify(call, c, weights[0], 'channels of input and weights');
  const window = windowOf(call, lengths.length, weights.slice(2));
  const stated = intsAttribute(call.node, 'output_shape', []);
  const extra = intsAttribute(call.node, 'output_padding', []);
  const channels = mul(weights[1], intAttribute(call.node, 'group', 1));
  const result = lengths.map((length, axis) => {
    // Some exporters write the whole shape, some the spatial dimensions.
    if (stated.length > 0) return stated[stated.length - lengths.length + axis];
    const stride = window.strides[axis];
    const reach = add(extent(window, axis), extra[axis] ?? 0);
    const full = add(mul(sub(length, 1), stride), reach);
    if (window.autoPad.startsWith('SAME')) return sub(full, maxDim(0, sub(reach, stride)));
    if (window.autoPad === 'VALID') return full;
    return sub(full, window.pads[axis] + window.pads[axis + lengths.length]);
  });
  return [{ dtype: input(call, 0).dtype, shape: [n, channels, ...result] }];
};

const pool: Rule = (call) => {
  const { n, c, lengths } = spatial(call, 0);
  const window = windowOf(call, lengths.length);
  const ceil = intAttribute(call.node, 'ceil_mode', 0) === 1;
  const shape = [n, c, ...lengths.map((length, axis) => slide(length, window, axis, ceil))];
  return [
    { dtype: input(call, 0).dtype, shape },
    { dtype: 'int64', shape },
  ];
};

export const globalPool: Rule = (call) => {
  const { n, c, lengths } = spatial(call, 0);
  return [{ dtype: input(call, 0).dtype, shape: [n, c, ...lengths.map(() => 1)] }];
};

const maxUnpool: Rule = (call) => {
  const { n, c, lengths } = spatial(call, 0);
  const stated = call.inputs[2];
  if (stated !== undefined) {
    const shape = stated.data ?? cannot('its output_shape is not known');
    return [{ dtype: input(call, 0).dtype, shape: shape.map((length) => length ?? call.fresh()) }];
  }
  const window = windowOf(call, lengths.length);
  const result = lengths.map((length, axis) =>
    sub(
      add(mul(sub(length, 1), window.strides[axis]), window.kernel[axis]),
      window.pads[axis] + window.pads[axis + lengths.length],
    ),
  );
  return [{ dtype: input(call, 0).dtype, shape: [n, c, ...result] }];
};

const convInteger: Rule = (call) => [{ dtype: 'int32', shape: convolved(call, 0, 1) }];

/** x, scale, zero point, w, scale, zero point, y's scale, y's zero point. */
const qLinearConv: Rule = (call) => [{ dtype: input(call, 7).dtype, shape: convolved(call, 0, 3) }];

/** Columns `[n, c*block, blocks]` back to an image. */
const col2Im: Rule = (call) => {
  const [n, c] = ofRank(call, shapeOf(call, 0), 3, 'its input');
  const image = input(call, 1).data ?? cannot('its image_shape is not known');
  const block = input(call, 2).data?.map((length) => length ?? call.fresh()) ?? cannot('its block_shape is not known');
  return [
    { dtype: input(call, 0).dtype, shape: [n, floorDivide(c, product(block)), ...image.map((l) => l ?? call.fresh())] },
  ];
};

export const CONV: Readonly<Record<string, Rule>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  ConvInteger: convInteger,
  QLinearConv: qLinearConv,
  DeformConv: conv,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  MaxUnpool: maxUnpool,
  Col2Im: col2Im,
};
