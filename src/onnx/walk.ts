import type { Graph } from './graph.ts';
import type { GraphProto, NodeProto, SparseTensorProto, TensorProto } from './onnx_pb.ts';

/** The subgraphs of a node: the branches of If, the bodies of Loop and Scan, and those of custom operators. */
export function subgraphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap((attribute) => (attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs));
}

/** Every node of a graph in order, each followed by the nodes of its subgraphs. */
export function* walkNodes(graph: GraphProto): Generator<{ node: NodeProto; graph: GraphProto; depth: number }> {
  const open = [{ graph, next: 0, depth: 0 }];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const node = top.graph.node[top.next++];
    if (node === undefined) {
      open.pop();
      continue;
    }
    yield { node, graph: top.graph, depth: top.depth };
    for (const inner of subgraphsOf(node).reverse()) {
      open.push({ graph: inner, next: 0, depth: top.depth + 1 });
    }
  }
}

/** Names that a subgraph takes from the graphs around it: used inside and not defined inside. Without repeats. */
export function capturesOf(subgraph: GraphProto): string[] {
  const defined = new Set<string>();
  for (const input of subgraph.input) defined.add(input.name);
  for (const tensor of subgraph.initializer) defined.add(tensor.name);
  for (const sparse of subgraph.sparseInitializer) defined.add(sparse.values?.name ?? '');
  const captured = new Set<string>();
  const use = (name: string) => {
    if (name !== '' && !defined.has(name)) captured.add(name);
  };
  for (const node of subgraph.node) {
    for (const name of usesOf(node)) use(name);
    for (const name of node.output) defined.add(name);
  }
  for (const output of subgraph.output) use(output.name);
  return [...captured];
}

/** Names that a node reads: its inputs, left-out ones excepted, and what its subgraphs capture. Without repeats. */
export function usesOf(node: NodeProto): string[] {
  const names = new Set(node.input.filter((name) => name !== ''));
  for (const subgraph of subgraphsOf(node)) for (const name of capturesOf(subgraph)) names.add(name);
  return [...names];
}

/** Which node of `graph` makes each name; inputs and initializers have none. */
export function producersOf(graph: GraphProto): Map<string, NodeProto> {
  const producers = new Map<string, NodeProto>();
  for (const node of graph.node) for (const name of node.output) if (name !== '') producers.set(name, node);
  return producers;
}

/** Which nodes of `graph` read each name, in order, a node once; reading inside a subgraph counts for the node around it. */
export function consumersOf(graph: GraphProto): Map<string, NodeProto[]> {
  const consumers = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    for (const name of usesOf(node)) {
      const list = consumers.get(name);
      if (list === undefined) consumers.set(name, [node]);
      else list.push(node);
    }
  }
  return consumers;
}

/** Every stored tensor of a model: initializers and attributes of its graph, subgraphs, functions and training graphs. */
export function* tensorsOf(model: Graph): Generator<TensorProto> {
  const graphs = [model.graph, ...model.trainingInfo.flatMap((info) => [info.initialization, info.algorithm])];
  for (const graph of graphs) if (graph !== undefined) yield* tensorsOfGraph(graph);
  for (const each of model.functions) yield* tensorsOfNodes(each.node);
}

function* tensorsOfGraph(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const sparse of graph.sparseInitializer) yield* tensorsOfSparse(sparse);
  yield* tensorsOfNodes(graph.node);
}

function* tensorsOfNodes(nodes: readonly NodeProto[]): Generator<TensorProto> {
  for (const node of nodes) {
    for (const { t, tensors, sparseTensor, sparseTensors, g, graphs } of node.attribute) {
      if (t !== undefined) yield t;
      yield* tensors;
      for (const sparse of sparseTensor ? [sparseTensor, ...sparseTensors] : sparseTensors)
        yield* tensorsOfSparse(sparse);
      for (const graph of g ? [g, ...graphs] : graphs) yield* tensorsOfGraph(graph);
    }
  }
}

function* tensorsOfSparse({ values, indices }: SparseTensorProto): Generator<TensorProto> {
  if (values !== undefined) yield values;
  if (indices !== undefined) yield indices;
}

/** Every name in a graph and its subgraphs, which names added must not hide. */
export function namesOf(graph: GraphProto): Set<string> {
  const names = new Set([...graph.input, ...graph.initializer].map(({ name }) => name));
  for (const { node, graph: inner } of walkNodes(graph)) {
    for (const name of [...node.input, ...node.output]) names.add(name);
    for (const { name } of [...inner.input, ...inner.initializer]) names.add(name);
  }
  return names;
}
