import { IsthmusError, messageOf } from '../errors.ts';
import { type CheckedModel, checkBytes } from './checked.ts';
import { type OnnxRuntime, openOnnxRuntime } from './onnxruntime.ts';
import { importPeer } from './peer.ts';
import { inNode } from './place.ts';
import type { OpenOptions, OpenSession } from './session.ts';

/**
 * Opens a model in ONNX Runtime's WebAssembly build, in browsers and in Node. A string is a path in Node and a URL
 * elsewhere. `threads` counts for the first model that a page or process opens, more than one only where the page is
 * cross-origin isolated.
 */
export const openOnnxRuntimeWeb: OpenSession = async (model, options = {}) => {
  const ort = await importPeer('onnxruntime-web', () => import('onnxruntime-web'), 'run `npm i onnxruntime-web`');
  const checked = typeof model === 'string' ? await checkNamed(model, options) : checkBytes(model, options);
  if (options.threads !== undefined) ort.env.wasm.numThreads = options.threads;
  const runtime = `onnxruntime-web ${ort.env.versions.web}`;
  return openOnnxRuntime({ ort: ort as OnnxRuntime, runtime, provider: 'wasm' }, checked, options);
};

async function checkNamed(model: string, options: OpenOptions): Promise<CheckedModel> {
  if (inNode()) return (await import('./model-file.ts')).checkFile(model, options);
  const response = await fetch(model).catch((cause) => {
    throw new IsthmusError('FILE_UNREADABLE', `cannot fetch the model ${model}: ${messageOf(cause)}`, { cause });
  });
  if (!response.ok) {
    throw new IsthmusError(
      response.status === 404 ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      `cannot fetch the model ${model}: ${response.status} ${response.statusText}`,
    );
  }
  return checkBytes(new Uint8Array(await response.arrayBuffer()), options);
}
