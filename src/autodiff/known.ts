import type { Dim } from '../onnx/dim.ts';
import type { Graph } from '../onnx/graph.ts';
import { inferShapes } from '../onnx/infer.ts';
import type { DType } from '../tensor.ts';

/** What shape inference knows of one tensor. */
export interface Known {
  readonly dtype?: DType;
  readonly shape?: readonly Dim[];
  /** Elements of a small tensor, such as axes or a shape. */
  readonly data?: readonly (Dim | undefined)[];
}

/** What is known of each tensor of the main graph. Throws `ONNX_SHAPE` where its shapes contradict each other. */
export function knownOf(graph: Graph): Map<string, Known> {
  const inferred = inferShapes(graph);
  const known = new Map<string, Known>(inferred.tensors);
  for (const { node, inputs, outputs } of inferred.steps) {
    for (const [names, values] of [[node.input, inputs] as const, [node.output, outputs] as const]) {
      for (const [i, name] of names.entries()) {
        const value = values[i];
        if (value !== undefined && name !== '') known.set(name, value);
      }
    }
  }
  return known;
}
