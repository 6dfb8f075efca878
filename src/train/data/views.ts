import { cacheKey } from '../../evaluate/index.ts';
import { decodePixels, type InputSpec, type Pixels } from '../../tasks/index.ts';
import { type Augmentation, augmentedPixels } from './augment.ts';
import type { Picture } from './pictures.ts';

/** Training pictures in several versions: row `version * pictures + picture` is a picture's version, the first as it is. */
export interface Views {
  readonly input: InputSpec;
  readonly pictures: readonly Picture[];
  readonly versions: number;
  readonly augmentation: Augmentation;
  /** Decides the versions. */
  readonly seed: number;
}

/** Everything that decides the pixels of each version: a cache key. */
export function viewKeys({ input, pictures, versions, augmentation, seed }: Views): string[] {
  const hashes = pictures.map(({ hash }) => hash);
  return Array.from({ length: versions }, (_, version) =>
    cacheKey(['views', input, hashes, version === 0 ? null : [augmentation, seed, version]]),
  );
}

/** Pixels of rows. Throws what decoding throws. */
export function pixelsOf({ input, pictures, augmentation, seed }: Views, rows: readonly number[]): Promise<Pixels[]> {
  return Promise.all(
    rows.map((row) => {
      const version = Math.floor(row / pictures.length);
      const { path, hash } = pictures[row % pictures.length];
      if (version === 0) return decodePixels(path, input);
      return augmentedPixels(path, input, augmentation, { seed, version, hash });
    }),
  );
}
