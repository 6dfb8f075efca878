import { intAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { spread, type Window, windowOf } from './window.ts';

/** y = x * w + bias: dx spreads dy by w, dw correlates x with dy, dbias sums dy. */
const Conv: Rule = (node, g, [dy]) => {
  const [x, w, bias] = node.input;
  const [, inGroup, ...kernel] = g.lengths(w) ?? g.unsupported(node, `the shape of its weights '${w}' is open`);
  const group = intAttribute(node, 'group', 1);
  const window = windowOf(node, g, x, kernel);
  const positions = kernel.map((_, axis) => axis + 2);
  return [
    g.wants(x) ? spread(g, dy as string, w, x, window, group) : undefined,
    g.wants(w) ? weights(node, g, dy as string, window, { inGroup, group }) : undefined,
    bias ? g.reduceSum(dy as string, [0, ...positions], false) : undefined,
  ];
};

/**
 * dw of [features, channels of a group, ...kernel], itself a convolution: the batch takes the place of the channels, dy
 * that of the kernel, and strides and dilations change places. Groups stay groups.
 */
function weights(
  node: NodeProto,
  g: Backward,
  dy: string,
  { kernel, strides, dilations, before, after }: Window,
  { inGroup, group }: { inGroup: number; group: number },
): string {
  const [x] = node.input;
  const rank = kernel.length + 2;
  const swapped = [1, 0, ...kernel.map((_, axis) => axis + 2)];
  let batchLast = g.transpose(x, swapped);
  if (group > 1) {
    // [batch, group * inGroup, ...] to [inGroup, group * batch, ...]
    const lengths = g.lengthsOf(x, 2, rank);
    const apart = g.reshape(x, g.concatInts([g.lengthsOf(x, 0, 1), g.ints([group, inGroup]), lengths]));
    const turned = g.transpose(apart, [2, 1, 0, ...kernel.map((_, axis) => axis + 3)]);
    batchLast = g.reshape(turned, g.concatInts([g.ints([inGroup, -1]), lengths]));
  }
  const attributes = { strides: dilations, dilations: strides, pads: [...before, ...after], group };
  const taps = g.emit('Conv', [batchLast, g.transpose(dy, swapped)], attributes);
  // Positions after the last window are further taps, which the kernel does not have.
  const axes = kernel.map((_, axis) => axis + 2);
  const cropped = g.emit('Slice', [taps, g.ints(kernel.map(() => 0)), g.ints(kernel), g.ints(axes)]);
  return g.transpose(cropped, swapped);
}

export const CONV: Readonly<Record<string, Rule>> = { Conv };
