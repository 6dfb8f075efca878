import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildGraph, node, subgraph } from '../../src/onnx/build.ts';
import { openGraph, saveGraph } from '../../src/onnx/file.ts';
import { type Graph, mainGraph } from '../../src/onnx/graph.ts';
import { readGraph, writeGraph } from '../../src/onnx/read.ts';
import { tensorOf } from '../../src/onnx/values.ts';
import { tensor } from '../../src/tensor.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-'));
});
afterEach(() => rm(folder, { recursive: true }));

const weights = tensor(
  'float32',
  [40, 20],
  Float32Array.from({ length: 800 }, (_, i) => Math.sin(i)),
);
const packed = tensor(
  'int4',
  [3001],
  Int8Array.from({ length: 3001 }, (_, i) => (i % 16) - 8),
);
const small = tensor('float32', [20], new Float32Array(20).fill(0.5));

function sample(): Graph {
  const constant = subgraph({
    inputs: [],
    outputs: [{ name: 'k', dtype: 'float32', shape: [40, 20] }],
    nodes: [node('Constant', [], ['k'], { value: weights })],
  });
  return buildGraph({
    opset: 17,
    inputs: [
      { name: 'x', dtype: 'float32', shape: ['n', 40] },
      { name: 'c', dtype: 'bool', shape: [] },
    ],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 20] }],
    nodes: [
      node('If', ['c'], ['v'], { then_branch: constant, else_branch: constant }),
      node('MatMul', ['x', 'w'], ['h']),
      node('MatMul', ['x', 'v'], ['g']),
      node('Sum', ['h', 'g', 'b'], ['y']),
    ],
    initializers: { w: weights, b: small },
  });
}

const files = async () => (await readdir(folder)).sort();

describe('without external data', () => {
  test('what is saved is opened', async () => {
    const path = join(folder, 'm.onnx');
    await saveGraph(sample(), path);
    expect(await files()).toEqual(['m.onnx']);
    expect(writeGraph(await openGraph(path))).toEqual(writeGraph(sample()));
  });

  test('a graph that cannot be written, and a folder that is not there, leave the old file and nothing else', async () => {
    const path = join(folder, 'm.onnx');
    await writeFile(path, 'old');
    const broken = sample();
    mainGraph(broken).initializer[0].dims = [2n ** 70n];
    await expect(saveGraph(broken, path)).rejects.toMatchObject({ code: 'ONNX_INVALID' });
    await expect(saveGraph(sample(), join(folder, 'no', 'm.onnx'))).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
    await expect(saveGraph(sample(), folder)).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
    expect(await files()).toEqual(['m.onnx']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  test('files that are missing, folders, and too large', async () => {
    await expect(openGraph(join(folder, 'none.onnx'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(openGraph(folder)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringMatching(/folder/),
    });
    await expect(openGraph(`${folder}\0`)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await saveGraph(sample(), join(folder, 'm.onnx'));
    await expect(openGraph(join(folder, 'm.onnx'), { limits: { onnxBytes: 100 } })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
  });

  test('a file that is not ONNX is named with what it is', async () => {
    const path = join(folder, 'page.onnx');
    await writeFile(path, '<!DOCTYPE html><html>Sign in</html>');
    await expect(openGraph(path)).rejects.toMatchObject({
      code: 'ONNX_INVALID',
      message: expect.stringMatching(/page\.onnx.*HTML/),
    });
  });
});

describe('with external data', () => {
  test('large tensors go into one file, are read back, and run in ONNX Runtime', async () => {
    const path = join(folder, 'm.onnx');
    const graph = sample();
    await saveGraph(graph, path, { externalData: { name: 'm.data' } });
    expect(await files()).toEqual(['m.data', 'm.onnx']);
    // The graph given is as it was.
    expect(writeGraph(graph)).toEqual(writeGraph(sample()));
    expect((await readFile(path)).length).toBeLessThan(2000);

    await expect(openGraph(path)).rejects.toMatchObject({
      code: 'ONNX_EXTERNAL_DATA',
      message: expect.stringMatching(/externalData: true/),
    });
    const bytes = await readFile(path);
    expect(() => readGraph(bytes)).toThrow(expect.objectContaining({ code: 'ONNX_EXTERNAL_DATA' }));
    const back = await openGraph(path, { externalData: true });
    expect(writeGraph(back)).toEqual(writeGraph(sample()));
    expect(tensorOf(mainGraph(back).initializer[0])).toEqual(weights);

    const session = await ort.InferenceSession.create(path);
    const x = Float32Array.from({ length: 40 }, (_, i) => Math.cos(i));
    const feeds = { x: new ort.Tensor('float32', x, [1, 40]), c: new ort.Tensor('bool', [true], []) };
    const whole = await ort.InferenceSession.create(writeGraph(sample()));
    expect((await session.run(feeds)).y.data).toEqual((await whole.run(feeds)).y.data);
    await Promise.all([session.release(), whole.release()]);
  });

  test('a threshold of 0 moves every raw tensor, packed ones too', async () => {
    const path = join(folder, 'm.onnx');
    const graph = buildGraph({
      opset: 21,
      irVersion: 10,
      inputs: [{ name: 'x', dtype: 'float32', shape: [20] }],
      outputs: [{ name: 'x', dtype: 'float32', shape: [20] }],
      nodes: [],
      initializers: { packed, small },
    });
    await saveGraph(graph, path, { externalData: { threshold: 0 } });
    const [data] = (await files()).filter((name) => name.endsWith('.data'));
    expect(data).toMatch(/^m-[0-9a-f]{8}\.data$/);
    const back = await openGraph(path, { externalData: true });
    expect(mainGraph(back).initializer.map((proto) => tensorOf(proto))).toEqual([packed, small]);
  });

  test('saving again with the same data uses the file; other data never replaces it', async () => {
    const path = join(folder, 'm.onnx');
    await saveGraph(sample(), path, { externalData: { name: 'm.data' } });
    await saveGraph(sample(), path, { externalData: { name: 'm.data' } });
    const before = await readFile(path);
    const other = sample();
    mainGraph(other).initializer[0].rawData = new Uint8Array(3200);
    await expect(saveGraph(other, path, { externalData: { name: 'm.data' } })).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    await saveGraph(other, path, { externalData: {} });
    expect(writeGraph(await openGraph(path, { externalData: true }))).toEqual(writeGraph(other));
  });

  test('no large tensors, no data file', async () => {
    await saveGraph(sample(), join(folder, 'm.onnx'), { externalData: { threshold: 1e6 } });
    expect(await files()).toEqual(['m.onnx']);
    expect(writeGraph(await openGraph(join(folder, 'm.onnx')))).toEqual(writeGraph(sample()));
  });

  test.each(['', '.', '..', 'a/b', '../m.data', 'a\\b', 'c:x', 'a\0', 'm.onnx'])(
    'the name %j is refused',
    async (name) => {
      const saved = saveGraph(sample(), join(folder, 'm.onnx'), { externalData: { name } });
      await expect(saved).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(await files()).toEqual([]);
    },
  );
});
