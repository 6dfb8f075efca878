import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { randomOf } from '../random.ts';

/** A place in a training set's order: the item, and how often all items came before. */
export interface Turn {
  readonly item: number;
  readonly epoch: number;
}

/** The order of `count` items in an epoch, a permutation: a pure function of seed and epoch (Fisher and Yates). */
export function epochOrder(count: number, seed: number, epoch: number): Uint32Array {
  const random = randomOf('order', seed, epoch);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < count - 1; i++) {
    const j = uniformInt(random, i, count - 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * Whose turn it is at a step: the epochs' orders one after the other, cut into batches. A batch is always full, so the one
 * at the end of an epoch goes on with the next; in every `count` turns each item comes once. A pure function of seed and
 * step, so that a run goes on anywhere; the orders of two epochs are kept.
 */
export function turnsOf(count: number, batch: number, seed: number): (step: number) => Turn[] {
  const orders = new Map<number, Uint32Array>();
  const orderOf = (epoch: number) => {
    const known = orders.get(epoch);
    if (known) return known;
    const order = epochOrder(count, seed, epoch);
    orders.set(epoch, order);
    const [oldest] = orders.keys();
    if (orders.size > 2) orders.delete(oldest);
    return order;
  };
  return (step) =>
    Array.from({ length: batch }, (_, i) => {
      const at = step * batch + i;
      const epoch = Math.floor(at / count);
      return { item: orderOf(epoch)[at - epoch * count], epoch };
    });
}
