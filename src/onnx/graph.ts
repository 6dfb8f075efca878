import type { GraphProto, ModelProto } from './onnx_pb.ts';

/**
 * An ONNX model in memory: the protobuf message itself, so that nothing a file says is lost on the way through.
 * External data has been loaded into `rawData` by whoever opened it.
 */
export type Graph = ModelProto;

/** The main graph of a checked model. */
export function mainGraph(graph: Graph): GraphProto {
  return graph.graph as GraphProto;
}
