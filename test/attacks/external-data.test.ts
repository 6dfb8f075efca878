import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildGraph } from '../../src/onnx/build.ts';
import { openGraph } from '../../src/onnx/file.ts';
import { mainGraph } from '../../src/onnx/graph.ts';
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from '../../src/onnx/onnx_pb.ts';
import { writeGraph } from '../../src/onnx/read.ts';
import { tensorOf } from '../../src/onnx/values.ts';
import { type DType, tensor } from '../../src/tensor.ts';

/** root/outside.bin lies above root/models, in which the model is opened. */
let root: string;
let models: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-'));
  models = join(root, 'models');
  await mkdir(join(models, 'inner'), { recursive: true });
  await writeFile(join(root, 'outside.bin'), new Uint8Array(4096).fill(1));
  await writeFile(join(models, 'w.bin'), new Uint8Array(4096).fill(2));
  await writeFile(join(models, 'inner', 'w.bin'), new Uint8Array(4096).fill(3));
});
afterEach(() => rm(root, { recursive: true }));

/** Opens a model whose one tensor of 4 float32 elements refers to external data by the entries given. */
async function open(
  entries: Record<string, string>,
  dims: readonly bigint[] = [4n],
  dtype: DType = 'float32',
  copies = 1,
) {
  const none = dtype === 'string' ? [] : new Float32Array(0);
  const empty = { ...tensor(dtype, [0], none) };
  const graph = buildGraph({
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
    outputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
    nodes: [],
    initializers: Object.fromEntries(Array.from({ length: copies }, (_, i) => [`w${i}`, empty])),
  });
  for (const proto of mainGraph(graph).initializer) {
    proto.dims = [...dims];
    proto.dataLocation = TensorProto_DataLocation.EXTERNAL;
    proto.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
  }
  const path = join(models, 'm.onnx');
  await writeFile(path, writeGraph(graph));
  return openGraph(path, { externalData: true });
}

describe('what is in the folder is read', () => {
  test.each([
    [{ location: 'w.bin' }, 2],
    [{ location: './w.bin', offset: '4080', length: '16' }, 2],
    [{ location: 'inner/w.bin', offset: '0' }, 3],
    [{ location: 'inner/../w.bin'.replace('inner/../', 'inner//'), checksum: 'ignored' }, 3],
  ])('%j', async (entries, byte) => {
    const [proto] = mainGraph(await open(entries as Record<string, string>)).initializer;
    expect(proto.rawData).toEqual(new Uint8Array(16).fill(byte));
    expect(proto.externalData).toEqual([]);
    expect(Object.hasOwn(proto, 'dataLocation')).toBe(false);
    expect(tensorOf(proto).shape).toEqual([4]);
  });

  test('a link to a file in the folder', async () => {
    await symlink('inner/w.bin', join(models, 'link.bin'));
    expect(mainGraph(await open({ location: 'link.bin' })).initializer[0].rawData[0]).toBe(3);
  });

  test('the folder itself reached by a link', async () => {
    await open({ location: 'w.bin' });
    await symlink(models, join(root, 'alias'));
    expect(await openGraph(join(root, 'alias', 'm.onnx'), { externalData: true })).toBeDefined();
  });

  test('tensors of one region share its bytes', async () => {
    const [a, b] = mainGraph(await open({ location: 'w.bin' }, [4n], 'float32', 2)).initializer;
    expect(a.rawData).toBe(b.rawData);
  });
});

