import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/** Random choices that a seed and a case's number fix. */
export class Dice {
  readonly #generator: RandomGenerator;

  constructor(seed: number, number: number) {
    this.#generator = xoroshiro128plus(mixed(Math.imul(seed, 0x9e3779b1) ^ mixed(number | 0)));
  }

  /** 32 bits, signed. */
  int32(): number {
    return this.#generator.next() | 0;
  }

  /** 0 to `count` - 1, as good as uniform for small counts; 0 where `count` is 0. */
  below(count: number): number {
    return Math.floor(((this.#generator.next() >>> 0) / 2 ** 32) * count);
  }

  pick<T>(list: ArrayLike<T>): T {
    return list[this.below(list.length)];
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.#generator.next();
    return bytes;
  }
}

/** A permutation of the 32-bit numbers that leaves nothing of their order (MurmurHash3's last step). */
function mixed(number: number): number {
  let h = number;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
