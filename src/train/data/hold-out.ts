import { createHash } from 'node:crypto';
import type { Picture } from './pictures.ts';

/**
 * Sets a share of pictures apart to validate with: those whose hashes with the seed are least, so that the same file is
 * never on both sides but at the border, and most pictures stay on their side where others come or go.
 */
export function holdOut(
  pictures: readonly Picture[],
  share: number,
  seed: number,
): { rest: Picture[]; heldOut: Picture[] } {
  const ranked = pictures
    .map((picture, i) => ({ picture, i, rank: createHash('sha256').update(`${seed} ${picture.hash}`).digest('hex') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : a.i - b.i));
  const heldOut = ranked.slice(0, Math.round(share * pictures.length));
  const out = new Set(heldOut.map(({ i }) => i));
  return {
    rest: pictures.filter((_, i) => !out.has(i)),
    heldOut: pictures.filter((_, i) => out.has(i)),
  };
}
