import { count } from '../onnx/count.ts';
import { evaluate, isKnown, printDim, symbolsOf } from '../onnx/dim.ts';
import type { Graph } from '../onnx/graph.ts';
import type { NodeProto } from '../onnx/onnx_pb.ts';
import { byteLength } from '../tensor.ts';
import type { Facts } from './facts.ts';
import type { Flow } from './flow.ts';

/** Costs of nodes and tensors of a flow, given by number. */
export interface Costs {
  /** Multiply-accumulates of nodes. */
  macs(nodes: readonly number[]): number;
  /** Parameters that nodes read or bring, each once. */
  params(nodes: readonly number[]): number;
  /** Raw bytes of a tensor; `undefined` where type or shape are not known, and for strings. */
  bytes(tensor: number): number | undefined;
}

/** Lengths beyond which no model needs its inputs to be. */
const LONGEST = 2 ** 16;

/**
 * Lengths for the symbolic dimensions of a graph's inputs: 1 for those on axis 0, the batch; for all others the smallest
 * power of two that leaves no tensor empty, 1 if it can be.
 */
export function lengthsFor(flow: Flow, facts: Facts): Record<string, number> {
  const dims = flow.inputs.map((input) => facts.dims(flow.names[input]) ?? []);
  const symbols = new Set(dims.flat().flatMap(symbolsOf));
  const batch = new Set(dims.flatMap((shape) => (shape.length > 1 ? symbolsOf(shape[0]) : [])));
  const sizes = flow.names.flatMap((name) => facts.dims(name) ?? []).filter((dim) => typeof dim !== 'number');
  const distinct = [...new Map(sizes.map((dim) => [printDim(dim), dim])).values()];
  for (let length = 1; length <= LONGEST; length *= 2) {
    const lengths = Object.fromEntries([...symbols].map((symbol) => [symbol, batch.has(symbol) ? 1 : length]));
    if (distinct.every((dim) => (evaluate(dim, lengths) ?? 1) > 0)) return lengths;
  }
  return Object.fromEntries([...symbols].map((symbol) => [symbol, 1]));
}

/** Costs with the lengths that are assumed. */
export function costsOf(graph: Graph, flow: Flow, facts: Facts): Costs {
  const lengths = lengthsFor(flow, facts);
  const counted = count(graph, facts.inferred, lengths);
  const macsOfNode = new Map<NodeProto, number>(facts.inferred.steps.map((step, i) => [step.origin, counted.macs[i]]));
  const macs = Float64Array.from(flow.nodes, (node) => macsOfNode.get(node) ?? 0);
  const size = Float64Array.from(flow.names, (name) => counted.params.get(name) ?? 0);
  const stored = flow.nodes.map((_, node) => [...flow.reads[node], ...flow.writes[node]].filter((t) => size[t] > 0));
  const seen = new Int32Array(flow.names.length);
  let stamp = 0;
  return {
    macs(nodes) {
      let sum = 0;
      for (const node of nodes) sum += macs[node];
      return sum;
    },
    params(nodes) {
      stamp++;
      let sum = 0;
      for (const node of nodes) {
        for (const tensor of stored[node]) {
          if (seen[tensor] === stamp) continue;
          seen[tensor] = stamp;
          sum += size[tensor];
        }
      }
      return sum;
    },
    bytes(tensor) {
      const dtype = facts.dtype(flow.names[tensor]);
      const dims = facts.dims(flow.names[tensor]);
      if (dtype === undefined || dtype === 'string' || !dims?.every(isKnown)) return undefined;
      const shape = dims.map((dim) => evaluate(dim, lengths));
      return shape.every((length) => length !== undefined && length >= 0)
        ? byteLength(dtype, shape as number[])
        : undefined;
    },
  };
}
