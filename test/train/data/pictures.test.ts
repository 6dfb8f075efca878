import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentHash } from '../../../src/evaluate/index.ts';
import { openSuite } from '../../../src/tasks/index.ts';
import { picturesIn, readPictures, splitPictures } from '../../../src/train/index.ts';

const INPUT = {
  name: 'x',
  width: 8,
  height: 6,
  layout: 'NCHW',
  order: 'RGB',
  mean: [0, 0, 0],
  std: [1, 1, 1],
} as const;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-pictures-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function newFolder(name: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  return folder;
}

const png = (grey: number) =>
  sharp({ create: { width: 8, height: 6, channels: 3, background: { r: grey, g: grey, b: grey } } })
    .png()
    .toBuffer();

describe('picturesIn', () => {
  it('lists the pictures of a folder and those below it in order of their paths', async () => {
    const folder = await newFolder('list', { 'b.png': '', 'a/z.JPEG': '', 'a/notes.txt': '', 'c/d/e.webp': '' });
    const paths = (await picturesIn(folder)).map(({ path }) => path);
    expect(paths).toEqual(['a/z.JPEG', 'b.png', 'c/d/e.webp'].map((path) => join(folder, path)));
  });

  it('says where there is no folder, and where it holds no pictures', async () => {
    await expect(picturesIn(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    const empty = await newFolder('empty', { 'a.txt': '' });
    await expect(picturesIn(empty)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining('no pictures'),
    });
  });
});

describe('readPictures', () => {
  it('leaves out and tells the one in a hundred that cannot be read, with hashes of the others', async () => {
    const good = await png(90);
    const files = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${100 + i}.png`, good]));
    const folder = await newFolder('hundred', { ...files, '150.png': 'no picture' });
    const bad: string[] = [];
    const counts: number[] = [];
    const pictures = await readPictures(await picturesIn(folder), INPUT, {
      onBad: ({ path, code }) => bad.push(`${path} ${code}`),
      onPictures: (done, total) => counts.push(done / total),
    });
    expect(bad).toEqual([`${join(folder, '150.png')} IMAGE_UNREADABLE`]);
    expect(pictures).toHaveLength(99);
    expect(new Set(pictures.map(({ hash }) => hash))).toEqual(new Set([contentHash(good)]));
    expect(counts).toHaveLength(100);
    expect(counts.at(-1)).toBe(1);
  });

  it('stops where more are bad, and where it is told to', async () => {
    const folder = await newFolder('bad', { '1.png': await png(1), '2.png': 'no picture' });
    const items = await picturesIn(folder);
    await expect(readPictures(items, INPUT)).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_INPUTS',
      message: expect.stringContaining('2.png'),
    });
    await expect(readPictures(items, INPUT, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });

  it('keeps labels', async () => {
    const folder = await newFolder('labels', { '1.png': await png(1) });
    const path = join(folder, '1.png');
    expect(await readPictures([{ path, label: 3 }], INPUT)).toEqual([
      { path, label: 3, hash: contentHash(await png(1)) },
    ]);
  });
});

describe('splitPictures', () => {
  const input = { ...INPUT, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const suiteIn = (tasks: unknown) => JSON.stringify({ name: 'suite', input, tasks });
  const tasks = {
    captioning: { model: 'a.onnx', vocabulary: 'words.json', data: 'captioning/{split}.json' },
    classification: { model: 'a.onnx', labels: 'labels.json', data: 'classification/{split}.json' },
  };

  it('gives each picture of all tasks once, with the label that one of them knows', async () => {
    const dir = await newFolder('suite', {
      'suite.json': suiteIn(tasks),
      'captioning/train.json': JSON.stringify(['1.png', '2.png'].map((image) => ({ image, captions: ['a dog'] }))),
      'classification/train.json': JSON.stringify([
        { image: '2.png', label: 5 },
        { image: '3.png', label: 0 },
      ]),
    });
    expect(await splitPictures(await openSuite(dir), 'train')).toEqual([
      { path: `${dir}/2.png`, label: 5 },
      { path: `${dir}/3.png`, label: 0 },
      { path: `${dir}/1.png` },
    ]);
  });

  it('goes on where one task lacks the split and says so, and stops where all do', async () => {
    const dir = await newFolder('partial', {
      'suite.json': suiteIn(tasks),
      'classification/train.json': JSON.stringify([{ image: '1.png', label: 0 }]),
    });
    const suite = await openSuite(dir);
    const reasons: string[] = [];
    expect(await splitPictures(suite, 'train', (reason) => reasons.push(reason))).toHaveLength(1);
    expect(reasons).toEqual([expect.stringContaining('captioning/train.json')]);
    await expect(splitPictures(suite, 'val')).rejects.toMatchObject({ code: 'SUITE_INVALID' });
  });
});
