export * from './codec/index.ts';
export { type Device, openDevice } from './device.ts';
export { type Edge, openEdge } from './edge.ts';
export { ERROR_CODES, type ErrorCode, IsthmusError } from './errors.ts';
export { openHalves } from './halves.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { cutNetwork, type Network, openNetwork, type TaskOf } from './network.ts';
export { type Graph, openGraph, readGraph, saveGraph, writeGraph } from './onnx/index.ts';
export {
  type OpenSession,
  openInWorker,
  openOnnxRuntimeNode,
  openOnnxRuntimeWeb,
  openSession,
  type Session,
} from './runtime/index.ts';
export { chainGraphs, cutGraph } from './split/index.ts';
export {
  type ImageInput,
  type InputSpec,
  openSuite,
  type Pixels,
  prepare,
  type Task,
  type TaskName,
} from './tasks/index.ts';
export { asTensor, type DType, type Tensor, type TensorLike, tensor, toNdarray } from './tensor.ts';
