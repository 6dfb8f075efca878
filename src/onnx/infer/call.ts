import { IsthmusError } from '../../errors.ts';
import type { DType } from '../../tensor.ts';
import { type Dim, differ, isKnown, maxDim, printDim, printShape, sameDim } from '../dim.ts';
import { describeNode } from '../graph.ts';
import type { GraphProto, NodeProto } from '../onnx_pb.ts';

/** Small tensors whose elements are known, wholly or in part, row-major: shape arithmetic, scales, conditions. */
export type Elements = readonly (Dim | undefined)[];

/** Tensors with more elements than this are not followed by value. */
export const MAX_ELEMENTS = 4096;

/** What is known of a value; everything may be missing. */
export interface Value {
  readonly dtype?: DType;
  /** Absent where not even the rank is known. */
  readonly shape?: readonly Dim[];
  /** Only beside a shape of numbers. Booleans are 0 and 1; dimensions stand for integers; floats are plain numbers. */
  readonly data?: Elements;
  /** Of a sequence or optional: what its elements have in common. */
  readonly element?: Value;
}

/** One node with what is known of its inputs, as a rule sees it. */
export interface Call {
  readonly node: NodeProto;
  /** Version of the operator set that the node's domain is imported with. */
  readonly opset: number;
  /** `undefined` where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** A new length that nobody knows. */
  fresh(): Dim;
  /** Runs a subgraph on its inputs and gives what is known of its outputs. */
  body(graph: GraphProto, inputs: readonly Value[]): Value[];
  /** As `body`, but `undefined` where the subgraph contradicts itself, so that it can never run. */
  tryBody(graph: GraphProto, inputs: readonly Value[]): Value[] | undefined;
}

/** What a rule gives for each output, in order; outputs that it leaves out are unknown. */
export type Rule = (call: Call) => Value[];

/** Thrown by rules for what cannot be known; the engine notes it and goes on. Never leaves the library. */
export class NotInferable extends Error {}

export function cannot(why: string): never {
  throw new NotInferable(why);
}

/** The error for shapes that contradict each other. */
export function contradiction(node: NodeProto, what: string): IsthmusError {
  return new IsthmusError('ONNX_SHAPE', `${describeNode(node)}: ${what}; the model cannot run with these shapes`);
}

/** An input that must be there. */
export function input(call: Call, at: number): Value {
  return call.inputs[at] ?? cannot(`input ${at} is missing`);
}

/** The shape of an input that must be there. */
export function shapeOf(call: Call, at: number): readonly Dim[] {
  return input(call, at).shape ?? cannot(`the shape of input ${at} ('${call.node.input[at]}') is not known`);
}

/** The elements of an input that must be there, all known in number; single elements may be unknown. */
export function elementsOf(call: Call, at: number): Elements {
  return input(call, at).data ?? cannot(`the values of input ${at} ('${call.node.input[at]}') are not known`);
}

/** The elements of an input as numbers; cannot infer where one is symbolic or unknown. */
export function numbersOf(call: Call, at: number): number[] {
  return elementsOf(call, at).map((value) =>
    typeof value === 'number' ? value : cannot(`the values of input ${at} ('${call.node.input[at]}') are not constant`),
  );
}

/** An axis in [0, rank). Throws `ONNX_SHAPE` for one outside. */
export function axisIn(call: Call, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank) {
    throw contradiction(call.node, `axis ${axis} is not one of a tensor of ${rank} dimensions`);
  }
  return at;
}

/** The shape, checked to have that many dimensions. */
export function ofRank(call: Call, shape: readonly Dim[], rank: number, what: string): readonly Dim[] {
  if (shape.length !== rank) {
    throw contradiction(call.node, `${what} must have ${rank} dimensions and has the shape ${printShape(shape)}`);
  }
  return shape;
}

/** What two lengths that must be equal are. Throws `ONNX_SHAPE` where they cannot be. */
export function unify(call: Call, a: Dim, b: Dim, what: string): Dim {
  if (sameDim(a, b)) return a;
  if (differ(a, b)) throw contradiction(call.node, `${what} must agree and are ${printDim(a)} and ${printDim(b)}`);
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  return isKnown(a) || !isKnown(b) ? a : b;
}

/** Multidirectional broadcasting. Where a symbol meets a number above 1 the number is taken. Throws `ONNX_SHAPE`. */
export function broadcast(call: Call, shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const dims = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return broadcastDim(call, dims, shapes);
  });
}

function broadcastDim(call: Call, dims: readonly Dim[], shapes: readonly (readonly Dim[])[]): Dim {
  let result: Dim = 1;
  for (const dim of dims) {
    if (dim === 1 || sameDim(dim, result)) continue;
    if (result === 1) result = dim;
    else if (typeof dim === 'number') {
      if (typeof result === 'number') {
        throw contradiction(call.node, `the shapes ${shapes.map(printShape).join(' and ')} do not broadcast`);
      }
      result = dim;
    } else if (typeof result !== 'number') {
      // One of the two is 1, or they are equal.
      result = maxDim(result, dim);
    }
  }
  return result;
}

/** All dimensions as numbers, or `undefined`. */
export function numericShape(shape: readonly Dim[] | undefined): number[] | undefined {
  return shape?.every((dim) => typeof dim === 'number') ? (shape as number[]) : undefined;
}

/** Product of numeric dimensions, or `undefined` where it is above the cap for tensors followed by value. */
export function smallSize(shape: readonly number[]): number | undefined {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size <= MAX_ELEMENTS ? size : undefined;
}

const INTEGERS: ReadonlySet<DType | undefined> = new Set<DType>([
  'int64',
  'int32',
  'int16',
  'int8',
  'uint64',
  'uint32',
  'uint16',
  'uint8',
  'bool',
]);

export function isInteger(dtype: DType | undefined): boolean {
  return INTEGERS.has(dtype);
}

/** An int64 vector, as shape arithmetic makes them. */
export function int64Vector(data: Elements): Value {
  return { dtype: 'int64', shape: [data.length], data: data.length <= MAX_ELEMENTS ? data : undefined };
}
