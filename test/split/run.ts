import { type Graph, mainGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { cutGraph } from '../../src/split/index.ts';
import type { Tensor } from '../../src/tensor.ts';

/** Runs a graph; feeds that it does not take are left out. */
export async function run(graph: Graph, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
  const session = await openOnnxRuntimeNode(writeGraph(graph), { optimization: 'disabled' });
  try {
    const own = Object.fromEntries(session.inputs.map(({ name }) => [name, feeds[name]]));
    return await session.run(own);
  } finally {
    await session.release();
  }
}

/** What the graph gives, and what head and tail of a cut give. */
export async function bothWays(graph: Graph, tensors: readonly string[], feeds: Readonly<Record<string, Tensor>>) {
  const { head, tail } = cutGraph(graph, tensors);
  const features = await run(head, feeds);
  return { head, tail, features, whole: await run(graph, feeds), halves: await run(tail, { ...feeds, ...features }) };
}

export function names(infos: readonly { readonly name: string }[]): string[] {
  return infos.map(({ name }) => name);
}

export function ops(graph: Graph): string[] {
  return mainGraph(graph).node.map(({ opType }) => opType);
}

/** float32 values that differ from each other: 0.1, 0.2, … with alternating signs. */
export function floats(...shape: number[]): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return {
    dtype: 'float32',
    shape,
    data: Float32Array.from({ length: count }, (_, i) => ((i % 2 ? -1 : 1) * (i + 1)) / 10),
  };
}

export function ints(shape: number[], ...values: number[]): Tensor {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}
