import { cacheKey } from '../../evaluate/index.ts';
import { decodePixels, type InputSpec, pixelsToTensor, stackRows } from '../../tasks/index.ts';
import type { Tensor } from '../../tensor.ts';
import { type Augmentation, augmentedPixels } from '../data/augment.ts';
import type { Picture } from '../data/pictures.ts';

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

/** Prepared pixels of rows, stacked. Throws what decoding throws. */
export async function pixelsOf(
  { input, pictures, augmentation, seed }: Views,
  rows: readonly number[],
): Promise<Tensor> {
  const pixels = rows.map((row) => {
    const version = Math.floor(row / pictures.length);
    const { path, hash } = pictures[row % pictures.length];
    return version === 0
      ? decodePixels(path, input)
      : augmentedPixels(path, input, augmentation, { seed, version, hash });
  });
  return stackRows((await Promise.all(pixels)).map((each) => pixelsToTensor(each, input)));
}
