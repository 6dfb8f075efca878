import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type Limits, within } from '../limits.ts';
import { AttributeProtoSchema, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema } from './onnx_pb.ts';

/*
 * A look at the wire before anything is parsed. The parser recurses, makes an object a message, and takes a field's
 * bytes for what the schema says whatever their wire type. So depth, counts, memory, lengths and wire types are checked
 * here first, with an explicit stack and without allocating what the file asks for.
 */

/** Heap bytes that objects take, measured on Node 20. */
const MESSAGE_BYTES = 400;
const UNKNOWN_BYTES = 160;
const BYTES_BYTES = 110;
const BIGINT_BYTES = 36;
const NUMBER_BYTES = 12;

interface Frame {
  readonly desc: DescMessage;
  readonly end: number;
  /** Subgraphs around this message. */
  readonly nesting: number;
}

/** Messages in one another where there are no subgraphs: model, graph, value, and types of types. */
const FLAT_DEPTH = 32;

/** Messages that may lie in one another: a subgraph is three (graph, node, attribute), types and shapes the rest. */
export function messageDepth(limits: Readonly<Limits>): number {
  return 3 * limits.onnxNesting + FLAT_DEPTH;
}

const fieldTables = new WeakMap<DescMessage, Map<number, DescField>>();

function fieldsOf(desc: DescMessage): Map<number, DescField> {
  let table = fieldTables.get(desc);
  if (table === undefined) {
    table = new Map(desc.fields.map((field) => [field.number, field]));
    fieldTables.set(desc, table);
  }
  return table;
}

/**
 * Walks the fields of a model file. Throws a plain `Error` that says where the bytes break the wire format or the
 * schema, and `LIMIT_EXCEEDED` for nesting, nodes and heap above their caps.
 */
export function scanModel(bytes: Uint8Array, limits: Readonly<Limits>): void {
  if (bytes.length === 0) throw new Error('it has no bytes');
  const reader = new BinaryReader(bytes);
  const frames: Frame[] = [{ desc: ModelProtoSchema, end: bytes.length, nesting: 0 }];
  let nodes = 0;
  let heap = 0;
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    if (reader.pos === frame.end) {
      frames.pop();
      continue;
    }
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    checkedEnd(reader.pos, frame, start);
    const field = fieldsOf(frame.desc).get(number);
    const message = field?.message;
    if (message !== undefined && wireType === WireType.LengthDelimited) {
      const nesting = frame.nesting + (message === GraphProtoSchema && frame.desc === AttributeProtoSchema ? 1 : 0);
      within(limits, 'onnxNesting', nesting, 'nesting of subgraphs');
      within(limits, 'onnxNesting', Math.ceil((frames.length + 1 - FLAT_DEPTH) / 3), 'nesting of messages');
      if (message === NodeProtoSchema) within(limits, 'onnxNodes', ++nodes, 'nodes of the graph');
      heap += MESSAGE_BYTES;
      const length = reader.uint32();
      frames.push({ desc: message, end: checkedEnd(reader.pos + length, frame, start), nesting });
    } else if (field === undefined) {
      reader.skip(wireType, number, messageDepth(limits) - frames.length);
      checkedEnd(reader.pos, frame, start);
      heap += UNKNOWN_BYTES;
    } else {
      heap += skipValue(reader, field, wireType, frame, start);
    }
    within(limits, 'onnxHeapBytes', heap, 'memory for the objects of the ONNX file');
  }
}

function checkedEnd(end: number, frame: Frame, start: number): number {
  if (end > frame.end) throw new Error(`the field at byte ${start} runs past the end of its ${frame.desc.name}`);
  return end;
}

/** Skips the value of a scalar field and returns the heap bytes that it will take. */
function skipValue(reader: BinaryReader, field: DescField, wireType: WireType, frame: Frame, start: number): number {
  const scalar = field.fieldKind === 'enum' ? ScalarType.INT32 : (field.scalar ?? ScalarType.BYTES);
  const expected = wireTypeOf(scalar);
  const isPacked = field.fieldKind === 'list' && wireType === WireType.LengthDelimited && expected !== wireType;
  if (field.message !== undefined || (wireType !== expected && !isPacked)) {
    throw new Error(`field '${field.name}' of the ${frame.desc.name} at byte ${start} is of another wire type`);
  }
  const value = reader.skip(wireType, field.number);
  checkedEnd(reader.pos, frame, start);
  const content = wireType === WireType.LengthDelimited ? new BinaryReader(value).bytes() : value;
  if (scalar === ScalarType.STRING && !isUtf8(content)) {
    throw new Error(`string '${field.name}' of the ${frame.desc.name} at byte ${start} is not UTF-8`);
  }
  const entries = isPacked ? entriesOf(content, expected, field.name, start) : 1;
  if (scalar === ScalarType.INT64 || scalar === ScalarType.UINT64) return entries * BIGINT_BYTES;
  if (scalar === ScalarType.STRING) return content.length + NUMBER_BYTES;
  return entries * (scalar === ScalarType.BYTES ? BYTES_BYTES : NUMBER_BYTES);
}

function wireTypeOf(scalar: ScalarType): WireType {
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) return WireType.LengthDelimited;
  if (scalar === ScalarType.FLOAT) return WireType.Bit32;
  return scalar === ScalarType.DOUBLE ? WireType.Bit64 : WireType.Varint;
}

/** Number of entries in a packed list. Throws where the last is cut off, which would let it read on into the next field. */
function entriesOf(content: Uint8Array, wireType: WireType, name: string, start: number): number {
  const size = wireType === WireType.Bit32 ? 4 : wireType === WireType.Bit64 ? 8 : undefined;
  let entries = 0;
  if (size === undefined) for (const byte of content) entries += byte < 0x80 ? 1 : 0;
  else entries = content.length / size;
  const whole =
    size === undefined ? content.length === 0 || content[content.length - 1] < 0x80 : Number.isInteger(entries);
  if (!whole) throw new Error(`list '${name}' at byte ${start} ends within an entry`);
  return entries;
}

function isUtf8(bytes: Uint8Array): boolean {
  if (bytes.every((byte) => byte < 0x80)) return true;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
