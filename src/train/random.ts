import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
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

/** Normal numbers of mean 0 and a standard deviation (Box & Muller 1958) from a generator. */
export function normals(random: RandomGenerator, count: number, deviation: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
    const angle = 2 * Math.PI * uniformFloat64(random);
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}
