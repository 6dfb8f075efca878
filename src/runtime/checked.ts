import { fromBinary } from '@bufbuild/protobuf';
import { IsthmusError, messageOf } from '../errors.ts';
import type { Graph } from '../onnx/graph.ts';
import { ModelProtoSchema } from '../onnx/onnx_pb.ts';
import type { OpenOptions } from './session.ts';

/** A model whose bytes isthmus has checked, and the same model read. */
export interface CheckedModel {
  readonly bytes: Uint8Array;
  readonly graph: Graph;
}

/** Checks a model's bytes before a runtime sees them. Throws `ONNX_INVALID`, `ONNX_EXTERNAL_DATA`, `LIMIT_EXCEEDED`. */
export function checkBytes(bytes: Uint8Array, _options: OpenOptions): CheckedModel {
  try {
    const graph = fromBinary(ModelProtoSchema, bytes);
    if (!graph.graph) throw new IsthmusError('ONNX_INVALID', 'the file holds no ONNX graph');
    return { bytes, graph };
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('ONNX_INVALID', `the file is not an ONNX model: ${messageOf(cause)}`, { cause });
  }
}
