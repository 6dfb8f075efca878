import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IsthmusError } from '../../../src/errors.ts';
import { picturesOfList } from '../../../src/train/index.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-list-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function listed(name: string, text: string | Uint8Array) {
  const file = join(root, name);
  await writeFile(file, text);
  return picturesOfList(file);
}

it.each([
  ['list.json', '["a.jpg", {"image": "b, c.jpg", "label": 7, "source": "x"}, {"image": "/abs/d.jpg", "label": 0}]'],
  ['list.jsonl', '"a.jpg"\n\n{"image": "b, c.jpg", "label": 7}\r\n{"image": "/abs/d.jpg", "label": 0}'],
  ['list.csv', 'source,image,label\nx,a.jpg,\nx,"b, c.jpg",7\n\nx,/abs/d.jpg,0\n'],
  ['LIST.CSV', '\uFEFFimage,label\r\na.jpg,\r\n"b, c.jpg",7\r\n/abs/d.jpg,0\r\n'],
])('reads %s, paths relative to its folder', async (name, text) => {
  expect(await listed(name, text)).toEqual([
    { path: join(root, 'a.jpg') },
    { path: join(root, 'b, c.jpg'), label: 7 },
    { path: '/abs/d.jpg', label: 0 },
  ]);
});

it('reads a CSV of paths alone', async () => {
  expect(await listed('paths.csv', 'image\na.jpg\n')).toEqual([{ path: join(root, 'a.jpg') }]);
});

it.each([
  ['list.txt', 'a.jpg', /\.json, \.jsonl/],
  ['list.json', '{"image": "a.jpg"}', /is no array/],
  ['list.json', '["a.jpg",', /JSON/],
  ['list.json', '[]', /names no picture/],
  ['list.json', '["a.jpg", 3]', /at \[1\]: an entry is a path/],
  ['list.json', '[{"image": "a.jpg", "label": -1}]', /at \[0\]: label/],
  ['list.json', '[{"image": "a.jpg", "label": 1.5}]', /at \[0\]: label/],
  ['list.json', '[{"path": "a.jpg"}]', /at \[0\]: image/],
  ['list.json', '[""]', /at \[0\]/],
  ['list.jsonl', '"a.jpg"\nnope\n', /line 2/],
  ['list.csv', 'a.jpg,3\nb.jpg,4\n', /line 2: image/],
  ['list.csv', 'image,label\na.jpg,cat\n', /line 2: label/],
  ['list.csv', 'image,label\na.jpg,1,2\n', /line 2/],
  ['list.csv', '', /names no picture/],
  ['list.json', Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d), /cannot be read as a list/],
])('refuses %s with %j and says where', async (name, text, message) => {
  await expect(listed(name, text)).rejects.toMatchObject({
    code: 'DATA_INVALID',
    message: expect.stringMatching(message),
  });
});

it('caps the size, and says that a list does not exist', async () => {
  await writeFile(join(root, 'long.json'), '["a.jpg"]');
  await expect(picturesOfList(join(root, 'long.json'), { limits: { jsonBytes: 3 } })).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
  });
  await expect(picturesOfList(join(root, 'none.json'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});

it('gives pictures or a typed error for any text', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.array(fc.constantFrom('"', ',', '\n', 'image', '{', '}')).map((p) => p.join('')),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('f.json', 'f.jsonl', 'f.csv'), text, async (name, content) => {
      const read = await listed(name, content).catch((thrown) => thrown);
      if (read instanceof Error) expect(read).toBeInstanceOf(IsthmusError);
      else expect(read.length).toBeGreaterThan(0);
    }),
    { seed: 3, numRuns: 300 },
  );
});
