import { clone } from '@bufbuild/protobuf';
import {
  consumersOf,
  type Dim,
  type Graph,
  inferShapes,
  intAttribute,
  intsAttribute,
  mainGraph,
  node as makeNode,
  normalDomain,
  opsetOf,
  printDim,
  sameDim,
  tensorsOf,
  trueInputs,
  valueInfo,
} from '../onnx/index.ts';
import { type NodeProto, NodeProtoSchema } from '../onnx/onnx_pb.ts';
import { extract } from '../split/extract.ts';
import { tensor } from '../tensor.ts';

/** Operators that work number by number, with broadcasting. */
const ELEMENTWISE = new Set(
  'Abs Add Cast Clip Div Elu Erf Exp Gelu HardSigmoid HardSwish Identity LeakyRelu Log Max Min Mish Mul Neg Pow'
    .concat(' Reciprocal Relu Selu Sigmoid Sign Softplus Sqrt Sub Tanh Where')
    .split(' '),
);
/** From this set on Softmax works along one axis, and Slice takes its bounds as inputs. */
const OPSET = 13;
const LENGTH_AXIS = 1;

/**
 * A decoder that gives its logits for the last position only, `[rows, 1, width]`: those before it were used up when
 * the tokens there were chosen. From the logits back, what treats each position by itself (the last projections, norms
 * and residuals) is computed for the last one alone.
 * A graph whose logits are not `[rows, length, width]` with the tokens' own length is given back as it is.
 */
export function lastPosition(graph: Graph, logits: string, tokens: string): Graph {
  const { tensors } = inferShapes(graph);
  const shapeOf = (name: string) => tensors.get(name)?.shape;
  const length = shapeOf(tokens)?.[LENGTH_AXIS];
  const result = tensors.get(logits);
  if (opsetOf(graph) < OPSET || length === undefined || typeof length === 'number' || !result) return graph;
  const hasPositions = (name: string) => isPositions(shapeOf(name), length);
  if (!hasPositions(logits)) return graph;
  const region = regionOf(graph, logits, (node) => treatsEachPosition(node, shapeOf, hasPositions));
  if (region.size === 0) return graph;
  const main = mainGraph(graph);
  const width = result.shape[2];
  const output = valueInfo(logits, result.dtype, [
    printDim(result.shape[0]),
    1,
    typeof width === 'number' ? width : '?',
  ]);
  return extract(graph, {
    name: main.name,
    nodes: sliced(graph, region, logits, hasPositions),
    inputs: trueInputs(main),
    outputs: main.output.map((each) => (each.name === logits ? output : each)),
  });
}

type ShapeOf = (name: string) => readonly Dim[] | undefined;

function isPositions(shape: readonly Dim[] | undefined, length: Dim): boolean {
  return shape?.length === 3 && sameDim(shape[LENGTH_AXIS], length);
}

/** Nodes whose results are read at the last position only, if only that of the logits is. */
function regionOf(graph: Graph, logits: string, treats: (node: NodeProto) => boolean): Set<NodeProto> {
  const { node: nodes, output } = mainGraph(graph);
  const readers = consumersOf(mainGraph(graph));
  const outputs = new Set(output.map(({ name }) => name));
  const region = new Set<NodeProto>();
  for (const node of nodes.toReversed()) {
    const [made, ...others] = node.output.filter((name) => name !== '');
    if (others.length > 0 || made === undefined || (outputs.has(made) && made !== logits)) continue;
    const inside = (readers.get(made) ?? []).every((reader) => region.has(reader));
    const wanted = made === logits || readers.has(made);
    if (wanted && inside && treats(node)) region.add(node);
  }
  return region;
}

/** Whether a position of the result depends on that position of the inputs alone. */
function treatsEachPosition(node: NodeProto, shapeOf: ShapeOf, hasPositions: (name: string) => boolean): boolean {
  if (normalDomain(node.domain) !== '' || !node.output.every((name) => name === '' || hasPositions(name))) return false;
  const [first, ...rest] = node.input.filter((name) => name !== '');
  if (ELEMENTWISE.has(node.opType)) {
    return [first, ...rest].every((name) => hasPositions(name) || sameForEachPosition(shapeOf(name)));
  }
  if (first === undefined || !hasPositions(first)) return false;
  if (node.opType === 'MatMul') return shapeOf(rest[0])?.length === 2;
  const isLast = (axis: number) => axis === -1 || axis === 2;
  if (node.opType === 'LayerNormalization') return isLast(intAttribute(node, 'axis', -1));
  if (node.opType === 'Softmax' || node.opType === 'LogSoftmax') return isLast(intAttribute(node, 'axis', -1));
  if (node.opType === 'ReduceMean') {
    const axes = intsAttribute(node, 'axes', []);
    return rest.length === 0 && axes.length > 0 && axes.every(isLast);
  }
  return false;
}

/** Broadcast along the positions. */
function sameForEachPosition(shape: readonly Dim[] | undefined): boolean {
  return shape !== undefined && shape.length <= 3 && (shape.length < 2 || shape[shape.length - 2] === 1);
}

/** The nodes with those of the region reading the last position; their results get new names, since shapes change. */
function sliced(
  graph: Graph,
  region: ReadonlySet<NodeProto>,
  logits: string,
  hasPositions: (name: string) => boolean,
): NodeProto[] {
  const fresh = freshNames(graph);
  const bounds = ['start', 'end', 'axis'].map((name) => fresh(`last_position_${name}`));
  const values = [-1n, 2n ** 63n - 1n, BigInt(LENGTH_AXIS)];
  const nodes = bounds.map((name, i) =>
    makeNode('Constant', [], [name], { value: tensor('int64', [1], BigInt64Array.of(values[i])) }),
  );
  const last = new Map<string, string>();
  for (const node of mainGraph(graph).node) {
    if (!region.has(node)) {
      nodes.push(node);
      continue;
    }
    for (const name of node.input) {
      if (!hasPositions(name) || last.has(name)) continue;
      last.set(name, fresh(`${name}_last`));
      nodes.push(makeNode('Slice', [name, ...bounds], [last.get(name) as string]));
    }
    const copy = clone(NodeProtoSchema, node);
    for (const name of node.output) last.set(name, name === logits ? logits : fresh(`${name}_last`));
    copy.input = node.input.map((name) => last.get(name) ?? name);
    copy.output = node.output.map((name) => last.get(name) as string);
    nodes.push(copy);
  }
  return nodes;
}

function freshNames(graph: Graph): (wish: string) => string {
  const { node, input } = mainGraph(graph);
  const taken = new Set([...node.flatMap((each) => each.output), ...input.map(({ name }) => name)]);
  for (const { name } of tensorsOf(graph)) taken.add(name);
  return (wish) => {
    let name = wish;
    while (taken.has(name)) name = `${name}_`;
    taken.add(name);
    return name;
  };
}
