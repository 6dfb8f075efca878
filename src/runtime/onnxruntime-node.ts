import { checkBytes } from './checked.ts';
import { checkFile } from './model-file.ts';
import { type OnnxRuntime, openOnnxRuntime } from './onnxruntime.ts';
import { importPeer } from './peer.ts';
import type { OpenSession } from './session.ts';

/**
 * Opens a model in ONNX Runtime's native build for Node. A run blocks the thread that it is started on; servers use
 * `openInWorker`.
 */
export const openOnnxRuntimeNode: OpenSession = async (model, options = {}) => {
  const ort = await importPeer(
    'onnxruntime-node',
    () => import('onnxruntime-node'),
    'run `npm i onnxruntime-node` (on a closed network, where its install script fails, first put the line ' +
      '`onnxruntime-node-install=skip` into the .npmrc of your project: the CPU build is in the package already)',
  );
  const checked = typeof model === 'string' ? await checkFile(model, options) : checkBytes(model, options);
  const runtime = `onnxruntime-node ${ort.env.versions.node}`;
  return openOnnxRuntime({ ort: ort as OnnxRuntime, runtime, provider: 'cpu' }, checked, options);
};
