import type { Finding } from './evidence.ts';
import { LOSS_TARGETS, monotone, WORKING_LOSS } from './interpolate.ts';
import type { Point } from './point.ts';

/** One setting of a way that can be measured. */
export interface Rung {
  readonly setting: string;
  measure(): Promise<Finding>;
}

/** The settings of a way, from the fewest bytes to the most. */
export interface Ladder {
  readonly rungs: readonly Rung[];
  /** Rungs that are always measured. */
  readonly first: readonly [from: number, to: number];
}

/**
 * Measures the first rungs, then rungs on either side for as long as the points do not enclose the losses that bytes
 * are asked for: downwards while the cheapest loses too little, upwards while the dearest loses too much. What loses at
 * most {@link WORKING_LOSS}, by an interval that holds no loss at all, is not gone beyond: more images would have to tell
 * more bytes from it. `onMore` is called before each of these.
 */
export async function* climb({ rungs, first }: Ladder, onMore: () => void = () => {}): AsyncGenerator<Finding> {
  let [from, to] = first;
  const points: Point[] = [];
  for (const rung of rungs.slice(from, to)) {
    const finding = await rung.measure();
    points.push(finding.point);
    yield finding;
  }
  while (from > 0 && monotone(points)[0].loss <= WORKING_LOSS) {
    onMore();
    const finding = await rungs[--from].measure();
    points.push(finding.point);
    yield finding;
  }
  while (to < rungs.length && losesTooMuch(points)) {
    onMore();
    const finding = await rungs[to++].measure();
    points.push(finding.point);
    yield finding;
  }
}

function losesTooMuch(points: readonly Point[]): boolean {
  if ((monotone(points).at(-1) as { loss: number }).loss <= Math.min(...LOSS_TARGETS)) return false;
  return !points.some(({ loss, lossLow }) => loss <= WORKING_LOSS && lossLow <= 0);
}
