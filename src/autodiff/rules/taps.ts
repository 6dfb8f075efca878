import type { Dim } from '../../onnx/dim.ts';
import type { Backward } from '../backward.ts';
import type { Window } from './window.ts';

/** What the gradient of a convolution's weights is made of. */
export interface Correlation {
  /** [batch, group * channels, ...positions] */
  readonly x: string;
  /** A tensor of the graph with the lengths of x. */
  readonly xLike: string;
  /** [batch, features, ...windows] */
  readonly dy: string;
  /** A tensor of the graph with the lengths of dy. */
  readonly dyLike: string;
  readonly window: Window;
  readonly group: number;
  /** Lengths of the weights: [features, channels of a group, ...kernel]. */
  readonly lengths: readonly number[];
}

/** With more taps than this the many products take longer than one convolution with a kernel as large as dy. */
const MOST_TAPS = 32;

/** Below this many channels a product a tap is too narrow to be fast: one product has the channels of all taps. */
const FEW_CHANNELS = 16;

/**
 * dw of [features, channels of a group, ...kernel]: each tap of the kernel is the product of dy with x as far as that tap
 * saw it, summed over windows and batch. ONNX Runtime takes half the time that it needs for the same as a convolution.
 */
export function correlate(g: Backward, parts: Correlation): string {
  const { dy, window, group, lengths } = parts;
  const taps = window.kernel.reduce((a, b) => a * b, 1);
  if (taps > MOST_TAPS) return asConvolution(g, parts);
  const [features, channels] = lengths;
  // [batch, group, rows, positions], without the axis of groups where there is one.
  const rows = (name: string, count: number) => g.reshape(name, group === 1 ? [0, count, -1] : [0, group, count, -1]);
  const product = (left: string, right: string) => {
    const perm = group === 1 ? [0, 2, 1] : [0, 1, 3, 2];
    return g.reduceSum(g.emit('MatMul', [left, g.transpose(right, perm)]), [0], false);
  };
  const dyRows = rows(dy, features / group);
  const seen = seenByTaps(g, parts).map((x) => rows(x, channels));
  if (group === 1 && channels < FEW_CHANNELS) {
    const all = product(dyRows, seen.length === 1 ? seen[0] : g.emit('Concat', seen, { axis: 1 }));
    return g.reshape(g.transpose(g.reshape(all, [features, taps, channels]), [0, 2, 1]), lengths);
  }
  const each = seen.map((x) => g.reshape(product(dyRows, x), [features, channels, 1]));
  return g.reshape(each.length === 1 ? each[0] : g.emit('Concat', each, { axis: 2 }), lengths);
}

/** For each tap of the kernel, row-major, the elements of x that it meets, one a window. */
function seenByTaps(g: Backward, { x, dyLike, window }: Correlation): string[] {
  const { kernel, strides, dilations, before, after } = window;
  const axes = kernel.map((_, axis) => axis + 2);
  const pads = [0, 0, ...before, 0, 0, ...after];
  const padded = pads.every((pad) => pad === 0) ? x : g.emit('Pad', [x, g.ints(pads)]);
  const endsOf = reach(g, dyLike, strides);
  const offsets = kernel.reduce<number[][]>(
    (all, length) => all.flatMap((offset) => Array.from({ length }, (_, tap) => [...offset, tap])),
    [[]],
  );
  return offsets.map((offset) => {
    const starts = offset.map((tap, axis) => tap * dilations[axis]);
    return g.emit('Slice', [padded, g.ints(starts), endsOf(starts), g.ints(axes), g.ints(strides)]);
  });
}

/** From where windows start to behind where the last one does. */
function reach(g: Backward, dyLike: string, strides: readonly number[]): (starts: readonly number[]) => string {
  const windows: readonly Dim[] | undefined = g.shape(dyLike)?.slice(2);
  if (windows?.every((length) => typeof length === 'number')) {
    return (starts) => g.ints(starts.map((start, axis) => start + strides[axis] * ((windows[axis] as number) - 1) + 1));
  }
  const steps = g.sub(g.lengthsOf(dyLike, 2, strides.length + 2), g.ints(strides.map(() => 1)));
  const span = g.mul(steps, g.ints(strides));
  return (starts) => g.add(span, g.ints(starts.map((start) => start + 1)));
}

/** The batch takes the place of the channels, dy that of the kernel, and strides and dilations change places. */
function asConvolution(g: Backward, { x, xLike, dy, window, group, lengths }: Correlation): string {
  const { kernel, strides, dilations, before, after } = window;
  const axes = kernel.map((_, axis) => axis + 2);
  const swapped = [1, 0, ...axes];
  let batchLast = g.transpose(x, swapped);
  if (group > 1) {
    // [batch, group * channels, ...] to [channels, group * batch, ...]
    const [, channels] = lengths;
    const positions = g.lengthsOf(xLike, 2, kernel.length + 2);
    const apart = g.reshape(x, g.concatInts([g.lengthsOf(xLike, 0, 1), g.ints([group, channels]), positions]));
    const turned = g.transpose(apart, [2, 1, 0, ...axes.map((axis) => axis + 1)]);
    batchLast = g.reshape(turned, g.concatInts([g.ints([channels, -1]), positions]));
  }
  const attributes = { strides: dilations, dilations: strides, pads: [...before, ...after], group };
  const taps = g.emit('Conv', [batchLast, g.transpose(dy, swapped)], attributes);
  // Positions after the last window are further taps, which the kernel does not have.
  const cropped = g.emit('Slice', [taps, g.ints(kernel.map(() => 0)), g.ints(kernel), g.ints(axes)]);
  return g.transpose(cropped, swapped);
}
