import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { Histogram, TableBank } from '../../src/entropy/index.ts';

/** Bits a symbol of the synthetic sources. */
export const RATES = [0.08, 0.27, 0.6, 1.75, 3.4] as const;

/** Values that stand for the distribution when its table is made: a share of 2^-22 and less is left to the escape. */
const STANDING = 2 ** 22;
const REACH = 1000;

/** Laplacian numbers of scale `b`, rounded to integers. */
export interface Source {
  readonly b: number;
  /** Bits a symbol. */
  readonly entropy: number;
  /** Probabilities of 0, ±1, ±2 … ±1000. */
  readonly shares: Float64Array;
}

/** The source of an entropy: bisection over its scale. */
export function sourceOf(rate: number): Source {
  let [low, high] = [0.02, 50];
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (sourceAt(middle).entropy < rate) low = middle;
    else high = middle;
  }
  return sourceAt(low);
}

function sourceAt(b: number): Source {
  const beyond = (x: number) => Math.exp(-x / b) / 2;
  const shares = Float64Array.from({ length: REACH }, (_, k) =>
    k === 0 ? 1 - 2 * beyond(0.5) : beyond(k - 0.5) - beyond(k + 0.5),
  );
  const entropy = shares.reduce((sum, p, k) => sum - (p > 0 ? (k > 0 ? 2 : 1) * p * Math.log2(p) : 0), 0);
  return { b, entropy, shares };
}

/** `count` symbols, seeded. */
export function draw({ b }: Source, count: number, seed: number): Int32Array {
  const random = xoroshiro128plus(seed);
  const values = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const u = uniformFloat64(random) - 0.5;
    values[i] = Math.round(-Math.sign(u) * b * Math.log(1 - 2 * Math.abs(u)));
  }
  return values;
}

/** The library's table, with the precision that the library chooses, of the source itself: the sample is not looked at. */
export function bankOf({ shares }: Source): TableBank {
  const histogram = new Histogram();
  for (let k = 1 - REACH; k < REACH; k++) {
    for (let left = Math.round(shares[Math.abs(k)] * STANDING); left > 0; left--) histogram.add(k);
  }
  return TableBank.fit([histogram]);
}

/** Bytes that an ideal coder that knows the source takes for these values. */
export function idealBytes({ shares }: Source, values: Int32Array): number {
  let bits = 0;
  for (let i = 0; i < values.length; i++) bits -= Math.log2(shares[Math.abs(values[i])]);
  return bits / 8;
}
