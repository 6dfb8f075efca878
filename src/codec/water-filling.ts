/** Components of some vectors, by falling variance. */
export interface Spectrum {
  readonly vectors: number;
  readonly variances: Float64Array;
}

/**
 * The step at which Gaussian components of these variances take that many bits in all: reverse water-filling (T. Cover and J. Thomas,
 * "Elements of Information Theory", 10.3.3) with a uniform quantizer's distortion of step^2 / 12. 1 where nothing varies.
 */
export function stepForBits(spectra: readonly Spectrum[], bits: number): number {
  const rate = (step: number): number => {
    let sum = 0;
    for (const { vectors, variances } of spectra) {
      for (const variance of variances) sum += vectors * Math.max(0, 0.5 * Math.log2((12 * variance) / (step * step)));
    }
    return sum;
  };
  const largest = Math.max(...spectra.map(({ variances }) => variances[0]));
  if (!(largest > 0)) return 1;
  let high = Math.log2(Math.sqrt(12 * largest));
  let low = high - 64;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (rate(2 ** middle) > bits) low = middle;
    else high = middle;
  }
  return 2 ** high;
}
