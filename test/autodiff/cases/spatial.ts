import type { Input } from '../applied.ts';
import { type Case, type Draw, fed, list } from './draw.ts';

/** Kernel, strides, dilations and pads for some positions, and lengths that they fit into. */
function windowed(d: Draw, isPool: boolean) {
  const axes = d.int(1, 2);
  const each = (low: number, high: number) => Array.from({ length: axes }, () => d.int(low, high));
  const kernel = each(1, 3);
  const dilations = isPool && d.opset < 19 ? kernel.map(() => 1) : each(1, 2);
  const pads = [...kernel, ...kernel].map((length) => d.int(0, length - 1));
  const positions = kernel.map((length, axis) => dilations[axis] * (length - 1) + 1 + d.int(0, 4));
  const auto = d.pick('NOTSET', 'NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER');
  const padding: Record<string, number[] | number | string> = auto === 'NOTSET' ? { pads } : { auto_pad: auto };
  // Where a whole window lies past the end, ONNX Runtime 1.30 infers another shape than it computes.
  const ceil = isPool && auto === 'NOTSET' && d.pick(true, false);
  if (ceil) Object.assign(padding, { ceil_mode: 1, pads: pads.fill(0, axes) });
  const strides = each(1, 3).map((stride, axis) =>
    isPool && auto !== 'VALID' ? Math.min(stride, kernel[axis]) : stride,
  );
  // SAME with dilations is read differently by runtimes.
  const attributes: Record<string, number[] | number | string> = auto.startsWith('SAME')
    ? { kernel_shape: kernel, strides, ...padding }
    : { kernel_shape: kernel, strides, ...(isPool && d.opset < 19 ? {} : { dilations }), ...padding };
  return { kernel, positions, attributes };
}

const convolution: Case = {
  op: 'Conv',
  draw: (d) => {
    const { kernel, positions, attributes } = windowed(d, false);
    const group = d.pick(1, 1, 2, 3);
    const [inGroup, outGroup] = [d.int(1, 2), d.int(1, 2)];
    const isSame = String(attributes.auto_pad).startsWith('SAME');
    const x = { ...d.real([d.int(1, 3), group * inGroup, ...positions]), isFixedShape: isSame };
    const w = { ...d.real([group * outGroup, inGroup, ...kernel]), isFixedShape: true };
    const bias = d.pick([], [d.real([group * outGroup])]);
    return { inputs: [x, w, ...bias], attributes: { ...attributes, group } };
  },
};

const transposedConvolution: Case = {
  op: 'ConvTranspose',
  draw: (d) => {
    const axes = d.int(1, 2);
    const each = (low: number, high: number) => Array.from({ length: axes }, () => d.int(low, high));
    const [kernel, strides, dilations, positions] = [each(1, 3), each(1, 3), each(1, 2), each(2, 4)];
    const pads = [...kernel, ...kernel].map((length) => d.int(0, Math.min(1, length - 1)));
    const group = d.pick(1, 1, 2);
    const [inGroup, outGroup] = [d.int(1, 2), d.int(1, 2)];
    const w = { ...d.real([group * inGroup, outGroup, ...kernel]), isFixedShape: true };
    const attributes = { kernel_shape: kernel, strides, dilations, group };
    // As long as the windows reach, or up to 2 shorter.
    const shape = positions.map((length, i) => {
      const whole = strides[i] * (length - 1) + dilations[i] * (kernel[i] - 1) + 1;
      return Math.max(1, whole - d.int(0, 2));
    });
    const more = d.pick<Record<string, number[] | string>>(
      { pads },
      { pads, output_padding: strides.map((stride) => d.int(0, stride - 1)) },
      { auto_pad: 'VALID' },
      { output_shape: shape },
      { output_shape: shape, auto_pad: d.pick('SAME_UPPER', 'SAME_LOWER') },
    );
    const isFixedShape = 'output_shape' in more;
    const x = { ...d.real([d.int(1, 3), group * inGroup, ...positions]), isFixedShape };
    return { inputs: [x, w, ...d.pick([], [d.real([group * outGroup])])], attributes: { ...attributes, ...more } };
  },
};

const COORDINATES = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'];

