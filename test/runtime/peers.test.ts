import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { buildFloor, ROOT } from './built.ts';
import { AFFINE } from './onnx-subject.ts';

/** A user's project: the runtime and what it depends on, and of the optional peers those that a test puts there. */
describe('optional peers', () => {
  let folder: string;
  let url: string;
  const place = (name: string) => join(folder, 'node_modules', name);
  const install = async (name: string) => {
    await mkdir(dirname(place(name)), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), place(name));
  };
  const remove = (name: string) => rm(place(name), { recursive: true, force: true });
  const pretend = async (name: string, code: string) => {
    await mkdir(place(name), { recursive: true });
    await writeFile(join(place(name), 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }));
    await writeFile(join(place(name), 'index.js'), code);
  };
  /** What a call gives or throws, in a process of its own. */
  const call = async (code: string): Promise<string> => {
    const script = `const { openSession, openOnnxRuntimeNode, openOnnxRuntimeWeb, openInWorker, openTensorFlow } = await import(${JSON.stringify(url)});
      const model = Uint8Array.of(${AFFINE});
      const result = await ${code}.then(({ runtime }) => runtime, ({ name, code, message }) => name + ' ' + code + ' ' + message);
      console.log(result);`;
    const given = ['--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, given, { cwd: folder, timeout: 30_000 });
    return stdout.trim();
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-peers-'));
    for (const name of Object.keys(manifest.dependencies)) await install(name);
    url = await buildFloor('runtime', join(folder, 'built'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('import nothing until they are used, and say what to install', async () => {
    for (const code of ['openSession(model)', 'openOnnxRuntimeNode(model)', 'openInWorker(model)']) {
      expect(await call(code)).toMatch(
        /^IsthmusError PEER_MISSING .*onnxruntime-node is not installed.*npm i onnxruntime-node.*onnxruntime-node-install=skip.*\.npmrc/,
      );
    }
    expect(await call('openOnnxRuntimeWeb(model)')).toMatch(/^IsthmusError PEER_MISSING .*npm i onnxruntime-web/);
    expect(await call('openTensorFlow({ layers: [], predict() {} })')).toMatch(
      /^IsthmusError PEER_MISSING .*npm i @tensorflow\/tfjs-node/,
    );
  });

  it('say so when one is there and does not load', async () => {
    await pretend('onnxruntime-node', 'throw new Error("no binary for this machine");');
    expect(await call('openOnnxRuntimeNode(model)')).toMatch(
      /^IsthmusError PEER_MISSING .*installed but does not load here: no binary for this machine/,
    );
    await remove('onnxruntime-node');
  });

  it('fall back from the native ONNX Runtime to WebAssembly', async () => {
    await install('onnxruntime-web');
    expect(await call('openSession(model)')).toMatch(/^onnxruntime-web /);
    await install('onnxruntime-node');
    expect(await call('openSession(model)')).toMatch(/^onnxruntime-node /);
    expect(await call('openSession(new Uint8Array())')).toMatch(/^IsthmusError ONNX_INVALID /);
  });

  it('take the native TensorFlow.js where it is there and loads', async () => {
    await install('@tensorflow/tfjs');
    const open = `import('@tensorflow/tfjs').then(({ default: tf }) => openTensorFlow(
      tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] })))`;
    expect(await call(open)).toMatch(/^@tensorflow\/tfjs 4\S+ \(cpu\)$/);
    const real = join(ROOT, 'node_modules/@tensorflow/tfjs/dist/tf.node.js');
    await pretend('@tensorflow/tfjs-node', `export { default } from ${JSON.stringify(`file://${real}`)};`);
    expect(await call(open)).toMatch(/^@tensorflow\/tfjs-node 4\S+ \(cpu\)$/);
    await pretend('@tensorflow/tfjs-node', 'throw new Error("libtensorflow is not there");');
    expect(await call(open)).toMatch(/^@tensorflow\/tfjs 4\S+ \(cpu\)$/);
  });
});
