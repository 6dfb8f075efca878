import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRegular, readRange, readWhole, writeBeside } from '../src/files.ts';
import { limitsOf } from '../src/limits.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('what is written is read, whole and in ranges', async () => {
  const path = join(folder, 'a');
  await writeBeside(path, [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
  expect(await readWhole(path, limitsOf(), 'jsonBytes', 'the file')).toEqual(Uint8Array.of(1, 2, 3));
  const { handle, size } = await openRegular(path, 'the file');
  expect(size).toBe(3);
  expect(await readRange(handle, 1, 2)).toEqual(Uint8Array.of(2, 3));
  expect(await readRange(handle, 1, 9)).toEqual(Uint8Array.of(2, 3));
  expect(await readRange(handle, 9, 1)).toEqual(new Uint8Array(0));
  await handle.close();
});

test('writing that fails on the way leaves the old file and nothing beside it', async () => {
  const path = join(folder, 'a');
  await writeFile(path, 'old');
  function* chunks() {
    yield Uint8Array.of(1);
    throw new Error('the disk is gone');
  }
  await expect(writeBeside(path, chunks())).rejects.toMatchObject({
    code: 'FILE_UNWRITABLE',
    message: expect.stringContaining('the disk is gone'),
  });
  expect(await readdir(folder)).toEqual(['a']);
  expect(await readFile(path, 'utf8')).toBe('old');
});

test('a file above the cap is refused', async () => {
  const path = join(folder, 'a');
  await writeBeside(path, [new Uint8Array(11)]);
  const limits = limitsOf({ jsonBytes: 10 });
  await expect(readWhole(path, limits, 'jsonBytes', 'the file')).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
});
