import { createHash } from 'node:crypto';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/**
 * A generator whose state is the SHA-256 of the parts: what it draws is a pure function of them, whatever was drawn
 * before, so that a run which is resumed at a step draws what the whole run would have. The first part says what for.
 */
export function randomOf(...parts: readonly (string | number)[]): RandomGenerator {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest();
  return xoroshiro128plusFromState([0, 4, 8, 12].map((at) => digest.readInt32LE(at)));
}
