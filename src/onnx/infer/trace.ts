import type { GraphProto, NodeProto } from '../onnx_pb.ts';
import type { Value } from './call.ts';

/** A node as inference last went through it: what counting reads. */
export interface Step {
  /** As it stands in its graph. */
  readonly origin: NodeProto;
  /** The same with attributes that refer to a function's filled in. */
  readonly node: NodeProto;
  readonly opset: number;
  readonly inputs: readonly (Value | undefined)[];
  outputs: readonly Value[];
  /** Subgraphs that can run. */
  readonly bodies: Map<GraphProto, readonly Step[]>;
  /** What the node stands for where it calls a function of the model. */
  expansion?: readonly Step[];
}
