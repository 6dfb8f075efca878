import { create } from '@bufbuild/protobuf';
import { type Graph, normalDomain } from '../onnx/graph.ts';
import {
  type FunctionProto,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from '../onnx/onnx_pb.ts';
import { subgraphsOf, usesOf } from '../onnx/walk.ts';
import { initializersOf } from './flow.ts';

/** What a part of a graph is made of; everything else that it needs is looked up in the whole. */
export interface Part {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
}

/**
 * A model of some nodes of `model`, with what they use of its initializers, defaults, value infos, annotations,
 * functions and operator sets. Messages are shared with `model`, not copied.
 */
export function extract(model: Graph, part: Part): Graph {
  const whole = model.graph as GraphProto;
  const used = new Set<string>();
  const made = new Set<string>(part.inputs.map((input) => input.name));
  for (const node of part.nodes) {
    for (const name of usesOf(node)) used.add(name);
    for (const name of node.output) made.add(name);
  }
  for (const output of part.outputs) used.add(output.name);
  const known = (name: string) => used.has(name) || made.has(name);
  const quantizationAnnotation = whole.quantizationAnnotation.filter((a) => known(a.tensorName));
  for (const annotation of quantizationAnnotation) {
    for (const entry of annotation.quantParameterTensorNames) used.add(entry.value);
  }
  const wanted = (name: string) => used.has(name) && !made.has(name);
  const initializers = initializersOf(whole);
  const named = new Set([...part.inputs, ...part.outputs].map((info) => info.name));
  const graph = create(GraphProtoSchema, {
    name: part.name,
    docString: whole.docString,
    node: [...part.nodes],
    input: [...part.inputs, ...whole.input.filter(({ name }) => initializers.has(name) && wanted(name))],
    output: [...part.outputs],
    initializer: whole.initializer.filter((tensor) => wanted(tensor.name)),
    sparseInitializer: whole.sparseInitializer.filter((sparse) => sparse.values && wanted(sparse.values.name)),
    valueInfo: whole.valueInfo.filter((info) => known(info.name) && !named.has(info.name)),
    quantizationAnnotation,
    metadataProps: whole.metadataProps,
  });
  if (whole.$unknown) graph.$unknown = whole.$unknown;
  const functions = functionsOf(model, part.nodes);
  const domains = new Set(functions.map((f) => f.domain));
  for (const node of part.nodes) addDomains(node, domains);
  const extracted = create(ModelProtoSchema, {
    irVersion: model.irVersion,
    opsetImport: model.opsetImport.filter(({ domain }) => normalDomain(domain) === '' || domains.has(domain)),
    producerName: model.producerName,
    producerVersion: model.producerVersion,
    domain: model.domain,
    modelVersion: model.modelVersion,
    docString: model.docString,
    graph,
    metadataProps: model.metadataProps,
    functions,
  });
  if (model.$unknown) extracted.$unknown = model.$unknown;
  return extracted;
}

function addDomains(node: NodeProto, domains: Set<string>): void {
  domains.add(node.domain);
  for (const body of subgraphsOf(node)) for (const inner of body.node) addDomains(inner, domains);
}

/** The functions of a model that nodes call, and those that these call, in the model's order. */
function functionsOf(model: Graph, nodes: readonly NodeProto[]): FunctionProto[] {
  const byName = new Map<string, FunctionProto[]>();
  for (const f of model.functions) {
    const key = `${f.domain}\n${f.name}`;
    byName.set(key, [...(byName.get(key) ?? []), f]);
  }
  const used = new Set<FunctionProto>();
  const waiting = [...nodes];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    for (const body of subgraphsOf(node)) waiting.push(...body.node);
    for (const f of byName.get(`${node.domain}\n${node.opType}`) ?? []) {
      if (used.has(f)) continue;
      used.add(f);
      waiting.push(...f.node);
    }
  }
  return model.functions.filter((f) => used.has(f));
}
