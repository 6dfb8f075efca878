import { LOSS_TARGETS, monotone } from './interpolate.ts';
import type { Point } from './point.ts';

/** One setting of a way that can be measured. */
export interface Rung {
  readonly setting: string;
  measure(): Promise<Point>;
}

/** The settings of a way, from the fewest bytes to the most. */
export interface Ladder {
  readonly rungs: readonly Rung[];
  /** Rungs that are always measured. */
  readonly first: readonly [from: number, to: number];
}

/**
 * Measures the first rungs, then rungs on either side for as long as the points do not enclose the losses that bytes
 * are asked for: downwards while the cheapest loses too little, upwards while the dearest loses too much. `onMore` is
 * called before each of these.
 */
export async function* climb({ rungs, first }: Ladder, onMore: () => void = () => {}): AsyncGenerator<Point> {
  let [from, to] = first;
  const points: Point[] = [];
  for (const rung of rungs.slice(from, to)) {
    const point = await rung.measure();
    points.push(point);
    yield point;
  }
  while (from > 0 && monotone(points)[0].loss <= Math.max(...LOSS_TARGETS)) {
    onMore();
    const point = await rungs[--from].measure();
    points.push(point);
    yield point;
  }
  while (to < rungs.length && (monotone(points).at(-1) as { loss: number }).loss > Math.min(...LOSS_TARGETS)) {
    onMore();
    const point = await rungs[to++].measure();
    points.push(point);
    yield point;
  }
}
