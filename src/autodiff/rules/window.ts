import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import { place } from './place.ts';

/** How a window moves over the positions of [batch, channels, ...positions]; a number an axis of these. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before the first position of each axis, and after the last. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Whether the number of windows is rounded up, so that the last may reach past the padding. */
  readonly isCeiled: boolean;
}

/** The window of a convolution or pool over x. */
export function windowOf(node: NodeProto, g: Backward, x: string, kernel: readonly number[]): Window {
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(node, 'strides', ones);
  const dilations = intsAttribute(node, 'dilations', ones);
  const pads = padsOf(node, g, x, { kernel, strides, dilations });
  return {
    kernel,
    strides,
    dilations,
    before: pads.slice(0, kernel.length),
    after: pads.slice(kernel.length),
    isCeiled: intAttribute(node, 'ceil_mode', 0) === 1,
  };
}

function padsOf(
  node: NodeProto,
  g: Backward,
  x: string,
  { kernel, strides, dilations }: Omit<Window, 'before' | 'after' | 'isCeiled'>,
): number[] {
  const none = new Array<number>(2 * kernel.length).fill(0);
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (auto === 'NOTSET') return intsAttribute(node, 'pads', none);
  if (auto === 'VALID') return none;
  const lengths = g.lengths(x)?.slice(2);
  if (lengths === undefined) return g.unsupported(node, `auto_pad ${auto} needs an input of constant lengths`);
  const totals = lengths.map((length, axis) => {
    const reach = (Math.ceil(length / strides[axis]) - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1;
    return Math.max(0, reach - length);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return auto === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
}

/**
 * The transpose of moving a window over x: each element of dy is spread over the positions that it was computed from,
 * weighted by the kernel. The result has the positions of x.
 */
export function spread(g: Backward, dy: string, kernel: string, x: string, window: Window, group: number): string {
  const { strides, dilations, before, after } = window;
  if (isDense(window)) return mirrored(g, dy, kernel, window, group);
  const rank = g.rank(x);
  const lengths = g.lengths(x)?.slice(2);
  if (lengths !== undefined && !window.isCeiled) {
    // The positions after the last window, fewer than a stride.
    const rest = lengths.map(
      (length, axis) =>
        (length + before[axis] + after[axis] - dilations[axis] * (window.kernel[axis] - 1) - 1) % strides[axis],
    );
    const pads = [...before, ...after];
    return g.emit('ConvTranspose', [dy, kernel], { strides, dilations, group, pads, output_padding: rest });
  }
  const whole = g.emit('ConvTranspose', [dy, kernel], { strides, dilations, group });
  const outer = g.emit('Slice', [g.emit('Shape', [whole], {}, 'int64'), g.ints([0]), g.ints([2])]);
  const all = g.concatInts([outer, g.lengthsOf(x, 2, rank)]);
  return place(g, whole, all, g.ints([0, 0, ...before.map((pad) => -pad)]));
}

/** Whether a window starts at every position, and padding reaches no further than its kernel does. */
function isDense({ kernel, strides, dilations, before, after }: Window): boolean {
  return kernel.every((length, axis) => {
    const reach = dilations[axis] * (length - 1);
    return strides[axis] === 1 && before[axis] <= reach && after[axis] <= reach;
  });
}

/** Where windows are dense, a convolution with the mirrored kernel, which ONNX Runtime spreads over threads better. */
function mirrored(g: Backward, dy: string, kernel: string, window: Window, group: number): string {
  const { kernel: lengths, dilations, before, after } = window;
  const axes = lengths.map((_, axis) => axis + 2);
  const pads = [before, after].map((padding) =>
    padding.map((pad, axis) => dilations[axis] * (lengths[axis] - 1) - pad),
  );
  const all = (value: number) => g.ints(lengths.map(() => value));
  // From the last tap to before the first, which no negative position names.
  const toStart = all(-(2 ** 31));
  const isPoint = lengths.every((length) => length === 1);
  const turned = isPoint ? kernel : g.emit('Slice', [kernel, all(-1), toStart, g.ints(axes), all(-1)]);
  const perm = [1, 0, ...axes];
  if (group === 1) return g.emit('Conv', [dy, g.transpose(turned, perm)], { dilations, pads: pads.flat() });
  // [group * features, channels, ...] to [group * channels, features, ...]
  const channels = (g.lengths(kernel) as number[])[1];
  const apart = g.reshape(turned, [group, -1, channels, ...lengths]);
  const swapped = g.transpose(apart, [0, 2, 1, ...axes.map((axis) => axis + 1)]);
  const filters = g.reshape(swapped, [group * channels, -1, ...lengths]);
  return g.emit('Conv', [dy, filters], { dilations, pads: pads.flat(), group });
}
