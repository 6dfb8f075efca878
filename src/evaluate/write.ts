import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IsthmusError, messageOf } from '../errors.ts';

/**
 * Writes a file beside its place and renames it there: a killed run leaves the old file or the new one. Makes the
 * folder. Throws `FILE_UNWRITABLE`.
 */
export async function writeRenamed(path: string, data: Uint8Array | string): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(beside, data);
    await rename(beside, path);
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => {});
    throw new IsthmusError(
      'FILE_UNWRITABLE',
      `${path} cannot be written: ${messageOf(cause)}; check permissions and free space, or choose another folder`,
      { cause },
    );
  }
}
