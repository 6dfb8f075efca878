import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cache, cacheKey, contentHash, makeFolder, packTensors, unpackTensors } from '../../src/evaluate/cache.ts';
import { tensor } from '../../src/tensor.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-cache-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function onlyFile(): Promise<string> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
  expect(files).toHaveLength(1);
  return join(files[0].parentPath, files[0].name);
}

describe('Cache', () => {
  const key = cacheKey(['model', 1]);

  it('gives back what was written, and nothing for another key', async () => {
    const cache = new Cache(folder);
    expect(await cache.read('features', key)).toBeUndefined();
    await cache.write('features', key, Uint8Array.of(1, 2, 3));
    expect([...((await cache.read('features', key)) ?? [])]).toEqual([1, 2, 3]);
    expect(await cache.read('answers', key)).toBeUndefined();
    expect(await cache.read('features', cacheKey(['model', 2]))).toBeUndefined();
    expect(await cache.size()).toEqual({ entries: 1, bytes: 35 });
  });

  it('leaves nothing beside an entry', async () => {
    await new Cache(folder).writeJson('points', key, { a: 1 });
    expect(await onlyFile()).not.toMatch(/tmp$/);
  });

  it('ignores an entry that is cut short or damaged anywhere, and makes it again', async () => {
    const cache = new Cache(folder);
    const value = { score: 83.5 };
    await cache.writeJson('points', key, value);
    const file = await onlyFile();
    const good = await readFile(file);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] ^= 1;
      await writeFile(file, bad);
      expect(await cache.readJson('points', key)).toBeUndefined();
      await writeFile(file, good.subarray(0, at));
      expect(await cache.readJson('points', key)).toBeUndefined();
    }
    await cache.writeJson('points', key, value);
    expect(await cache.readJson('points', key)).toEqual(value);
  });

  it('says that it cannot be written', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(new Cache(join(file, 'below')).write('points', key, new Uint8Array(1))).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
  });
});

describe('makeFolder', () => {
  it('makes what is missing, and agrees with what is there', async () => {
    const deep = join(folder, 'a', 'b', 'c');
    await Promise.all([makeFolder(deep), makeFolder(deep)]);
    expect((await stat(deep)).isDirectory()).toBe(true);
    await makeFolder(deep);
  });

  it.each([
    ['below a file', () => join(folder, 'file', 'below')],
    ['where there is a file', () => join(folder, 'file')],
    ['where none can be made', () => '/proc/isthmus/below'],
  ])('says that it cannot %s', async (_, path) => {
    await writeFile(join(folder, 'file'), '');
    await expect(makeFolder(path())).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
  });
});

describe('cacheKey', () => {
  it('depends on every part', () => {
    const hash = contentHash(Uint8Array.of(1));
    const keys = [
      [hash, 'a'],
      [hash, 'b'],
      ['a', hash],
      [contentHash(Uint8Array.of(2)), 'a'],
    ].map(cacheKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('packTensors', () => {
  it('keeps every bit of several tensors, NaN included', () => {
    const whole = Float32Array.of(9, 1.5, Number.NaN, -0, 1e-42);
    const tensors = [tensor('float32', [1, 2, 2], whole.subarray(1)), tensor('float16', [3], Uint16Array.of(1, 2, 3))];
    const back = unpackTensors(packTensors(tensors)) ?? [];
    expect(back.map(({ dtype, shape }) => ({ dtype, shape }))).toEqual([
      { dtype: 'float32', shape: [1, 2, 2] },
      { dtype: 'float16', shape: [3] },
    ]);
    expect([...(back[0].data as Float32Array)]).toEqual([1.5, Number.NaN, -0, Math.fround(1e-42)]);
    expect([...(back[1].data as Uint16Array)]).toEqual([1, 2, 3]);
  });
});
