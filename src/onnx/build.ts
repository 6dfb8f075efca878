import { create } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import type { DType, Tensor } from '../tensor.ts';
import { dataTypeOf } from './dtypes.ts';
import type { Graph } from './graph.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TypeProto,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import { protoOf } from './values.ts';

/** Declares a graph's input, output or inner value; a string dimension is symbolic, `'?'` one without a name. */
export interface ValueSpec {
  readonly name: string;
  readonly dtype: DType;
  /** Absent where the rank is unknown. */
  readonly shape?: readonly (number | string)[];
}

/** A number or list that says which attribute type it is. */
export interface TypedNumber {
  readonly type: 'int' | 'float';
  readonly value: number | bigint | readonly (number | bigint)[];
}

export type AttributeValue =
  | number
  | bigint
  | string
  | readonly (number | bigint)[]
  | readonly string[]
  | readonly GraphProto[]
  | TypedNumber
  | Tensor
  | GraphProto;

export interface GraphSpec {
  readonly name?: string;
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly nodes: readonly NodeProto[];
  readonly initializers?: Readonly<Record<string, Tensor>>;
  /** Types of inner values. */
  readonly values?: readonly ValueSpec[];
}

export interface ModelSpec extends GraphSpec {
  /** Version of the default operator set. */
  readonly opset: number;
  /** Versions of further operator sets by domain. */
  readonly domains?: Readonly<Record<string, number>>;
  /** 8 by default, which knows every operator set up to 18 and loads in runtimes since 2021. */
  readonly irVersion?: number;
  readonly functions?: readonly FunctionProto[];
}

/** An integer attribute (or list of them), whatever its name. */
export function int(value: TypedNumber['value']): TypedNumber {
  return { type: 'int', value };
}

/** A float attribute (or list of them), also for values such as 1 that are whole. */
export function float(value: TypedNumber['value']): TypedNumber {
  return { type: 'float', value };
}

/**
 * Attributes that are floats in every operator of the default domain that has them, so that `{ alpha: 1 }` is one.
 * Others that hold whole numbers are integers; `seed` is a float in the random operators and has to be given as such.
 */
const FLOAT_ATTRIBUTES: ReadonlySet<string> = new Set([
  'activation_alpha',
  'activation_beta',
  'alpha',
  'beta',
  'bias',
  'clip',
  'cubic_coeff_a',
  'epsilon',
  'extrapolation_value',
  'gamma',
  'high',
  'lambd',
  'low',
  'max',
  'mean',
  'min',
  'momentum',
  'norm_coefficient',
  'ratio',
  'scale',
  'scales',
  'score_threshold',
  'softcap',
  'spatial_scale',
  'threshold',
  'value_float',
  'value_floats',
]);

/**
 * An attribute of a node. The type follows from the value: strings, tensors and graphs are plain; bigints are integers;
 * numbers are floats if one of them has a fraction or the name is always a float's in ONNX, and integers otherwise.
 * `int()` and `float()` state it. Throws `INVALID_ARGUMENT` for an untyped empty list and values of no attribute type.
 */
export function attribute(name: string, value: AttributeValue): AttributeProto {
  const make = (type: AttributeType, field: Parameters<typeof create<typeof AttributeProtoSchema>>[1]) =>
    create(AttributeProtoSchema, { name, type, ...field });
  if (typeof value === 'string') return make(AttributeType.STRING, { s: new TextEncoder().encode(value) });
  if (typeof value === 'number' || typeof value === 'bigint') return numbers(name, value, floatByValue(name, [value]));
  if (isList(value)) {
    if (value.every((each) => typeof each === 'string') && value.length > 0) {
      return make(AttributeType.STRINGS, { strings: value.map((each) => new TextEncoder().encode(each)) });
    }
    if (value.every((each) => typeof each === 'number' || typeof each === 'bigint') && value.length > 0) {
      return numbers(name, value, floatByValue(name, value));
    }
    if (value.every((each) => isGraph(each)) && value.length > 0)
      return make(AttributeType.GRAPHS, { graphs: [...value] });
  } else if (isGraph(value)) {
    return make(AttributeType.GRAPH, { g: value });
  } else if ('dtype' in value) {
    return make(AttributeType.TENSOR, { t: protoOf('', value) });
  } else if ('type' in value) {
    return numbers(name, value.value, value.type === 'float');
  }
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `attribute '${name}': no attribute type can be told from ${isList(value) ? `a list of ${value.length}` : 'the value'}; ` +
      'use int([…]) or float([…]) for numbers',
  );
}

