import { IsthmusError } from '../../errors.ts';
import { elements } from '../../tensor.ts';

/**
 * A feature as tokens in a grid, one row after the other, with some tokens of their own before it (a class token, say).
 * Each token is a vector of `length` numbers.
 */
export interface TokenGrid {
  readonly prefix: number;
  readonly height: number;
  readonly width: number;
  readonly length: number;
  /** Whether the feature is `[batch, length, height, width]` instead of `[batch, tokens, length]`. */
  readonly channelsFirst: boolean;
}

/** Tokens that models put before a square grid: none, a class token, that and one for distillation, that and four registers. */
const PREFIXES = [0, 1, 2, 5];

/**
 * How a feature of this shape (batch 1) is a grid: `[1, length, height, width]` as it says, `[1, tokens, length]` as a square
 * after 0, 1, 2 or 5 tokens where there is one, else as a line; `[1, length]` as one token. `size` states height and width of
 * tokens where that is not so. Throws `INVALID_ARGUMENT` for other ranks, and for a size that does not fit.
 */
export function tokenGrid(shape: readonly number[], size?: readonly [height: number, width: number]): TokenGrid {
  const fits = [2, 3, 4].includes(shape.length) && shape[0] === 1 && elements(shape) > 0;
  if (!fits || (size !== undefined && shape.length !== 3)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `a trained transform takes a feature [1, tokens, length], [1, channels, height, width] or [1, length], and a grid is ` +
        `stated for tokens alone; this one is [${shape}]${size ? ` with a grid of ${size.join(' x ')}` : ''}`,
    );
  }
  if (shape.length === 4)
    return { prefix: 0, height: shape[2], width: shape[3], length: shape[1], channelsFirst: true };
  const [tokens, length] = shape.length === 3 ? shape.slice(1) : [1, shape[1]];
  const grid = (prefix: number, height: number, width: number) => ({
    prefix,
    height,
    width,
    length,
    channelsFirst: false,
  });
  if (size) {
    const prefix = tokens - size[0] * size[1];
    if (prefix >= 0) return grid(prefix, ...size);
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `a grid of ${size.join(' x ')} has more tokens than the ${tokens} there are`,
    );
  }
  for (const prefix of PREFIXES) {
    const side = Math.sqrt(tokens - prefix);
    if (tokens > prefix && Number.isInteger(side)) return grid(prefix, side, side);
  }
  return grid(0, 1, tokens);
}

/** The grid in square groups of `side` tokens each way: a vector for each group. A line is grouped along its length. */
export interface Grouping {
  /** Tokens of a group from top to bottom, and from left to right. */
  readonly sides: readonly [down: number, across: number];
  /** Groups from top to bottom, and from left to right. */
  readonly groups: readonly [down: number, across: number];
  /** Numbers in a group's vector: its tokens one after the other. */
  readonly length: number;
}

/** Throws `INVALID_ARGUMENT` where the side does not divide the grid. */
export function groupingOf({ height, width, length }: TokenGrid, side: number): Grouping {
  const down = height === 1 ? 1 : side;
  if (height % down !== 0 || width % side !== 0) {
    const fitting = Array.from({ length: width }, (_, i) => i + 1).filter(
      (each) => width % each === 0 && (height === 1 || height % each === 0),
    );
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `groups of ${side} do not divide a grid of ${height} x ${width}; choose from ${fitting.join(', ')}`,
    );
  }
  return { sides: [down, side], groups: [height / down, width / side], length: down * side * length };
}

/** Number of groups. */
export function groupCount({ groups }: Grouping): number {
  return groups[0] * groups[1];
}

/**
 * The group vectors of features, row-major `[batch, groups, length]`, and their prefix tokens `[batch, prefix, token length]`.
 * The same order as the graphs of transform.ts.
 */
export function gatherGroups(
  grid: TokenGrid,
  grouping: Grouping,
  feature: Float32Array,
  batch: number,
): { readonly groups: Float32Array; readonly prefix: Float32Array } {
  const { prefix, height, width, length, channelsFirst } = grid;
  const {
    sides: [down, across],
  } = grouping;
  const one = feature.length / batch;
  const groups = new Float32Array(batch * height * width * length);
  const tokens = new Float32Array(batch * prefix * length);
  let at = 0;
  for (let b = 0; b < batch; b++) {
    const start = b * one;
    tokens.set(feature.subarray(start, start + prefix * length), b * prefix * length);
    for (let top = 0; top < height; top += down) {
      for (let left = 0; left < width; left += across) {
        for (let y = top; y < top + down; y++) {
          for (let x = left; x < left + across; x++) {
            const place = y * width + x;
            if (channelsFirst) {
              for (let c = 0; c < length; c++) groups[at++] = feature[start + c * height * width + place];
            } else {
              const from = start + (prefix + place) * length;
              groups.set(feature.subarray(from, from + length), at);
              at += length;
            }
          }
        }
      }
    }
  }
  return { groups, prefix: tokens };
}
