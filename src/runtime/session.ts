import type { DType, Tensor, TensorLike } from '../tensor.ts';

/** Name and type of a graph's input or output; a symbolic dimension is its name, an unknown one is `'?'`. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

/**
 * A loaded model, the one port through which isthmus runs networks. Every adapter passes the same contract suite
 * (`test/runtime/contract.ts`): feeds are checked by name, dtype and rank before the runtime sees them; calls are
 * serial; results are fresh tensors.
 */
export interface Session {
  /** Package and version, such as `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * Runs the model. `fetches` names the outputs wanted (all by default).
   * Throws `INVALID_ARGUMENT` for a missing or unknown name, `TENSOR_INVALID` for a feed of another type,
   * `RUNTIME_RUN` where the runtime fails or the session was released.
   */
  run(feeds: Readonly<Record<string, TensorLike>>, fetches?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Frees the model; further runs throw `RUNTIME_RUN`. A second release does nothing. */
  release(): Promise<void>;
}

export interface OpenOptions {
  /** Threads inside an operator; the runtime's own default where absent. */
  readonly threads?: number;
  /** How far the runtime may rewrite the graph; `all` by default. `disabled` keeps floats closest to the file's order. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
}

/** Opens a model from its bytes or its path. Throws `PEER_MISSING`, `FILE_NOT_FOUND`, `ONNX_INVALID`, `RUNTIME_LOAD`. */
export type OpenSession = (model: Uint8Array | string, options?: OpenOptions) => Promise<Session>;
