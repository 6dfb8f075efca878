import { IsthmusError } from '../../errors.ts';
import { type Cache, cacheKey, feedOf, type Head, runHead } from '../../evaluate/index.ts';
import type { Tensor } from '../../tensor.ts';
import { parseAugmentation } from './augment.ts';
import type { Column } from './row-file.ts';
import { type FillOptions, Rows } from './rows.ts';
import { pixelsOf, type Views } from './views.ts';

export interface TrainingFeaturesOptions extends FillOptions {
  readonly head: Head;
  /** At least one picture, and one version. */
  readonly views: Views;
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
  const { head, cache } = options;
  const views = { ...options.views, augmentation: parseAugmentation(options.views.augmentation) };
  const { input, pictures, versions, augmentation, seed } = views;
  if (pictures.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'there is no picture to take features of');
  if (!(Number.isInteger(versions) && versions >= 1)) {
    throw new IsthmusError('INVALID_ARGUMENT', `versions are a whole number of at least 1, got ${versions}`);
  }
  const run = async (rows: readonly number[]) => runHead(head, input, feedOf(head, input, await pixelsOf(views, rows)));
  const columns = (await run([0])).map((value, i) => columnOf(head.cut[i], value));
  const identity = [head.hash, head.cut, head.session.runtime, input, pictures.map(({ hash }) => hash)];
  const keys = Array.from({ length: versions }, (_, version) =>
    cacheKey(['training features', ...identity, version === 0 ? null : [augmentation, seed, version]]),
  );
  const rows = await Rows.open({ cache, keys, rowsPerFile: pictures.length, columns });
  try {
    const make = (version: number, chosen: readonly number[]) =>
      run(chosen.map((picture) => version * pictures.length + picture));
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
