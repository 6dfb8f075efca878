import { isFieldSet } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { describeNode } from './graph.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
} from './onnx_pb.ts';
import { tensorOf } from './values.ts';

/** The field that carries the value of each attribute type. */
const FIELD_OF = {
  [AttributeType.FLOAT]: 'f',
  [AttributeType.INT]: 'i',
  [AttributeType.STRING]: 's',
  [AttributeType.TENSOR]: 't',
  [AttributeType.GRAPH]: 'g',
  [AttributeType.SPARSE_TENSOR]: 'sparseTensor',
  [AttributeType.TYPE_PROTO]: 'tp',
  [AttributeType.FLOATS]: 'floats',
  [AttributeType.INTS]: 'ints',
  [AttributeType.STRINGS]: 'strings',
  [AttributeType.TENSORS]: 'tensors',
  [AttributeType.GRAPHS]: 'graphs',
  [AttributeType.SPARSE_TENSORS]: 'sparseTensors',
  [AttributeType.TYPE_PROTOS]: 'typeProtos',
} as const;

type ValueType = keyof typeof FIELD_OF;
const VALUE_TYPES = Object.keys(FIELD_OF).map(Number) as ValueType[];

function filledTypes(attribute: AttributeProto): ValueType[] {
  return VALUE_TYPES.filter((type) => isFieldSet(attribute, AttributeProtoSchema.field[FIELD_OF[type]]));
}

/** The attribute's type: the one it states or, in files of IR version 1 that state none, that of its only value. */
function typeOf(attribute: AttributeProto): AttributeType {
  return attribute.type === AttributeType.UNDEFINED ? (filledTypes(attribute)[0] ?? attribute.type) : attribute.type;
}

/**
 * Checks that an attribute has a name and one value of the type that it states. A reference to an attribute of the
 * function around it is allowed where `inFunction`. Throws `ONNX_INVALID`.
 */
export function checkAttribute(attribute: AttributeProto, where: string, inFunction: boolean): void {
  const fail = (problem: string) =>
    new IsthmusError('ONNX_INVALID', `attribute '${attribute.name}' of ${where} ${problem}`);
  if (attribute.name === '') throw new IsthmusError('ONNX_INVALID', `${where} has an attribute without a name`);
  const filled = filledTypes(attribute);
  if (attribute.refAttrName !== '') {
    if (!inFunction) throw fail('refers to an attribute of a function, and it is not inside one');
    if (filled.length > 0) throw fail('is a reference and has a value of its own');
    return;
  }
  const type = typeOf(attribute);
  const name = AttributeType[type].toLowerCase();
  const other = filled.find((each) => each !== type);
  if (other !== undefined)
    throw fail(`is of type ${name} and has a value of type ${AttributeType[other].toLowerCase()}`);
  // Absent numbers and strings are protobuf's way to write 0 and ''. An attribute type newer than this schema lands in
  // the unknown fields, where it stays.
  const needsMessage = ['tensor', 'graph', 'sparse_tensor', 'type_proto', 'undefined'].includes(name);
  if (filled.length === 0 && needsMessage && attribute.$unknown === undefined) throw fail('has no value');
}

/** What a getter gives where the attribute is absent: the fallback; without one, absence is an error. */
type Fallback<D> = [] | [fallback: D];

function read<V, D>(
  node: NodeProto,
  name: string,
  type: ValueType,
  fallback: Fallback<D>,
  value: (attribute: AttributeProto) => V,
): V | D {
  const attribute = node.attribute.find((each) => each.name === name);
  if (attribute === undefined) {
    if (fallback.length === 1) return fallback[0];
    throw new IsthmusError('ONNX_INVALID', `${describeNode(node)} lacks its attribute '${name}'`);
  }
  if (attribute.refAttrName !== '') {
    throw new IsthmusError(
      'ONNX_UNSUPPORTED',
      `attribute '${name}' of ${describeNode(node)} is set by a function call`,
    );
  }
  const found = typeOf(attribute);
  if (found !== type) {
    throw new IsthmusError(
      'ONNX_INVALID',
      `attribute '${name}' of ${describeNode(node)} must be of type ${AttributeType[type]}, got ${AttributeType[found]}`,
    );
  }
  return value(attribute);
}

/** int64 as a number. Values past 2^53, which mean "to the end", become the largest safe integer of their sign. */
function clamp(value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  if (value < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/**
 * The integer attribute `name` of a node, clamped to the safe integers. `fallback` is what its absence means.
 * This getter and those below throw `ONNX_INVALID` for an attribute of another type, and for an absent one if no
 * fallback is given.
 */
export function intAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): number | D {
  return read(node, name, AttributeType.INT, fallback, (attribute) => clamp(attribute.i));
}

export function floatAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): number | D {
  return read(node, name, AttributeType.FLOAT, fallback, (attribute) => attribute.f);
}

export function stringAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): string | D {
  return read(node, name, AttributeType.STRING, fallback, (attribute) => text(attribute.s));
}

export function intsAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): number[] | D {
  return read(node, name, AttributeType.INTS, fallback, (attribute) => attribute.ints.map(clamp));
}

export function floatsAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): number[] | D {
  return read(node, name, AttributeType.FLOATS, fallback, (attribute) => attribute.floats);
}

export function stringsAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): string[] | D {
  return read(node, name, AttributeType.STRINGS, fallback, (attribute) => attribute.strings.map(text));
}

export function tensorAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): Tensor | D {
  return read(node, name, AttributeType.TENSOR, fallback, (attribute) => tensorOf(attribute.t!));
}

export function graphAttribute<D = never>(node: NodeProto, name: string, ...fallback: Fallback<D>): GraphProto | D {
  return read(node, name, AttributeType.GRAPH, fallback, (attribute) => attribute.g!);
}

/** Whether the node states the attribute. */
export function hasAttribute(node: NodeProto, name: string): boolean {
  return node.attribute.some((attribute) => attribute.name === name);
}
