import { clone, create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorAnnotationSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.ts';
import { subgraphsOf, walkNodes } from '../onnx/walk.ts';

/** New names of tensors and of symbolic dimensions; what is not in a map keeps its name. */
export interface Renaming {
  readonly tensors: ReadonlyMap<string, string>;
  readonly nodes: ReadonlyMap<string, string>;
  readonly dims: ReadonlyMap<string, string | number>;
}

/** Every tensor name of a graph, those inside subgraphs as well. */
export function tensorNames(graph: GraphProto): Set<string> {
  const names = new Set<string>();
  const collect = (each: GraphProto) => {
    for (const info of [...each.input, ...each.output]) names.add(info.name);
    for (const tensor of each.initializer) names.add(tensor.name);
    for (const sparse of each.sparseInitializer) names.add(sparse.values?.name ?? '');
  };
  collect(graph);
  for (const { node } of walkNodes(graph)) {
    for (const name of [...node.input, ...node.output]) names.add(name);
    for (const body of subgraphsOf(node)) collect(body);
  }
  names.delete('');
  return names;
}

/** Symbolic dimensions that a graph declares. */
export function dimNames(infos: readonly ValueInfoProto[]): Set<string> {
  const names = new Set<string>();
  for (const { type } of infos) {
    if (type?.value.case !== 'tensorType') continue;
    for (const { value } of type.value.value.shape?.dim ?? []) if (value.case === 'dimParam') names.add(value.value);
  }
  return names;
}

/** A copy of a message that shares its fields, unknown ones included. */
export function shallow<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): MessageShape<Desc> {
  return Object.assign(create(schema), message);
}

/** A graph under other names. Names are replaced in subgraphs too, so new names must be fresh in all of it. */
export function renameGraph(graph: GraphProto, renaming: Renaming): GraphProto {
  const name = (old: string) => renaming.tensors.get(old) ?? old;
  const tensor = (old: TensorProto) =>
    renaming.tensors.has(old.name) ? Object.assign(shallow(TensorProtoSchema, old), { name: name(old.name) }) : old;
  const info = (old: ValueInfoProto) => renameInfo(old, renaming);
  return Object.assign(shallow(GraphProtoSchema, graph), {
    node: graph.node.map((node) => renameNode(node, renaming)),
    initializer: graph.initializer.map(tensor),
    sparseInitializer: graph.sparseInitializer.map((sparse) =>
      sparse.values
        ? Object.assign(shallow(SparseTensorProtoSchema, sparse), { values: tensor(sparse.values) })
        : sparse,
    ),
    input: graph.input.map(info),
    output: graph.output.map(info),
    valueInfo: graph.valueInfo.map(info),
    quantizationAnnotation: graph.quantizationAnnotation.map((old) =>
      Object.assign(shallow(TensorAnnotationSchema, old), {
        tensorName: name(old.tensorName),
        quantParameterTensorNames: old.quantParameterTensorNames.map((entry) =>
          Object.assign(shallow(StringStringEntryProtoSchema, entry), { value: name(entry.value) }),
        ),
      }),
    ),
  });
}

/** A node under other names. */
export function renameNode(node: NodeProto, renaming: Renaming): NodeProto {
  const name = (old: string) => renaming.tensors.get(old) ?? old;
  return Object.assign(shallow(NodeProtoSchema, node), {
    name: renaming.nodes.get(node.name) ?? node.name,
    input: node.input.map(name),
    output: node.output.map(name),
    attribute: node.attribute.map((attribute) => {
      if (!attribute.g && attribute.graphs.length === 0) return attribute;
      return Object.assign(shallow(AttributeProtoSchema, attribute), {
        ...(attribute.g && { g: renameGraph(attribute.g, renaming) }),
        ...(attribute.graphs.length > 0 && { graphs: attribute.graphs.map((body) => renameGraph(body, renaming)) }),
      });
    }),
  });
}

function renameInfo(old: ValueInfoProto, { tensors, dims }: Renaming): ValueInfoProto {
  const info = clone(ValueInfoProtoSchema, old);
  info.name = tensors.get(old.name) ?? old.name;
  if (info.type?.value.case !== 'tensorType') return info;
  for (const dim of info.type.value.value.shape?.dim ?? []) {
    if (dim.value.case !== 'dimParam') continue;
    const whole = dims.get(dim.value.value);
    if (typeof whole === 'number') dim.value = { case: 'dimValue', value: BigInt(whole) };
    // Exporters write sums and products of symbols too: `past + 1`.
    else
      dim.value.value = whole ?? dim.value.value.replace(/[A-Za-z_][\w.:]*/g, (word) => String(dims.get(word) ?? word));
  }
  return info;
}
