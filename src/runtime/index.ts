import { IsthmusError } from '../errors.ts';
import { openOnnxRuntimeWeb } from './onnxruntime-web.ts';
import { inNode } from './place.ts';
import type { OpenSession } from './session.ts';

export type { OpenOptions, OpenSession, Session, TensorInfo } from './session.ts';
export { cutTensorFlow, openTensorFlow, type TensorFlowModel, type TensorFlowOptions } from './tensorflow.ts';
export { openOnnxRuntimeWeb };

/** ONNX Runtime's native build for Node. A run blocks the thread that it is started on. */
export const openOnnxRuntimeNode: OpenSession = async (model, options) => {
  const native = await nodeOnly('openOnnxRuntimeNode', () => import('./onnxruntime-node.ts'));
  return native.openOnnxRuntimeNode(model, options);
};

/** ONNX Runtime's native build in a thread of its own, for servers: runs do not block the caller's thread. */
export const openInWorker: OpenSession = async (model, options) => {
  const native = await nodeOnly('openInWorker', () => import('./onnxruntime-node-worker.ts'));
  return native.openInWorker(model, options);
};

/**
 * The runtime at hand: ONNX Runtime's native build where `onnxruntime-node` is installed, else its WebAssembly build.
 * Throws `PEER_MISSING` where neither is installed, and what {@link OpenSession} names.
 */
export const openSession: OpenSession = async (model, options) => {
  if (!inNode()) return openOnnxRuntimeWeb(model, options);
  try {
    return await openOnnxRuntimeNode(model, options);
  } catch (native) {
    if (!(native instanceof IsthmusError && native.code === 'PEER_MISSING')) throw native;
    return openOnnxRuntimeWeb(model, options).catch((web) => {
      throw web instanceof IsthmusError && web.code === 'PEER_MISSING' ? native : web;
    });
  }
};

/** Loads what needs Node when it is first used, so that a browser's bundle does without. */
function nodeOnly<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  if (inNode()) return load();
  throw new IsthmusError('PEER_MISSING', `${name} needs Node; in a browser use openOnnxRuntimeWeb`);
}
