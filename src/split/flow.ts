import { IsthmusError } from '../errors.ts';
import { describeNode, type Graph, isOp, mainGraph, normalDomain, trueInputs } from '../onnx/graph.ts';
import type { GraphProto, NodeProto } from '../onnx/onnx_pb.ts';
import { subgraphsOf, usesOf } from '../onnx/walk.ts';

/**
 * What a tensor depends on. `constant`: on no input. `shape`: on inputs only through `Shape` or `Size`, so that it says
 * the same for every input of that size. `data`: on the values of an input (or on chance).
 */
export type Kind = 'constant' | 'shape' | 'data';

/**
 * The main graph as a flow of tensors through nodes. Tensors and nodes are numbered, so that walks over graphs of many
 * thousand nodes stay cheap. A node also reads what its subgraphs capture.
 */
export interface Flow {
  /** In topological order. */
  readonly nodes: readonly NodeProto[];
  /** Name of each tensor. */
  readonly names: readonly string[];
  /** Number of a tensor. */
  readonly id: ReadonlyMap<string, number>;
  /** Tensors that each node reads, without repeats. */
  readonly reads: readonly (readonly number[])[];
  /** Tensors that each node makes. */
  readonly writes: readonly (readonly number[])[];
  /** The node that makes a tensor; -1 for inputs and initializers. */
  readonly producer: Int32Array;
  /** The nodes that read a tensor. */
  readonly readers: readonly (readonly number[])[];
  readonly kinds: readonly Kind[];
  /** Nodes that make tensors of kind `shape`. */
  readonly sizeNodes: readonly number[];
  /** Nodes that give something else each time, so that they may run on one side only. */
  readonly randomNodes: readonly number[];
  /** Graph inputs that a caller must give: those without an initializer as default. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Whether a tensor is one of `inputs`. */
  isInput(tensor: number): boolean;
}

const RANDOM = new Set([
  'RandomNormal',
  'RandomUniform',
  'RandomNormalLike',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
]);

/** Names of a graph's initializers, dense and sparse. */
export function initializersOf(graph: GraphProto): Set<string> {
  const names = new Set(graph.initializer.map((tensor) => tensor.name));
  for (const sparse of graph.sparseInitializer) if (sparse.values) names.add(sparse.values.name);
  return names;
}

/** Whether a node, or one in its subgraphs, draws random numbers. */
export function drawsAtRandom(node: NodeProto): boolean {
  if (normalDomain(node.domain) === '' && RANDOM.has(node.opType)) return true;
  // Dropout draws only in training mode, which is its third input.
  if (isOp(node, 'Dropout') && (node.input[2] ?? '') !== '') return true;
  return subgraphsOf(node).some((body) => body.node.some(drawsAtRandom));
}

/** The flow of a graph's tensors. Throws `ONNX_INVALID` where nodes form a circle or read what nothing makes. */
export function flowOf(model: Graph): Flow {
  const graph = mainGraph(model);
  const initializers = initializersOf(graph);
  const nodes = sorted(graph, initializers);
  const names: string[] = [];
  const id = new Map<string, number>();
  const kinds: Kind[] = [];
  const declare = (name: string, kind: Kind): number => {
    let number = id.get(name);
    if (number === undefined) {
      number = names.length;
      id.set(name, number);
      names.push(name);
    }
    kinds[number] = kind;
    return number;
  };
  for (const name of initializers) declare(name, 'constant');
  const inputs = trueInputs(graph).map(({ name }) => declare(name, 'data'));
  const functions = new Set(model.functions.map((f) => `${f.domain}\n${f.name}`));
  const reads: number[][] = [];
  const writes: number[][] = [];
  const sizeNodes: number[] = [];
  const randomNodes: number[] = [];
  for (const node of nodes) {
    const read = usesOf(node).map((name) => id.get(name) as number);
    const opaque = functions.has(`${node.domain}\n${node.opType}`);
    // A function may hide a random operator; one that reads nothing is taken for one, to be on the safe side.
    const random = drawsAtRandom(node) || (opaque && read.length === 0);
    const kind = random ? 'data' : kindOf(node, read, kinds, opaque);
    if (random) randomNodes.push(reads.length);
    if (kind === 'shape') sizeNodes.push(reads.length);
    reads.push(read);
    writes.push(node.output.filter((name) => name !== '').map((name) => declare(name, kind)));
  }
  const producer = new Int32Array(names.length).fill(-1);
  const readers: number[][] = names.map(() => []);
  for (const [node, made] of writes.entries()) {
    for (const tensor of made) producer[tensor] = node;
    for (const tensor of reads[node]) readers[tensor].push(node);
  }
  const outputs = graph.output.map(({ name }) => {
    const tensor = id.get(name);
    if (tensor === undefined) throw new IsthmusError('ONNX_INVALID', `nothing makes the output '${name}'`);
    return tensor;
  });
  const given = new Set(inputs);
  const isInput = (tensor: number) => given.has(tensor);
  return {
    nodes,
    names,
    id,
    reads,
    writes,
    producer,
    readers,
    kinds,
    sizeNodes,
    randomNodes,
    inputs,
    outputs,
    isInput,
  };
}

function kindOf(node: NodeProto, reads: readonly number[], kinds: readonly Kind[], opaque: boolean): Kind {
  if (reads.some((tensor) => kinds[tensor] === 'data')) return measures(node) && !opaque ? 'shape' : 'data';
  return reads.some((tensor) => kinds[tensor] === 'shape') ? 'shape' : 'constant';
}

/** Whether a node reads only the size of its input. */
export function measures(node: NodeProto): boolean {
  return isOp(node, 'Shape') || isOp(node, 'Size');
}

/** Nodes in topological order: the file's own order where it is one, as the standard asks. */
function sorted(graph: GraphProto, initializers: ReadonlySet<string>): NodeProto[] {
  const maker = new Map<string, number>();
  for (const [index, node] of graph.node.entries()) {
    for (const name of node.output) if (name !== '') maker.set(name, index);
  }
  const given = new Set([...initializers, ...graph.input.map((input) => input.name)]);
  const order: NodeProto[] = [];
  const state = new Uint8Array(graph.node.length);
  for (let root = 0; root < graph.node.length; root++) {
    const stack = [root];
    while (stack.length > 0) {
      const index = stack[stack.length - 1];
      if (state[index] === 2) {
        stack.pop();
        continue;
      }
      const waits: number[] = [];
      for (const name of usesOf(graph.node[index])) {
        const source = maker.get(name);
        if (source === undefined || given.has(name)) {
          if (!given.has(name)) {
            throw new IsthmusError(
              'ONNX_INVALID',
              `${describeNode(graph.node[index])} reads '${name}', which nothing makes; export the model again`,
            );
          }
        } else if (state[source] !== 2) waits.push(source);
      }
      if (waits.length === 0) {
        state[index] = 2;
        order.push(graph.node[index]);
        stack.pop();
      } else if (state[index] === 1) {
        throw new IsthmusError('ONNX_INVALID', `${describeNode(graph.node[index])} is part of a circle of nodes`);
      } else {
        state[index] = 1;
        stack.push(...waits.reverse());
      }
    }
  }
  return order;
}
