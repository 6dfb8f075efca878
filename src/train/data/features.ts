import { IsthmusError } from '../../errors.ts';
import { type Cache, cacheKey, feedOf, type Head, runHead } from '../../evaluate/index.ts';
import { decodePixels, type InputSpec } from '../../tasks/index.ts';
import type { Tensor } from '../../tensor.ts';
import { type Augmentation, augmentedPixels, parseAugmentation } from './augment.ts';
import type { Picture } from './pictures.ts';
import type { Column } from './row-file.ts';
import { type FillOptions, Rows } from './rows.ts';

export interface TrainingFeaturesOptions extends FillOptions {
  readonly head: Head;
  /** How pixels become the head's input. */
  readonly input: InputSpec;
  readonly pictures: readonly Picture[];
  /** Variations of each picture, the first of them the picture as inference sees it; at least 1. */
  readonly versions: number;
  readonly augmentation: Augmentation;
  /** Decides the variations. */
  readonly seed: number;
  readonly cache: Cache;
}

/** The features of training pictures in all their versions, on disk. */
export interface TrainingFeatures {
  /** What decides the features of each version: a cache key. */
  readonly keys: readonly string[];
  /** The tensors at the cut, with the shape that one picture gives. */
  readonly columns: readonly Column[];
  /** Pictures times versions; row `version * pictures + picture` is a picture's version. */
  readonly count: number;
  /**
   * Features in the order asked for: one float32 tensor for each at the cut, the rows stacked along its first axis.
   * Throws `INVALID_ARGUMENT` for a row that does not exist, `FILE_UNREADABLE` for one that was damaged since it was made.
   */
  read(rows: readonly number[]): Promise<Tensor[]>;
  close(): Promise<void>;
}

/**
 * Runs the head on every version of every picture, in batches, and keeps the features as float16 in the cache's folder, a
 * file a version; those that are there already are not made again. `batch` must be 1 where a row of the tensors at the cut
 * is not an image.
 *
 * Throws `INVALID_ARGUMENT` for no pictures, fewer than 1 version or an augmentation out of range, `TENSOR_INVALID` for a
 * feature that is no float, or not finite in float16, `FILE_UNWRITABLE` where there is no room, `ABORTED`, and what decoding
 * and running throw. What was finished is kept in each case.
 */
export async function openTrainingFeatures(options: TrainingFeaturesOptions): Promise<TrainingFeatures> {
  const { head, input, pictures, versions, seed, cache } = options;
  const augmentation = parseAugmentation(options.augmentation);
  if (pictures.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'there is no picture to take features of');
  if (!(Number.isInteger(versions) && versions >= 1)) {
    throw new IsthmusError('INVALID_ARGUMENT', `versions are a whole number of at least 1, got ${versions}`);
  }
  const run = async (version: number, chosen: readonly Picture[]) => {
    const pixels = chosen.map(({ path, hash }) =>
      version === 0 ? decodePixels(path, input) : augmentedPixels(path, input, augmentation, { seed, version, hash }),
    );
    return runHead(head, input, feedOf(head, input, await Promise.all(pixels)));
  };
  const columns = (await run(0, pictures.slice(0, 1))).map((value, i) => columnOf(head.cut[i], value));
  const identity = [head.hash, head.cut, head.session.runtime, input, pictures.map(({ hash }) => hash)];
  const keys = Array.from({ length: versions }, (_, version) =>
    cacheKey(['training features', ...identity, version === 0 ? null : [augmentation, seed, version]]),
  );
  const rows = await Rows.open({ cache, keys, rowsPerFile: pictures.length, columns });
  try {
    const make = (version: number, chosen: readonly number[]) =>
      run(
        version,
        chosen.map((picture) => pictures[picture]),
      );
    await rows.fill(make, options);
  } catch (thrown) {
    await rows.close();
    throw thrown;
  }
  return { keys, columns, count: rows.count, read: (wanted) => rows.read(wanted), close: () => rows.close() };
}

function columnOf(name: string, { dtype, shape }: Tensor): Column {
  if (!['float16', 'float32', 'float64', 'bfloat16'].includes(dtype) || shape.length === 0) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `'${name}' at the cut is ${dtype} [${shape}]; codecs are trained on float tensors with a batch: cut elsewhere`,
    );
  }
  return { name, dtype: 'float16', shape };
}
