import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { IsthmusError, messageOf } from '../errors.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import { checkGraph } from './check.ts';
import type { Graph } from './graph.ts';
import { ModelProtoSchema } from './onnx_pb.ts';
import { messageDepth, scanModel } from './scan.ts';
import { kindOfFile } from './sniff.ts';

export interface ReadOptions {
  /** Caps to raise or lower for this call. */
  readonly limits?: Partial<Limits>;
}

/**
 * The checked graph in the bytes of an ONNX file. Tensors view `bytes`, which must not change afterwards. Fields that
 * isthmus does not know are kept, and {@link writeGraph} gives the same bytes back where the file had its fields in
 * canonical order.
 * Throws `ONNX_INVALID`, `ONNX_UNSUPPORTED`, `LIMIT_EXCEEDED`, and `ONNX_EXTERNAL_DATA` where tensors lie in other files,
 * which only `openGraph` can read.
 */
export function readGraph(bytes: Uint8Array, options: ReadOptions = {}): Graph {
  const limits = limitsOf(options.limits);
  const graph = parseGraph(bytes, limits);
  checkGraph(graph, limits);
  return graph;
}

/** {@link readGraph} before its check: a model whose external data is not loaded yet may be inconsistent. */
export function parseGraph(bytes: Uint8Array, limits: Readonly<Limits>): Graph {
  if (!(bytes instanceof Uint8Array)) {
    throw new IsthmusError('INVALID_ARGUMENT', 'an ONNX model is read from a Uint8Array of the bytes of its file');
  }
  within(limits, 'onnxBytes', bytes.length, 'bytes of the ONNX file');
  // A plain view: subarrays of a Node Buffer would be Buffers again.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    scanModel(plain, limits);
    const graph = fromBinary(ModelProtoSchema, plain, { recursionLimit: messageDepth(limits) });
    if (graph.graph === undefined) throw new Error('it has no graph');
    return graph;
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('ONNX_INVALID', notOnnx(plain, messageOf(cause)), { cause });
  }
}

function notOnnx(bytes: Uint8Array, problem: string): string {
  const kind = kindOfFile(bytes);
  if (kind !== undefined) return `not an ONNX model: this is ${kind}`;
  return `not an ONNX model, or a damaged or truncated one: ${problem}`;
}

/**
 * The bytes of an ONNX file. Throws `ONNX_INVALID` for a message that cannot be written: a value outside its field's
 * range, a graph that contains itself, or more than the 2 GiB that protobuf allows (external data is the way then).
 */
export function writeGraph(graph: Graph): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = toBinary(ModelProtoSchema, graph);
  } catch (cause) {
    throw new IsthmusError('ONNX_INVALID', `the graph cannot be written: ${messageOf(cause)}`, { cause });
  }
  if (bytes.length > 2 ** 31 - 1) {
    throw new IsthmusError(
      'ONNX_INVALID',
      `the graph takes ${bytes.length} bytes and a file ends at 2 GiB: save external data`,
    );
  }
  return bytes;
}
