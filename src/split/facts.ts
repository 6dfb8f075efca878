import { type Dim, printDim } from '../onnx/dim.ts';
import type { Graph } from '../onnx/graph.ts';
import { type Inferred, inferShapes } from '../onnx/infer.ts';
import type { DType } from '../tensor.ts';

/** A dimension, printed: its number, or an expression of symbols such as `batch` or `floor((H+1)/2)`. */
export type Length = number | string;

/** What shape inference says of a graph's tensors; `undefined` is what it does not know. */
export interface Facts {
  readonly inferred: Inferred;
  dtype(name: string): DType | undefined;
  dims(name: string): readonly Dim[] | undefined;
  shape(name: string): readonly Length[] | undefined;
  /** Elements of a small int64 tensor of rank 0 or 1. */
  value(name: string): readonly Length[] | undefined;
}

/** Throws `ONNX_SHAPE` where the graph's shapes contradict each other. */
export function factsOf(graph: Graph, dims: Readonly<Record<string, number>> = {}): Facts {
  const inferred = inferShapes(graph, { dims });
  const dtypes = new Map<string, DType | undefined>();
  const dimsOf = new Map<string, readonly Dim[] | undefined>();
  const values = new Map<string, readonly Length[]>();
  for (const [name, { dtype, shape }] of inferred.tensors) {
    dtypes.set(name, dtype);
    dimsOf.set(name, shape);
  }
  for (const { node, outputs } of inferred.steps) {
    for (const [i, name] of node.output.entries()) {
      const { dtype, shape, data } = outputs[i];
      dtypes.set(name, dtype);
      dimsOf.set(name, shape);
      const small = dtype === 'int64' && shape !== undefined && shape.length <= 1;
      if (small && data?.every((element) => element !== undefined)) values.set(name, data.map(print));
    }
  }
  const shapes = new Map<string, readonly Length[] | undefined>();
  for (const [name, each] of dimsOf) shapes.set(name, each?.map(print));
  return {
    inferred,
    dtype: (name) => dtypes.get(name),
    dims: (name) => dimsOf.get(name),
    shape: (name) => shapes.get(name),
    value: (name) => values.get(name),
  };
}

function print(dim: Dim): Length {
  return typeof dim === 'number' ? dim : printDim(dim);
}

/** Dimensions as declarations write them: a length that nobody knows is `'?'`. */
export function declarable(shape: readonly Length[] | undefined): Length[] | undefined {
  return shape?.map((length) => (typeof length === 'string' && length.includes('?') ? '?' : length));
}
