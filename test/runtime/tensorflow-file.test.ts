import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { cutTensorFlow, openTensorFlow } from '../../src/runtime/tensorflow.ts';
import { readModelFiles } from '../../src/runtime/tensorflow-file.ts';
import { failure } from './contract.ts';
import { float } from './onnx-subject.ts';
import { affineLayers, graphFiles, placeholder, typed } from './tensorflow-models.ts';

const { topology, specs, data } = graphFiles(
  [placeholder('x', 'float32', [-1, 2]), { name: 'y', op: 'Mul', input: ['x', 'w'], attr: typed('float32') }],
  { w: float([2], 10, 20) },
);
const graph = {
  format: 'graph-model',
  modelTopology: topology,
  weightsManifest: [{ paths: ['weights.bin'], weights: specs }],
};

describe('model.json and its weight files', () => {
  let folder: string;
  /** Writes a model into a folder of its own, and gives the path of its `model.json`. */
  const write = async (json: unknown, files: Record<string, Uint8Array> = { 'weights.bin': data }) => {
    const home = await mkdtemp(join(folder, 'model-'));
    await writeFile(join(home, 'model.json'), typeof json === 'string' ? json : JSON.stringify(json));
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(home, name), bytes);
    return join(home, 'model.json');
  };
  const withPaths = (...paths: string[]) => ({ ...graph, weightsManifest: [{ paths, weights: specs }] });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-tfjs-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('opens a graph model, of one weight file or several, and frees it at release', async () => {
    await openTensorFlow(affineLayers()); // The first use of TensorFlow.js leaves tensors of its own.
    const count = tf.memory().numTensors;
    const paths = [
      await write(graph),
      await write(withPaths('a.bin', 'b.bin'), { 'a.bin': data.slice(0, 3), 'b.bin': data.slice(3) }),
    ];
    for (const path of paths) {
      const session = await openTensorFlow(path);
      expect((await session.run({ x: float([1, 2], 1, 2) })).y.data).toEqual(Float32Array.of(10, 40));
      await session.release();
    }
    expect(tf.memory().numTensors).toBe(count);
  });

  it('opens a layers model as TensorFlow.js saves it, and cuts it', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: 3, inputShape: [2], name: 'first' }),
        tf.layers.dense({ units: 1, name: 'second' }),
      ],
    });
    let path = '';
    await model.save(
      tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData, format }) => {
        const manifest = [{ paths: ['group1-shard1of1.bin'], weights: weightSpecs }];
        const bytes = new Uint8Array(weightData as ArrayBuffer);
        path = await write({ format, modelTopology, weightsManifest: manifest }, { 'group1-shard1of1.bin': bytes });
        return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON({ modelTopology }) };
      }),
    );
    const expected = model.predict(tf.tensor2d([[1, 2]])) as tf.Tensor;
    const count = tf.memory().numTensors;
    const { head, tail } = await cutTensorFlow(path, 'first');
    const results = await tail.run(await head.run({ [head.inputs[0].name]: float([1, 2], 1, 2) }));
    expect(results.second.data).toEqual(expected.dataSync());
    await head.release();
    await tail.release();
    expect(tf.memory().numTensors).toBe(count);
  });

  it('frees what it loaded where a cut is refused', async () => {
    const path = await write(graph);
    const count = tf.memory().numTensors;
    await expect(cutTensorFlow(path, 'nothing')).rejects.toEqual(failure('CUT_UNKNOWN'));
    expect(tf.memory().numTensors).toBe(count);
  });

  it('reads weight files beside it only', async () => {
    const path = await write(graph);
    const outside = await write(graph);
    for (const name of [
      '../weights.bin',
      join(outside, '../weights.bin'),
      '..',
      '.',
      '',
      'C:weights.bin',
      'a\\b',
      'a/b',
      'a\0',
    ]) {
      await expect(openTensorFlow(await write(withPaths(name)))).rejects.toEqual(failure('RUNTIME_LOAD', /beside it/));
    }
    const linked = await write(graph, {});
    await symlink(join(outside, '..', 'weights.bin'), join(linked, '..', 'weights.bin'));
    await expect(openTensorFlow(linked)).rejects.toEqual(failure('RUNTIME_LOAD', /link/));
    await expect(openTensorFlow(path)).resolves.toBeDefined();
  });

  it('tells what is missing, unreadable or no model', async () => {
    await expect(openTensorFlow(join(folder, 'none.json'))).rejects.toEqual(failure('FILE_NOT_FOUND'));
    await expect(openTensorFlow(folder)).rejects.toEqual(failure('FILE_UNREADABLE'));
    await expect(openTensorFlow(await write(graph, {}))).rejects.toEqual(failure('FILE_NOT_FOUND', /weights\.bin/));
    const asFolder = await write(graph, {});
    await mkdir(join(asFolder, '..', 'weights.bin'));
    await expect(openTensorFlow(asFolder)).rejects.toEqual(failure('FILE_UNREADABLE', /weights\.bin/));
    for (const json of ['', 'no json', '[]', '{}', { ...graph, weightsManifest: 5 }, { ...graph, format: 'other' }]) {
      await expect(openTensorFlow(await write(json))).rejects.toEqual(failure('RUNTIME_LOAD', /model\.json/));
    }
    const odd = { format: 'layers-model', modelTopology: { model_config: { class_name: 'Nothing', config: {} } } };
    await expect(openTensorFlow(await write(odd))).rejects.toEqual(failure('RUNTIME_LOAD', /cannot load/));
  });

  it('checks sizes before it allocates, and keeps to the caps', async () => {
    const weights = (shape: number[]) => ({
      ...graph,
      weightsManifest: [{ paths: ['weights.bin'], weights: [{ ...specs[0], shape }] }],
    });
    await expect(openTensorFlow(await write(weights([3])))).rejects.toEqual(failure('RUNTIME_LOAD', /12 bytes.*8/));
    await expect(openTensorFlow(await write(weights([1])))).rejects.toEqual(failure('RUNTIME_LOAD', /4 bytes.*8/));
    await expect(openTensorFlow(await write(weights([2 ** 40])))).rejects.toEqual(
      failure('LIMIT_EXCEEDED', /tensorBytes/),
    );
    await expect(openTensorFlow(await write(weights([2 ** 30, 2 ** 30])))).rejects.toBeInstanceOf(IsthmusError);
    const path = await write(graph);
    await expect(openTensorFlow(path, { limits: { tfjsBytes: 7 } })).rejects.toEqual(
      failure('LIMIT_EXCEEDED', /tfjsBytes/),
    );
    await expect(openTensorFlow(path, { limits: { jsonBytes: 7 } })).rejects.toEqual(
      failure('LIMIT_EXCEEDED', /jsonBytes/),
    );
  });

  it('throws nothing but IsthmusError for a damaged model.json', async () => {
    const text = JSON.stringify(graph);
    const path = await write(graph);
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.string({ maxLength: 3 }), fc.nat(6), async (at, insert, removed) => {
        await writeFile(path, text.slice(0, at) + insert + text.slice(at + removed));
        await readModelFiles(path).catch((thrown) => expect(thrown).toBeInstanceOf(IsthmusError));
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