const resize: Case = {
  op: 'Resize',
  opsets: [13, 18, 19, 21],
  draw: (d) => {
    const shape = [d.int(1, 2), d.int(1, 2), d.int(2, 4), d.int(2, 4)];
    const size = [...shape.slice(0, 2), d.int(1, 8), d.int(1, 8)];
    const mode = d.pick('nearest', 'linear', 'cubic');
    const coordinates = [...COORDINATES, ...(d.opset >= 19 ? ['half_pixel_symmetric'] : [])];
    const attributes: Record<string, string | number> = {
      mode,
      coordinate_transformation_mode: d.pick(...coordinates),
    };
    if (mode === 'nearest') {
      attributes.nearest_mode = d.pick('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil');
    } else {
      if (mode === 'cubic') Object.assign(attributes, d.pick<object>({}, { cubic_coeff_a: -0.5, exclude_outside: 1 }));
      if (d.opset >= 18 && d.pick(true, false)) attributes.antialias = 1;
    }
    const byAxes = d.opset >= 18 && d.pick(true, false);
    if (byAxes) Object.assign(attributes, { axes: [2, -1] });
    const of = (all: number[]) => (byAxes ? all.slice(2) : all);
    const given = (all: Input) => ({ ...d.pick(all, fed(all)), isFixedShape: true });
    // A little more than asked for, which rounding down takes off in any precision.
    const ratios = of(
      size.map((length, axis) => (length === shape[axis] ? 1 : (length + d.pick(0.1, 0.4)) / shape[axis])),
    );
    const floats: Input = { shape: [ratios.length], values: ratios, dtype: 'float32', isConstant: true };
    return {
      inputs: [d.real(shape), undefined, ...d.pick([given(floats)], [undefined, given(list(...of(size)))])],
      attributes,
    };
  },
};

/** As PyTorch's exporter writes its interpolation. */
const interpolation: Case = {
  op: 'Resize',
  opsets: [13, 18],
  draw: (d) => {
    const shape = [d.int(1, 2), d.int(1, 2), d.int(2, 4), d.int(2, 4)];
    const sizes = list(...shape.slice(0, 2), d.int(2, 8), d.int(2, 8));
    const smooth = {
      mode: d.pick('linear', 'cubic'),
      coordinate_transformation_mode: d.pick('half_pixel', 'align_corners'),
    };
    const attributes = d.pick<Record<string, string | number>>(
      { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      { ...smooth, cubic_coeff_a: -0.75 },
      { ...smooth, cubic_coeff_a: -0.75, ...(d.opset < 18 ? {} : { antialias: 1 }) },
    );
    return { inputs: [d.real(shape), undefined, undefined, sizes], attributes };
  },
};

export const SPATIAL: readonly Case[] = [
  convolution,
  transposedConvolution,
  { op: 'GlobalAveragePool', draw: (d) => ({ inputs: [d.real([2, 2, ...d.shape(1, 2)])] }) },
  { op: 'GlobalMaxPool', draw: (d) => ({ inputs: [d.distinct([2, 2, ...d.shape(1, 2)])] }) },
  {
    op: 'AveragePool',
    draw: (d) => {
      const { positions, attributes } = windowed(d, true);
      const count = d.int(0, 1);
      const isFixedShape = String(attributes.auto_pad).startsWith('SAME') || attributes.ceil_mode === 1;
      const x = { ...d.real([d.int(1, 2), d.int(1, 2), ...positions]), isFixedShape };
      return { inputs: [x], attributes: { ...attributes, count_include_pad: count } };
    },
  },
  {
    op: 'MaxPool',
    draw: (d) => {
      const { kernel, positions, attributes } = windowed(d, true);
      const isFixedShape = String(attributes.auto_pad).startsWith('SAME') || attributes.ceil_mode === 1;
      const dilations = isFixedShape ? kernel.map(() => 1) : kernel.map(() => d.int(1, 2));
      const longer = positions.map((length, axis) => length + (kernel[axis] - 1) * (dilations[axis] - 1));
      const x = { ...d.distinct([d.int(1, 2), d.int(1, 2), ...longer]), isFixedShape };
      return { inputs: [x], attributes: { ...attributes, dilations } };
    },
  },
  {
    op: 'LpPool',
    opsets: [13, 18, 21],
    draw: (d) => {
      const { positions, attributes } = windowed(d, true);
      if (d.opset < 18) delete attributes.ceil_mode;
      const isFixedShape = String(attributes.auto_pad).startsWith('SAME');
      const x = { ...d.real([d.int(1, 2), d.int(1, 2), ...positions], -2, 2, [0]), isFixedShape };
      return { inputs: [x], attributes: { ...attributes, p: d.int(1, 3) } };
    },
  },
  {
    op: 'GlobalLpPool',
    draw: (d) => ({ inputs: [d.real([2, 2, ...d.shape(1, 2)], -2, 2, [0])], attributes: { p: d.int(1, 3) } }),
  },
  resize,
  interpolation,
];