function isList(
  value: AttributeValue,
): value is readonly (number | bigint)[] | readonly string[] | readonly GraphProto[] {
  return Array.isArray(value);
}

function isGraph(value: unknown): value is GraphProto {
  return typeof value === 'object' && value !== null && '$typeName' in value && value.$typeName === 'onnx.GraphProto';
}

function floatByValue(name: string, values: readonly (number | bigint)[]): boolean {
  if (values.some((each) => typeof each === 'bigint')) return false;
  return FLOAT_ATTRIBUTES.has(name) || !values.every((each) => Number.isInteger(each));
}

function numbers(name: string, value: TypedNumber['value'], isFloat: boolean): AttributeProto {
  const list = typeof value === 'object';
  const values = list ? value : [value];
  if (isFloat) {
    const floats = values.map((each) => Math.fround(Number(each)));
    if (list) return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats });
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: floats[0] });
  }
  const fraction = values.find((each) => typeof each === 'number' && !Number.isInteger(each));
  if (fraction !== undefined) {
    throw new IsthmusError('INVALID_ARGUMENT', `attribute '${name}' is of integers, got ${fraction}`);
  }
  const ints = values.map(BigInt);
  if (list) return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints });
  return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: ints[0] });
}

/** A node; `''` leaves an optional input or output out. Attributes as {@link attribute} takes them. */
export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  options: { readonly name?: string; readonly domain?: string } = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    input: [...input],
    output: [...output],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    ...options,
  });
}

/** The type declaration of a dense tensor. */
export function tensorType(dtype: DType, shape?: readonly (number | string)[]): TypeProto {
  const dim = shape?.map((length) => {
    if (length === '?') return {};
    if (typeof length === 'string') return { value: { case: 'dimParam' as const, value: length } };
    return { value: { case: 'dimValue' as const, value: BigInt(length) } };
  });
  const tensor = { elemType: dataTypeOf(dtype), ...(dim && { shape: { dim } }) };
  return create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } });
}

/** A declaration of a tensor value. */
export function valueInfo(name: string, dtype: DType, shape?: readonly (number | string)[]): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, type: tensorType(dtype, shape) });
}

/** A graph without a model around it, as the attributes of If, Loop and Scan take it. */
export function subgraph(spec: GraphSpec): GraphProto {
  const declare = ({ name, dtype, shape }: ValueSpec) => valueInfo(name, dtype, shape);
  return create(GraphProtoSchema, {
    name: spec.name ?? 'graph',
    node: [...spec.nodes],
    input: spec.inputs.map(declare),
    output: spec.outputs.map(declare),
    valueInfo: (spec.values ?? []).map(declare),
    initializer: Object.entries(spec.initializers ?? {}).map(([name, tensor]) => protoOf(name, tensor)),
  });
}

export interface FunctionSpec {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeProto[];
  /** Version of the default operator set, which has to be that of the model. */
  readonly opset: number;
}

/** An operator that a model brings along, for `functions`; nodes of its domain and name call it. */
export function modelFunction(spec: FunctionSpec): FunctionProto {
  return create(FunctionProtoSchema, {
    domain: spec.domain,
    name: spec.name,
    input: [...spec.inputs],
    output: [...spec.outputs],
    node: [...spec.nodes],
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(spec.opset) })],
  });
}

/** A model. It is not checked; `checkGraph` does that. */
export function buildGraph(spec: ModelSpec): Graph {
  return create(ModelProtoSchema, {
    irVersion: BigInt(spec.irVersion ?? 8),
    producerName: 'isthmus',
    opsetImport: Object.entries({ '': spec.opset, ...spec.domains }).map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    graph: subgraph(spec),
    functions: [...(spec.functions ?? [])],
  });
}
