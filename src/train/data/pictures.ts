import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError, messageOf } from '../../errors.ts';
import { type BadInput, checkBadShare, readInputs } from '../../evaluate/index.ts';
import { decodePixels, type InputSpec, readSplit, type Suite, taskNames } from '../../tasks/index.ts';

/** A picture to train on, by its file; `label` is its class where that is known. */
export interface PictureItem {
  readonly path: string;
  readonly label?: number;
}

/** A picture that was read, decoded and found good. */
export interface Picture extends PictureItem {
  /** SHA-256 of the file. */
  readonly hash: string;
}

/**
 * The pictures of a folder and of the folders in it, in order of their paths. Throws `FILE_NOT_FOUND` where there is no
 * such folder or no picture in it.
 */
export async function picturesIn(folder: string): Promise<PictureItem[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && /\.(jpe?g|png|webp|avif|gif|tiff?)$/i.test(entry.name));
    const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
    if (paths.length > 0) return paths.map((path) => ({ path }));
  } catch (cause) {
    throw new IsthmusError('FILE_NOT_FOUND', `cannot list ${folder}: ${messageOf(cause)}`, { cause });
  }
  throw new IsthmusError('FILE_NOT_FOUND', `${folder} holds no pictures (jpg, png, webp, avif, gif, tiff)`);
}

/**
 * The pictures of a split of all tasks of a suite, each once, with the labels of classification. A task may lack the
 * split where another has it; `onMissing` is told why. Throws what `readSplit` throws where no task has it.
 */
export async function splitPictures(
  suite: Suite,
  split: string,
  onMissing?: (reason: string) => void,
): Promise<PictureItem[]> {
  const names = taskNames(suite);
  const read = await Promise.allSettled(names.map((name) => readSplit(suite, name, split)));
  const pictures = new Map<string, PictureItem>();
  for (const [i, each] of read.entries()) {
    if (each.status === 'rejected') continue;
    for (const { path, truths } of each.value) {
      const label = names[i] === 'classification' ? (truths[0] as number) : pictures.get(path)?.label;
      pictures.set(path, label === undefined ? { path } : { path, label });
    }
  }
  const failed = read.find((each) => each.status === 'rejected');
  if (failed && pictures.size === 0) throw failed.reason;
  if (failed) onMissing?.(messageOf(failed.reason));
  return [...pictures.values()];
}

export interface ReadPicturesOptions {
  /** Told of every picture that is left out. */
  readonly onBad?: (bad: BadInput) => void;
  /** Told how many were read, of all. */
  readonly onPictures?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Reads and decodes every picture once, so that a bad one is known before anything is trained; those are left out.
 * Throws `TOO_MANY_BAD_INPUTS` where more than one in a hundred is bad, `ABORTED`.
 */
export async function readPictures(
  items: readonly PictureItem[],
  input: InputSpec,
  { onBad, onPictures, signal }: ReadPicturesOptions = {},
): Promise<Picture[]> {
  const bad: BadInput[] = [];
  let done = 0;
  const decode = {
    pixels: (path: string) => decodePixels(path, input).finally(() => onPictures?.(++done, items.length)),
  };
  const note = (each: BadInput) => {
    bad.push(each);
    onBad?.(each);
  };
  const good = await readInputs(items, decode, note, signal);
  checkBadShare(bad, items.length);
  return good.map(({ path, label, hash }) => (label === undefined ? { path, hash } : { path, label, hash }));
}
