import type { Graph } from '../onnx/graph.ts';
import { readGraph } from '../onnx/read.ts';
import type { OpenOptions } from './session.ts';

/** A model whose bytes isthmus has checked, and the same model read. */
export interface CheckedModel {
  readonly bytes: Uint8Array;
  readonly graph: Graph;
}

/** Checks a model's bytes before a runtime sees them. Throws as `readGraph` does. */
export function checkBytes(bytes: Uint8Array, { limits }: OpenOptions): CheckedModel {
  return { bytes, graph: readGraph(bytes, { limits }) };
}
