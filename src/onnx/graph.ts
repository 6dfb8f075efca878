import { IsthmusError } from '../errors.ts';
import type { DType } from '../tensor.ts';
import { dtypeOf } from './dtypes.ts';
import type { GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto } from './onnx_pb.ts';

/**
 * An ONNX model in memory: the protobuf message itself, so that nothing a file says is lost on the way through.
 * External data has been loaded into `rawData` by whoever opened it.
 */
export type Graph = ModelProto;

/** The main graph of a checked model. */
export function mainGraph(graph: Graph): GraphProto {
  return graph.graph as GraphProto;
}

/** An operator's domain with its two spellings made one: the default domain is `''`, never `'ai.onnx'`. */
export function normalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** Whether a node is the default-domain operator `opType`. */
export function isOp(node: NodeProto, opType: string): boolean {
  return node.opType === opType && normalDomain(node.domain) === '';
}

/**
 * Version of the operator set that a model imports for `domain`, the default one if none is named.
 * Throws `ONNX_INVALID` where the model does not import it.
 */
export function opsetOf(graph: Graph, domain = ''): number {
  const wanted = normalDomain(domain);
  for (const entry of graph.opsetImport) {
    if (normalDomain(entry.domain) === wanted) return Number(entry.version);
  }
  // Before IR version 3 models had no opset_import and meant version 1.
  if (wanted === '' && graph.irVersion < 3n) return 1;
  throw new IsthmusError('ONNX_INVALID', `the model imports no operator set for domain '${wanted || 'ai.onnx'}'`);
}

/** A node for messages: its operator, and its name or, unnamed, its first output. */
export function describeNode(node: NodeProto): string {
  const domain = normalDomain(node.domain);
  const operator = (domain === '' ? '' : `${domain}.`) + node.opType;
  if (node.name !== '') return `node '${node.name}' (${operator})`;
  const output = node.output.find((name) => name !== '');
  return output === undefined ? `an unnamed node (${operator})` : `the node that makes '${output}' (${operator})`;
}

/** The main graph's inputs that a caller must feed: those without an initializer as default. */
export function trueInputs(graph: GraphProto): ValueInfoProto[] {
  const given = new Set(graph.initializer.map((tensor) => tensor.name));
  for (const sparse of graph.sparseInitializer) given.add(sparse.values?.name ?? '');
  return graph.input.filter((input) => !given.has(input.name));
}

/** Element type and shape of a tensor value; a symbolic dimension is its name, an unknown one is `'?'`. */
export interface TensorType {
  readonly dtype: DType;
  /** Absent where not even the rank is known. */
  readonly shape?: readonly (number | string)[];
}

/**
 * What a type declaration says of a dense tensor; `undefined` where nothing is declared or for sequences, maps,
 * optionals and sparse tensors. A negative dimension, as some exporters write for "any", is unknown (`'?'`).
 * Throws `ONNX_UNSUPPORTED` for an element type that isthmus has no array for.
 */
export function tensorTypeOf(type: TypeProto | undefined): TensorType | undefined {
  if (type?.value.case !== 'tensorType') return undefined;
  const { elemType, shape } = type.value.value;
  if (elemType === 0) return undefined;
  const dtype = dtypeOf(elemType);
  if (shape === undefined) return { dtype };
  const dims = shape.dim.map(({ value }) => {
    if (value.case === 'dimParam') return value.value === '' ? '?' : value.value;
    if (value.case === 'dimValue' && value.value >= 0n) return Number(value.value);
    return '?';
  });
  return { dtype, shape: dims };
}
