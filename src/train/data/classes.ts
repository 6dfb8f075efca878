import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError, messageOf } from '../../errors.ts';
import { type PictureItem, picturesIn } from './pictures.ts';

/**
 * The pictures of a folder with one folder a class, labelled by the order of the folders' names. Throws
 * `FILE_NOT_FOUND` where there is no such folder or a class has no picture, `DATA_INVALID` where it has no folders.
 */
export async function picturesByClass(folder: string): Promise<{ classes: string[]; pictures: PictureItem[] }> {
  const classes = await foldersIn(folder);
  if (classes.length === 0) {
    throw new IsthmusError(
      'DATA_INVALID',
      `${folder} has no folders in it; give one folder a class, or a list of pictures with their labels`,
    );
  }
  const pictures: PictureItem[] = [];
  for (const [label, name] of classes.entries()) {
    for (const { path } of await picturesIn(join(folder, name))) pictures.push({ path, label });
  }
  return { classes, pictures };
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  } catch (cause) {
    throw new IsthmusError('FILE_NOT_FOUND', `cannot list ${folder}: ${messageOf(cause)}`, { cause });
  }
}
