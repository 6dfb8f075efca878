import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { IsthmusError, messageOf } from './errors.ts';
import { type Limits, within } from './limits.ts';

/**
 * A regular file opened for reading, and its size; a pipe is refused instead of waited for. The caller closes it.
 * Throws `FILE_NOT_FOUND` and `FILE_UNREADABLE`; `what` names the file in messages.
 */
export async function openRegular(path: string, what: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle | undefined;
  try {
    // Windows has no O_NONBLOCK, and no pipes in folders.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = await handle.stat();
    if (stat.isFile()) return { handle, size: stat.size };
    throw new Error(stat.isDirectory() ? 'it is a folder' : 'it is not a regular file');
  } catch (cause) {
    await handle?.close();
    const absent = ['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '');
    throw new IsthmusError(
      absent ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      absent ? `${what} ${path} does not exist` : `cannot read ${what} ${path}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** `length` bytes of an open file from `offset` on, fewer where it ends before. */
export async function readRange(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    // One call reads less than 2 GiB.
    const step = Math.min(length - done, 2 ** 30);
    const { bytesRead } = await handle.read(bytes, done, step, offset + done);
    if (bytesRead === 0) return bytes.subarray(0, done);
    done += bytesRead;
  }
  return bytes;
}

/**
 * All bytes of a regular file whose size is at most the cap `cap`, looked at before anything is allocated.
 * Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `LIMIT_EXCEEDED`; `what` names the file in messages.
 */
export async function readWhole(
  path: string,
  limits: Readonly<Limits>,
  cap: keyof Limits,
  what: string,
): Promise<Uint8Array> {
  const { handle, size } = await openRegular(path, what);
  try {
    within(limits, cap, size, `bytes of ${what} ${path}`);
    return await readRange(handle, 0, size);
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('FILE_UNREADABLE', `cannot read ${what} ${path}: ${messageOf(cause)}`, { cause });
  } finally {
    await handle.close();
  }
}

/**
 * Writes chunks as a file beside `path` and renames it there, so that a killed run leaves the old file or the new one.
 * Throws `FILE_UNWRITABLE`; the file beside is removed then.
 */
export async function writeBeside(path: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(beside, 'wx');
    try {
      for (const chunk of chunks) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, path);
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw new IsthmusError('FILE_UNWRITABLE', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}
