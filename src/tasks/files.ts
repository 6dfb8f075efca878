import { IsthmusError, messageOf } from '../errors.ts';
import { type Limits, within } from '../limits.ts';

/**
 * A whole file, its size checked before it is read. Node's modules are imported on the first call, so that whoever
 * never reads a file can load this in a browser.
 * Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, and `LIMIT_EXCEEDED` above the cap `cap`.
 */
export async function readWholeFile(path: string, cap: keyof Limits, limits: Readonly<Limits>): Promise<Uint8Array> {
  const { open } = await import('node:fs/promises');
  try {
    const file = await open(path, 'r');
    try {
      const stat = await file.stat();
      // A pipe or a device has no size to check and may never end.
      if (!stat.isFile()) throw new IsthmusError('FILE_UNREADABLE', `${path} is not a plain file`);
      within(limits, cap, stat.size, path);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (thrown instanceof IsthmusError) throw thrown;
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new IsthmusError('FILE_NOT_FOUND', `${path} does not exist; check the path`, { cause: thrown });
    }
    throw new IsthmusError('FILE_UNREADABLE', `${path} cannot be read: ${messageOf(thrown)}`, { cause: thrown });
  }
}

export async function isFolder(path: string): Promise<boolean> {
  const { stat } = await import('node:fs/promises');
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
}
