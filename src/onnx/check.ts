import { IsthmusError, messageOf } from '../errors.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import { checkAttribute } from './attributes.ts';
import { checkFunctions } from './functions.ts';
import { describeNode, type Graph, normalDomain, opsetOf } from './graph.ts';
import type { GraphProto, NodeProto, OperatorSetIdProto, SparseTensorProto, TensorProto } from './onnx_pb.ts';
import { payloadOf } from './payload.ts';
import { subgraphsOf } from './walk.ts';

/** Names that can be used at one place of a graph: its own so far, and those of the graphs around it. */
interface Scope {
  readonly names: Set<string>;
  readonly outer?: Scope;
}

/** What the check of one model carries along. */
interface Check {
  readonly limits: Readonly<Limits>;
  readonly inFunction: boolean;
  /** Nodes so far, functions counted in, and whether one outside functions is of the default domain. */
  readonly seen: { nodes: number; defaultDomain: boolean };
}

/**
 * Checks that a graph is a well-formed ONNX model: versions are stated, every name is made once and before it is used,
 * outputs are made, attributes have the type they state, tensors have the bytes that their shapes need, and all is
 * within `limits`. It does not look at what operators mean, so operators of any domain pass. A name inside a subgraph
 * may hide one outside, as runtimes allow.
 * Throws `ONNX_INVALID`, `ONNX_UNSUPPORTED`, `ONNX_EXTERNAL_DATA` (data not loaded) or `LIMIT_EXCEEDED`.
 */
