/** Distributions of one scale: how a rounded value's probability falls with its magnitude. */
export const SHAPES = ['laplace', 'gaussian', 'logistic'] as const;
export type Shape = (typeof SHAPES)[number];

/** Scale indices are 0 to 103: eighth octaves from 2^-4 to 2^8.9 quantization steps. */
export const SCALES = 104;
const PER_OCTAVE = 8;
const SMALLEST_OCTAVE = -4;
/** Digits of every fixed-point number here: errors stay below 2^-80 of a probability, tables have 2^-15. */
const DIGITS = 96n;
const ONE = 1n << DIGITS;
/** Weights come out in these units, so that a weight times 2^17 is exact in a double. */
const WEIGHT_BITS = 36n;

/**
 * Probabilities of the integers as weights in units of 2^-36, from fixed-point integers alone, so that they are the same on every
 * machine: `weights[k]` of k and, each, of -k; `tails[k]` of all beyond k on one side. Ends where nothing is left. Scale index s
 * is 2^(s / 8 - 4) steps: b of exp(-|x| / b), sigma of exp(-x^2 / 2 sigma^2), s of 1 / (1 + exp(-x / s)).
 */
export function shapeWeights(shape: Shape, scale: number): { weights: number[]; tails: number[] } {
  const beyond = shape === 'gaussian' ? gaussianTails(scale) : exponentialTails(shape, scale);
  // beyond[k] is the probability of more than k + 1/2.
  const toWeight = (x: bigint) => Number((x + (1n << (DIGITS - WEIGHT_BITS - 1n))) >> (DIGITS - WEIGHT_BITS));
  const tails = beyond.map(toWeight);
  const weights = beyond.map((tail, k) => toWeight(k === 0 ? ONE - 2n * tail : beyond[k - 1] - tail));
  return { weights, tails };
}

/** Laplace: exp(-x / b) / 2. Logistic: 1 / (1 + exp(x / s)). Both from powers of exp(-1 / 2 scale). */
function exponentialTails(shape: 'laplace' | 'logistic', scale: number): bigint[] {
  const half = expMinus(inverseScale(scale) >> 1n);
  const whole = (half * half) >> DIGITS;
  const tails: bigint[] = [];
  for (let power = half; ; power = (power * whole) >> DIGITS) {
    const tail = shape === 'laplace' ? power >> 1n : (power << DIGITS) / (ONE + power);
    tails.push(tail);
    if (tail >> (DIGITS - WEIGHT_BITS - 1n) === 0n) return tails;
  }
}

/**
 * Gaussian: Simpson's rule over each integer's interval, in pieces of at most sigma / 16, where its relative error is below 2^-23. The density at
 * equal distances h follows from two products: g(x + h) = g(x) r(x), r(x + h) = r(x) exp(-h^2 / sigma^2).
 */
function gaussianTails(scale: number): bigint[] {
  const inverse = inverseScale(scale);
  // Pieces of an interval of length 1, an even number: 1 / (sigma / 16), at least 2.
  const pieces = Math.max(2, 2 * (Number(inverse >> (DIGITS - 3n)) + 1));
  const step = inverse / BigInt(2 * pieces);
  // Half intervals, so that the first, from 0 to 1/2, has an even number of pieces too.
  const square = (step * step) >> DIGITS;
  const shrinks = expMinus(square);
  let ratio = expMinus(square >> 1n);
  let density = ONE;
  const next = (): bigint => {
    density = (density * ratio) >> DIGITS;
    ratio = (ratio * shrinks) >> DIGITS;
    return density;
  };
  const areas: bigint[] = [];
  let total = 0n;
  for (;;) {
    let area = density;
    const count = areas.length === 0 ? pieces : 2 * pieces;
    for (let i = 1; i < count; i++) area += next() << (i % 2 === 1 ? 2n : 1n);
    area += next();
    areas.push(area);
    total += area;
    // The tail beyond is less than what lies at this density in one more sigma.
    if (area === 0n || area >> (DIGITS - WEIGHT_BITS - 24n) === 0n) break;
  }
  let left = total;
  return areas.map((area) => {
    left -= area;
    return (left << DIGITS) / (2n * total);
  });
}

/** 2^(4 - s / 8) in fixed point. */
function inverseScale(scale: number): bigint {
  const octave = Math.floor(scale / PER_OCTAVE) + SMALLEST_OCTAVE;
  // The eighth root of 2^-j, three square roots.
  let root = ONE >> BigInt(scale % PER_OCTAVE);
  for (let i = 0; i < 3; i++) root = squareRoot(root << DIGITS);
  return octave < 0 ? root << BigInt(-octave) : root >> BigInt(octave);
}

/** floor(sqrt(n)), by Newton's method. */
function squareRoot(n: bigint): bigint {
  let root = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** exp(-x) of a fixed-point x >= 0: Taylor's series of x / 2^k, squared k times. */
function expMinus(x: bigint): bigint {
  const guard = 32n;
  const one = ONE << guard;
  let halvings = 0n;
  while (x >> halvings >= ONE >> 2n) halvings++;
  const small = (x << guard) >> halvings;
  let sum = one;
  let term = one;
  for (let n = 1n; term !== 0n; n++) {
    term = -(term * small) / (one * n);
    sum += term;
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) / one;
  return sum >> guard;
}
