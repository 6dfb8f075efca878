export { openOnnxRuntimeNode } from './onnxruntime-node.ts';
export type { OpenOptions, OpenSession, Session, TensorInfo } from './session.ts';
