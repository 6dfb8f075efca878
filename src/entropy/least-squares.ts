/** Pull towards 0 that keeps weights of rare events small, in squared units of the values. */
const RIDGE = 20;
const ROUNDS = 300;

/**
 * Ridge regressions of `size` weights, one for each of `count` groups, from samples that `feed` adds: [count, size]. With `positive`
 * no weight is negative, and the first, a constant's, has no ridge. By coordinate descent on the normal equations, which converges
 * for both. Runs when a codec is made, never at decoding.
 */
export function leastSquares(
  count: number,
  size: number,
  feed: (add: (group: number, x: Float64Array, y: number) => void) => void,
  positive = false,
): Float64Array {
  const squares = new Float64Array(count * size * size);
  const products = new Float64Array(count * size);
  feed((group, x, y) => {
    for (let a = 0; a < size; a++) {
      const xa = x[a];
      if (xa === 0) continue;
      products[group * size + a] += xa * y;
      const row = (group * size + a) * size;
      for (let b = 0; b < size; b++) squares[row + b] += xa * x[b];
    }
  });
  const weights = new Float64Array(count * size);
  for (let group = 0; group < count; group++) {
    const w = weights.subarray(group * size, (group + 1) * size);
    for (let round = 0; round < ROUNDS; round++) {
      for (let a = 0; a < size; a++) {
        const row = (group * size + a) * size;
        let rest = products[group * size + a];
        for (let b = 0; b < size; b++) if (b !== a) rest -= squares[row + b] * w[b];
        const ridge = positive && a === 0 ? 1e-9 : RIDGE;
        w[a] = rest / (squares[row + a] + ridge);
        if (positive && w[a] < 0) w[a] = 0;
      }
    }
  }
  return weights;
}
