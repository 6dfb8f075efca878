import type { Limits } from '../limits.ts';
import type { DType, Tensor, TensorLike } from '../tensor.ts';

/** Name and type of a graph's input or output; a symbolic dimension is its name, an unknown one is `'?'`. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
  /** True where the model leaves even the number of dimensions open; `shape` is `[]` then. */
  readonly anyRank?: boolean;
}

/**
 * A loaded model, the one port through which isthmus runs networks. Every adapter passes the same contract suite
 * (`test/runtime/contract.ts`): feeds are checked by name, dtype, rank and fixed dimensions before the runtime sees
 * them; calls are serial, so that concurrent ones are safe; results are fresh tensors.
 */
export interface Session {
  /** Package and version, such as `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * Runs the model. `fetches` names the outputs wanted (all by default). The feeds' data is read, not copied: leave it
   * unchanged until the promise settles.
   * Throws `INVALID_ARGUMENT` for a missing or unknown name, `TENSOR_INVALID` for a feed of another type,
   * `RUNTIME_RUN` where the runtime fails or the session was released.
   */
  run(feeds: Readonly<Record<string, TensorLike>>, fetches?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Waits for runs under way and frees the model; further runs throw `RUNTIME_RUN`. A second release does nothing. */
  release(): Promise<void>;
}

export interface OpenOptions {
  /** Threads inside an operator; the runtime's own default where absent. */
  readonly threads?: number;
  /** How far the runtime may rewrite the graph; `all` by default. `disabled` keeps floats closest to the file's order. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Loads tensors kept in files beside the model (within its folder only). Refused by default. */
  readonly externalData?: boolean;
  /** Caps on the model file. */
  readonly limits?: Partial<Limits>;
}

/**
 * Opens a model from its bytes or its path. The file is checked before the runtime sees it.
 * Throws `PEER_MISSING`, `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `ONNX_INVALID`, `ONNX_EXTERNAL_DATA`, `LIMIT_EXCEEDED`,
 * `RUNTIME_LOAD`.
 */
export type OpenSession = (model: Uint8Array | string, options?: OpenOptions) => Promise<Session>;
