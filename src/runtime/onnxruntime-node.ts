import { readFile } from 'node:fs/promises';
import { IsthmusError, messageOf } from '../errors.ts';
import { checkBytes } from './checked.ts';
import { type OnnxRuntime, openOnnxRuntime } from './onnxruntime.ts';
import { importPeer } from './peer.ts';
import type { OpenOptions, OpenSession } from './session.ts';

/**
 * Opens a model in ONNX Runtime's native build for Node. Runs block the thread they are started on (see
 * `openInWorker` for servers).
 */
export const openOnnxRuntimeNode: OpenSession = async (model, options = {}) => {
  const ort = await importOnnxRuntimeNode();
  const { bytes, graph } = typeof model === 'string' ? await checkFile(model, options) : checkBytes(model, options);
  return openOnnxRuntime(ort, `onnxruntime-node ${ort.env.versions.node}`, bytes, graph, options);
};

async function checkFile(path: string, options: OpenOptions) {
  try {
    return checkBytes(await readFile(path), options);
  } catch (cause) {
    if (cause instanceof IsthmusError) throw new IsthmusError(cause.code, `${path}: ${cause.message}`, { cause });
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new IsthmusError(
      absent ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      absent ? `no model file ${path}` : `cannot read the model file ${path}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

type OnnxRuntimeNode = OnnxRuntime & { readonly env: { readonly versions: { readonly node?: string } } };

async function importOnnxRuntimeNode(): Promise<OnnxRuntimeNode> {
  const module = await importPeer(
    'onnxruntime-node',
    () => import('onnxruntime-node'),
    'run `npm i onnxruntime-node` (on a closed network, where its install script fails, first put the line ' +
      '`onnxruntime-node-install=skip` into the .npmrc of your project; the CPU build is in the package already)',
  );
  return module as OnnxRuntimeNode;
}
