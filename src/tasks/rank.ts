/**
 * Natural logarithm of the sum of `exp` over `values[start..end)`: subtracting it from a logit gives a log-probability.
 * NaN counts as minus infinity.
 */
export function logSumExp(values: Float32Array, start = 0, end = values.length): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = start; i < end; i++) if (values[i] > largest) largest = values[i];
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  let sum = 0;
  for (let i = start; i < end; i++) if (!Number.isNaN(values[i])) sum += Math.exp(values[i] - largest);
  return largest + Math.log(sum);
}

/**
 * Indices within `values[start..end)`, from `start`, of the `count` largest, largest first, the lower index on a tie.
 * NaN is smaller than everything, so that a broken feature gives some answer and a bad score.
 */
export function largest(values: Float32Array | Float64Array, count: number, start = 0, end = values.length): number[] {
  const best: number[] = [];
  const valueAt = (i: number) => (Number.isNaN(values[start + i]) ? Number.NEGATIVE_INFINITY : values[start + i]);
  const width = end - start;
  for (let i = 0; i < width; i++) {
    const value = valueAt(i);
    if (best.length === count && !(value > valueAt(best[count - 1]))) continue;
    let at = best.length === count ? count - 1 : best.length;
    while (at > 0 && value > valueAt(best[at - 1])) {
      best[at] = best[at - 1];
      at--;
    }
    best[at] = i;
  }
  return best;
}
