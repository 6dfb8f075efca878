import type { Table } from './tables.ts';

/** Bits that an escaped value takes at least, beside the escape itself: side, length. */
const ESCAPE_BITS = 6;

/**
 * A table of a symmetric distribution, with integers alone: frequencies from 1 that sum to 2^`precision`, in the proportion of
 * `weights` (of 0, ±1, ±2 …) and of the escape's `tails` on both sides, all in units of 2^-36. Values that are worth less than a
 * place takes from the others are left to the escape. Units go where weight / (2 frequency + 1) is largest, the method of Sainte-Laguë:
 * log((f + 1) / f) is 2 / (2 f + 1) to first order, so that is where a unit saves most.
 */
export function apportion(weights: readonly number[], tails: readonly number[], precision: number): Table {
  // A value is worth its place where its weight times the bits it saves is above log2(e) / 2^precision, here 3 / 2 / 2^precision.
  const worth = (k: number) => weights[k] * 2 ** (precision + 1) * (ESCAPE_BITS + 1) > 3 * 2 ** 36;
  const most = 2 ** (precision - 3) - 1;
  let reach = 0;
  while (reach < most && reach + 1 < weights.length && worth(reach + 1)) reach++;
  const shares = Float64Array.from({ length: 2 * reach + 2 }, (_, i) =>
    i <= 2 * reach ? weights[Math.abs(i - reach)] : 2 * (tails[reach] ?? 0),
  );
  const total = shares.reduce((sum, share) => sum + share, 0);
  const frequencies = new Uint16Array(shares.length);
  let left = 2 ** precision;
  for (let i = 0; i < shares.length; i++) {
    // Exact: a share has at most 37 bits and the precision 15.
    frequencies[i] = Math.max(1, Math.floor((shares[i] * 2 ** precision) / total));
    left -= frequencies[i];
  }
  move(shares, frequencies, left);
  return { low: -reach, frequencies };
}

/**
 * Gives `units` away one by one (takes them, where negative, never the last of a frequency), each where it saves most or costs least; of
 * equals the first. A heap, as tables have up to 8,192 places and thousands of units to give.
 */
function move(shares: Float64Array, frequencies: Uint16Array, units: number): void {
  const sign = Math.sign(units);
  const heap: number[] = [];
  for (let i = 0; i < shares.length; i++) if (frequencies[i] + sign >= 1) heap.push(i);
  // Exact: a share has at most 37 bits, and twice a frequency 16.
  const before = (i: number, j: number): boolean => {
    const gain = sign * (shares[i] * (2 * frequencies[j] + sign) - shares[j] * (2 * frequencies[i] + sign));
    return gain > 0 || (gain === 0 && i < j);
  };
  const sink = (at: number): void => {
    for (;;) {
      let first = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < heap.length; child++) {
        if (before(heap[child], heap[first])) first = child;
      }
      if (first === at) return;
      [heap[at], heap[first]] = [heap[first], heap[at]];
      at = first;
    }
  };
  for (let at = heap.length >> 1; at >= 0; at--) sink(at);
  for (let left = Math.abs(units); left > 0; left--) {
    frequencies[heap[0]] += sign;
    if (frequencies[heap[0]] + sign < 1) {
      const last = heap.pop() as number;
      if (heap.length === 0) continue;
      heap[0] = last;
    }
    sink(0);
  }
}
