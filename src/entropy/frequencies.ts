import { IsthmusError } from '../errors.ts';

/**
 * Integer frequencies, each at least 1, that sum to 2^`precision` and cost least for symbols that occur as often as
 * `weights` say: from the rounded-down shares, units move while that lowers sum(-weight * log2(frequency)). The sum is
 * convex in each frequency, so where no single move helps, nothing does. Runs when a codec is made, never at decoding.
 *
 * `weights`: at least 1 and at most 2^precision of them, each finite and >= 0. Throws `INVALID_ARGUMENT`.
 */
export function quantizeFrequencies(weights: ArrayLike<number>, precision: number): Uint16Array {
  const size = weights.length;
  const total = 2 ** precision;
  let sum = 0;
  for (let i = 0; i < size; i++) {
    if (!(weights[i] >= 0 && weights[i] < Infinity)) {
      throw new IsthmusError('INVALID_ARGUMENT', `weight ${i} of a frequency table is ${weights[i]}, needs to be >= 0`);
    }
    sum += weights[i];
  }
  if (size < 1 || size > total || precision < 1 || precision > 15) {
    throw new IsthmusError('INVALID_ARGUMENT', `${size} symbols do not fit a table of ${precision} bits (1 to 15)`);
  }
  const frequencies = new Uint16Array(size);
  let left = total;
  for (let i = 0; i < size; i++) {
    const share = sum > 0 ? weights[i] / sum : 1 / size;
    frequencies[i] = Math.max(1, Math.floor(share * total));
    left -= frequencies[i];
  }
  for (; left > 0; left--) frequencies[dearest(weights, frequencies, 1).index]++;
  for (; left < 0; left++) frequencies[dearest(weights, frequencies, -1).index]--;
  for (;;) {
    const up = dearest(weights, frequencies, 1);
    const down = dearest(weights, frequencies, -1);
    if (up.gain + down.gain <= 1e-12 * sum || up.index === down.index) return frequencies;
    frequencies[up.index]++;
    frequencies[down.index]--;
  }
}

/** The symbol whose frequency moves by `sign` to the greatest gain; none goes below 1. */
function dearest(weights: ArrayLike<number>, frequencies: Uint16Array, sign: 1 | -1): { index: number; gain: number } {
  let index = 0;
  let gain = -Infinity;
  for (let i = 0; i < frequencies.length; i++) {
    if (frequencies[i] + sign < 1) continue;
    const change = weights[i] * Math.log((frequencies[i] + sign) / frequencies[i]);
    if (change > gain) {
      index = i;
      gain = change;
    }
  }
  return { index, gain };
}
