import type { NodeProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';

/** The nodes that some tensors are computed from, in order. */
export function ancestors(nodes: readonly NodeProto[], names: readonly string[]): NodeProto[] {
  const needed = new Set(names);
  const kept: NodeProto[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    kept.push(node);
    for (const name of usesOf(node)) needed.add(name);
  }
  return kept.reverse();
}