export function checkGraph(graph: Graph, limits?: Partial<Limits>): void {
  try {
    checkModel(graph, limitsOf(limits));
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    // With onnxNesting raised far, or a graph built in code that contains itself.
    throw new IsthmusError('LIMIT_EXCEEDED', `the graph nests deeper than the JavaScript stack: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function checkModel(graph: Graph, limits: Readonly<Limits>): void {
  const check: Check = { limits, inFunction: false, seen: { nodes: 0, defaultDomain: false } };
  if (graph.irVersion < 1n) throw invalid('the model states no ir_version');
  // Before IR version 3 there was one operator set, version 1.
  if (graph.opsetImport.length === 0 && graph.irVersion >= 3n) throw invalid('the model imports no operator set');
  checkOpsets(graph.opsetImport, 'the model');
  const main = graph.graph;
  if (main === undefined) throw invalid('the model has no graph');
  if (main.output.length === 0) throw invalid('the graph has no outputs, so it computes nothing');
  for (const input of main.input) {
    const value = input.type?.value;
    if (value?.case === undefined || (value.case === 'tensorType' && value.value.elemType === 0)) {
      throw invalid(`input '${input.name}' of the graph has no type`);
    }
  }
  checkOneGraph(main, 'the graph', undefined, 0, check);
  if (check.seen.defaultDomain) opsetOf(graph);
  checkFunctions(graph.functions, (each, names, where) => {
    checkOpsets(each.opsetImport, where);
    for (const attribute of each.attributeProto) checkAttribute(attribute, where, false);
    checkNodes(each.node, where, { names }, 0, { ...check, inFunction: true });
  });
}

function invalid(problem: string): IsthmusError {
  return new IsthmusError('ONNX_INVALID', problem);
}

/** Checks that each domain has one version. */
function checkOpsets(imports: readonly OperatorSetIdProto[], where: string): void {
  const versions = new Map<string, bigint>();
  for (const entry of imports) {
    const domain = normalDomain(entry.domain);
    if (entry.version < 1n) throw invalid(`${where} imports version ${entry.version} of operator set '${domain}'`);
    const before = versions.get(domain) ?? entry.version;
    if (before !== entry.version) {
      throw invalid(`${where} imports operator set '${domain}' as version ${before} and ${entry.version}`);
    }
    versions.set(domain, entry.version);
  }
}

function define(names: Set<string>, name: string, what: string): void {
  if (name === '') throw invalid(`${what} has no name`);
  if (names.has(name)) throw invalid(`${what} is named '${name}' like another value; a name can be made only once`);
  names.add(name);
}

function checkOneGraph(graph: GraphProto, where: string, outer: Scope | undefined, depth: number, check: Check): void {
  within(check.limits, 'onnxNesting', depth, 'nesting of subgraphs');
  const names = new Set<string>();
  for (const input of graph.input) define(names, input.name, `an input of ${where}`);
  checkInitializers(graph, where, names, check.limits);
  const scope: Scope = { names, outer };
  checkNodes(graph.node, where, scope, depth, check);
  const outputs = new Set<string>();
  for (const { name } of graph.output) {
    define(outputs, name, `an output of ${where}`);
    if (!isVisible(name, scope)) throw invalid(`output '${name}' of ${where} is made by no node`);
  }
}

/** Initializers may be inputs too, whose defaults they are then; before IR version 4 all were. */
function checkInitializers(graph: GraphProto, where: string, names: Set<string>, limits: Readonly<Limits>): void {
  const own = new Set<string>();
  for (const tensor of graph.initializer) {
    define(own, tensor.name, `an initializer of ${where}`);
    payloadOf(tensor, limits, `initializer '${tensor.name}'`);
  }
  for (const sparse of graph.sparseInitializer) {
    define(own, sparse.values?.name ?? '', `a sparse initializer of ${where}`);
    checkSparse(sparse, limits, `sparse initializer '${sparse.values?.name}'`);
  }
  for (const name of own) names.add(name);
}

function checkSparse(sparse: SparseTensorProto, limits: Readonly<Limits>, where: string): void {
  const { values, indices } = sparse;
  if (values === undefined || indices === undefined) throw invalid(`${where} lacks values or indices`);
  const { shape, count } = payloadOf(values, limits, `values of ${where}`);
  const positions = payloadOf(indices, limits, `indices of ${where}`);
  const rank = sparse.dims.length;
  const isFlat = positions.shape.length === 1 && positions.count === count;
  const isByAxis = positions.shape.length === 2 && positions.shape[0] === count && positions.shape[1] === rank;
  if (shape.length !== 1 || !(isFlat || isByAxis)) {
    throw invalid(
      `${where} has values of shape [${shape}] and indices of shape [${positions.shape}], which do not agree`,
    );
  }
}

function checkNodes(nodes: readonly NodeProto[], where: string, scope: Scope, depth: number, check: Check): void {
  nodes.forEach((node, index) => {
    within(check.limits, 'onnxNodes', ++check.seen.nodes, 'nodes of the graph');
    if (node.opType === '') throw invalid(`node ${index} of ${where} names no operator`);
    if (!check.inFunction && normalDomain(node.domain) === '') check.seen.defaultDomain = true;
    for (const name of node.input) {
      if (name !== '' && !isVisible(name, scope)) throw undefinedName(name, node, nodes, where);
    }
    checkAttributes(node, check);
    for (const subgraph of subgraphsOf(node)) {
      checkOneGraph(subgraph, `the subgraph of ${describeNode(node)}`, scope, depth + 1, check);
    }
    for (const name of node.output) if (name !== '') define(scope.names, name, `an output of ${describeNode(node)}`);
  });
}

function isVisible(name: string, scope: Scope): boolean {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) if (at.names.has(name)) return true;
  return false;
}

function undefinedName(name: string, node: NodeProto, nodes: readonly NodeProto[], where: string): IsthmusError {
  const maker = nodes.find((other) => other.output.includes(name));
  const problem =
    maker === undefined
      ? `which nothing in ${where} makes`
      : `which ${maker === node ? 'it makes itself' : `${describeNode(maker)} makes only later`}; nodes must be in the order of computation`;
  return invalid(`${describeNode(node)} reads '${name}', ${problem}`);
}

function checkAttributes(node: NodeProto, check: Check): void {
  const where = describeNode(node);
  const names = new Set<string>();
  for (const attribute of node.attribute) {
    checkAttribute(attribute, where, check.inFunction);
    if (names.has(attribute.name)) throw invalid(`${where} has attribute '${attribute.name}' twice`);
    names.add(attribute.name);
    const tensors: TensorProto[] = attribute.t ? [attribute.t, ...attribute.tensors] : attribute.tensors;
    for (const tensor of tensors) payloadOf(tensor, check.limits, `attribute '${attribute.name}' of ${where}`);
    const sparse = attribute.sparseTensor
      ? [attribute.sparseTensor, ...attribute.sparseTensors]
      : attribute.sparseTensors;
    for (const tensor of sparse) checkSparse(tensor, check.limits, `attribute '${attribute.name}' of ${where}`);
  }
}
