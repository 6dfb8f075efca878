import { type Graph, mainGraph, tensorTypeOf } from '../onnx/graph.ts';
import type { DType } from '../tensor.ts';

/** A dimension, printed: its number, or an expression of symbols such as `batch` or `floor((H+1)/2)`. */
export type Length = number | string;

/** What shape inference says of a graph's tensors; `undefined` is what it does not know. */
export interface Facts {
  dtype(name: string): DType | undefined;
  shape(name: string): readonly Length[] | undefined;
  /** Elements of a small int64 tensor of rank 0 or 1. */
  value(name: string): readonly Length[] | undefined;
}

export function factsOf(model: Graph): Facts {
  const graph = mainGraph(model);
  const types = new Map(
    [...graph.valueInfo, ...graph.input, ...graph.output].map((info) => [info.name, tensorTypeOf(info.type)]),
  );
  return {
    dtype: (name) => types.get(name)?.dtype ?? 'float32',
    shape: (name) => types.get(name)?.shape,
    value: () => undefined,
  };
}
