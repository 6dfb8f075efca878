import { hasAttribute, intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { correlate } from './taps.ts';
import { spread, type Window, windowOf } from './window.ts';

/** y = x * w + bias: dx spreads dy by w, dw correlates x with dy, dbias sums dy. */
const Conv: Rule = (node, g, [dy]) => {
  const [x, w, bias] = node.input;
  const [y] = node.output;
  const lengths = lengthsOfWeights(node, g);
  const kernel = lengths.slice(2);
  const group = intAttribute(node, 'group', 1);
  const window = windowOf(node, g, x, kernel);
  return [
    g.wants(x) ? spread(g, dy as string, w, x, window, group) : undefined,
    g.wants(w) ? correlate(g, { x, xLike: x, dy: dy as string, dyLike: y, window, group, lengths }) : undefined,
    bias ? sumOfChannels(g, dy as string, kernel.length) : undefined,
  ];
};

/** The transpose of a convolution: x and dy change places. */
const ConvTranspose: Rule = (node, g, [dy]) => {
  const [x, w, bias] = node.input;
  const [y] = node.output;
  const lengths = lengthsOfWeights(node, g);
  const kernel = lengths.slice(2);
  const group = intAttribute(node, 'group', 1);
  const window = transposedWindow(node, g, kernel);
  const { strides, dilations, before, after } = window;
  return [
    g.emit('Conv', [dy, w], { strides, dilations, pads: [...before, ...after], group }),
    g.wants(w) ? correlate(g, { x: dy as string, xLike: y, dy: x, dyLike: x, window, group, lengths }) : undefined,
    bias ? sumOfChannels(g, dy as string, kernel.length) : undefined,
  ];
};

/** The window that moves over y. Where the lengths of y are asked for, what is cropped off them follows. */
function transposedWindow(node: NodeProto, g: Backward, kernel: readonly number[]): Window {
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(node, 'strides', ones);
  const dilations = intsAttribute(node, 'dilations', ones);
  const none = kernel.map(() => 0);
  if (!hasAttribute(node, 'output_shape') && !auto.startsWith('SAME')) {
    const pads = auto === 'VALID' ? [...none, ...none] : intsAttribute(node, 'pads', [...none, ...none]);
    const [before, after] = [pads.slice(0, kernel.length), pads.slice(kernel.length)];
    return { kernel, strides, dilations, before, after, isCeiled: false };
  }
  const [from, to] = [g.lengths(node.input[0]), g.lengths(node.output[0])];
  if (from === undefined || to === undefined) {
    return g.unsupported(node, 'output_shape and auto_pad SAME need an input of constant lengths');
  }
  const extra = intsAttribute(node, 'output_padding', none);
  const cropped = kernel.map((length, axis) => {
    const full = strides[axis] * (from[axis + 2] - 1) + extra[axis] + (length - 1) * dilations[axis] + 1;
    return Math.max(0, full - to[axis + 2]);
  });
  const small = cropped.map((total) => Math.floor(total / 2));
  const large = cropped.map((total) => Math.ceil(total / 2));
  const [before, after] = auto === 'SAME_UPPER' ? [small, large] : [large, small];
  return { kernel, strides, dilations, before, after, isCeiled: false };
}

function lengthsOfWeights(node: NodeProto, g: Backward): number[] {
  return g.lengths(node.input[1]) ?? g.unsupported(node, `the shape of its weights '${node.input[1]}' is open`);
}

function sumOfChannels(g: Backward, dy: string, positions: number): string {
  return g.reduceSum(dy, [0, ...Array.from({ length: positions }, (_, axis) => axis + 2)], false);
}

export const CONV: Readonly<Record<string, Rule>> = { Conv, ConvTranspose };