describe('refused as external data', () => {
  test.each([
    ['an absolute path', () => ({ location: join(root, 'outside.bin') })],
    ['an absolute path within the folder', () => ({ location: join(models, 'w.bin') })],
    ['a parent', () => ({ location: '../outside.bin' })],
    ['a parent further on', () => ({ location: 'inner/../../outside.bin' })],
    ['a parent that stays inside', () => ({ location: 'inner/../w.bin' })],
    ['a parent behind dots', () => ({ location: './/.././outside.bin' })],
    ['a parent in Windows spelling', () => ({ location: 'inner\\..\\..\\outside.bin' })],
    ['a Windows drive', () => ({ location: 'C:\\outside.bin' })],
    ['a drive-relative path', () => ({ location: 'c:outside.bin' })],
    ['a share', () => ({ location: '\\\\server\\share\\w.bin' })],
    ['a NUL', () => ({ location: 'w.bin\0.png' })],
    ['an empty location', () => ({ location: '' })],
    ['no location', () => ({ offset: '0' })],
    ['an offset past the end', () => ({ location: 'w.bin', offset: '4081' })],
    ['an offset far past the end', () => ({ location: 'w.bin', offset: '9007199254740991' })],
    ['an offset above the safe integers', () => ({ location: 'w.bin', offset: '9007199254740993' })],
    ['an offset above 64 bits', () => ({ location: 'w.bin', offset: '1'.repeat(400) })],
    ['a negative offset', () => ({ location: 'w.bin', offset: '-16' })],
    ['an offset of NaN', () => ({ location: 'w.bin', offset: 'NaN' })],
    ['an offset of Infinity', () => ({ location: 'w.bin', offset: 'Infinity' })],
    ['an offset in hexadecimal', () => ({ location: 'w.bin', offset: '0x10' })],
    ['an offset in exponents', () => ({ location: 'w.bin', offset: '1e1' })],
    ['an empty offset', () => ({ location: 'w.bin', offset: '' })],
    ['an offset with blanks', () => ({ location: 'w.bin', offset: ' 0' })],
    ['a fractional offset', () => ({ location: 'w.bin', offset: '0.5' })],
    ['a length other than the shape needs', () => ({ location: 'w.bin', length: '15' })],
    ['a negative length', () => ({ location: 'w.bin', length: '-1' })],
  ])('%s', async (_, entries) => {
    await expect(open(entries() as unknown as Record<string, string>)).rejects.toMatchObject({
      code: 'ONNX_EXTERNAL_DATA',
    });
  });

  test.each([
    ['a file outside', () => '../outside.bin'],
    ['a file outside by its absolute path', () => join(root, 'outside.bin')],
    ['a file whose folder has a similar name', () => '../models-too/w.bin'],
  ])('a link to %s', async (_, target) => {
    await mkdir(join(root, 'models-too'));
    await writeFile(join(root, 'models-too', 'w.bin'), new Uint8Array(16));
    await symlink(target(), join(models, 'link.bin'));
    await expect(open({ location: 'link.bin' })).rejects.toMatchObject({
      code: 'ONNX_EXTERNAL_DATA',
      message: expect.stringMatching(/link/),
    });
  });

  test('a folder that is a link out', async () => {
    await symlink('..', join(models, 'up'));
    await expect(open({ location: 'up/outside.bin' })).rejects.toMatchObject({ code: 'ONNX_EXTERNAL_DATA' });
  });

  test('a hard link to a file outside', async () => {
    await link(join(root, 'outside.bin'), join(models, 'hard.bin'));
    await expect(open({ location: 'hard.bin' })).rejects.toMatchObject({
      code: 'ONNX_EXTERNAL_DATA',
      message: expect.stringMatching(/hard/),
    });
  });
});

describe('other errors', () => {
  test('a missing file, and a link to nothing', async () => {
    await expect(open({ location: 'none.bin' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(open({ location: 'w.bin/none.bin' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await symlink('nothing', join(models, 'dangling.bin'));
    await expect(open({ location: 'dangling.bin' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await symlink('circle.bin', join(models, 'circle.bin'));
    await expect(open({ location: 'circle.bin' })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test.each(['.', 'inner', 'inner/'])('the folder %j', async (location) => {
    await expect(open({ location })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringMatching(/folder/),
    });
  });

  test.skipIf(process.platform === 'win32')('a pipe is refused and does not wait for a writer', async () => {
    execFileSync('mkfifo', [join(models, 'pipe.bin')]);
    await expect(open({ location: 'pipe.bin' })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringMatching(/regular/),
    });
  });

  test.skipIf(process.platform === 'win32')('a model that is a pipe', async () => {
    execFileSync('mkfifo', [join(models, 'pipe.onnx')]);
    await expect(openGraph(join(models, 'pipe.onnx'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test('tensors above the caps are refused before anything is allocated, in a file of holes too', async () => {
    await truncate(join(models, 'w.bin'), 2 ** 40);
    await expect(open({ location: 'w.bin' }, [2n ** 38n])).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await expect(open({ location: 'w.bin' }, [2n ** 32n, 2n ** 32n])).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const many = open({ location: 'w.bin' }, [2n ** 28n], 'float32', 20);
    await expect(many).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringMatching(/onnxExternalBytes/),
    });
    await expect(open({ location: 'w.bin' }, [-1n])).rejects.toMatchObject({ code: 'ONNX_INVALID' });
  });

  test('strings', async () => {
    await expect(open({ location: 'w.bin' }, [4n], 'string')).rejects.toMatchObject({ code: 'ONNX_INVALID' });
  });
});
