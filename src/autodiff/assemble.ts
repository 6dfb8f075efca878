import { create } from '@bufbuild/protobuf';
import { valueInfo } from '../onnx/build.ts';
import { type Dim, isKnown, printDim } from '../onnx/dim.ts';
import { type Graph, mainGraph } from '../onnx/graph.ts';
import { GraphProtoSchema, ModelProtoSchema, type NodeProto, type ValueInfoProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';
import type { Backward } from './backward.ts';
import type { Known } from './known.ts';

/**
 * The model of the forward and backward nodes that loss and gradients need, with the inputs and initializers that these
 * read. Messages are shared with `model`, not copied.
 */
export function assemble(
  model: Graph,
  known: ReadonlyMap<string, Known>,
  backward: Backward,
  forward: readonly NodeProto[],
  loss: string,
  wanted: readonly string[],
  gradients: readonly string[],
): Graph {
  const whole = mainGraph(model);
  const declared = (name: string) => [...whole.output, ...whole.input].find((info) => info.name === name);
  const output = [
    declared(loss) ?? declare(loss, backward, known.get(loss)?.shape),
    ...gradients.map((name, i) => declare(name, backward, known.get(wanted[i])?.shape)),
  ];
  const used = new Set(output.map((info) => info.name));
  const nodes: NodeProto[] = [];
  for (const node of [...forward, ...backward.nodes].reverse()) {
    if (!node.output.some((name) => used.has(name))) continue;
    nodes.push(node);
    for (const name of usesOf(node)) used.add(name);
  }
  const outputs = new Set(output.map((info) => info.name));
  const graph = create(GraphProtoSchema, {
    name: `${whole.name}_gradient`,
    node: nodes.reverse(),
    input: whole.input.filter((info) => used.has(info.name)),
    output,
    initializer: [...whole.initializer, ...backward.initializers].filter((tensor) => used.has(tensor.name)),
    sparseInitializer: whole.sparseInitializer.filter((sparse) => used.has(sparse.values?.name ?? '')),
    valueInfo: whole.valueInfo.filter((info) => used.has(info.name) && !outputs.has(info.name)),
    metadataProps: whole.metadataProps,
  });
  return create(ModelProtoSchema, {
    irVersion: model.irVersion,
    opsetImport: model.opsetImport,
    producerName: 'isthmus',
    functions: model.functions,
    metadataProps: model.metadataProps,
    graph,
  });
}

/** Expressions of unknown lengths are left open; others keep the symbols of the model. */
function declare(name: string, backward: Backward, shape: readonly Dim[] | undefined): ValueInfoProto {
  const dims = shape?.map((dim) => (typeof dim === 'number' ? dim : isKnown(dim) ? printDim(dim) : '?'));
  return valueInfo(name, backward.dtype(name), dims);
}
