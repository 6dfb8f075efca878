import { create } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import { type AttributeValue, node as makeNode } from '../onnx/build.ts';
import { type Dim, sameDim } from '../onnx/dim.ts';
import { dataTypeOf } from '../onnx/dtypes.ts';
import { describeNode, type Graph, mainGraph, opsetOf } from '../onnx/graph.ts';
import { type NodeProto, NodeProtoSchema, type TensorProto } from '../onnx/onnx_pb.ts';
import { protoOf } from '../onnx/values.ts';
import { namesOf } from '../onnx/walk.ts';
import { type DType, fromFloat32, type Tensor, tensor } from '../tensor.ts';
import { type Activity, pathTo } from './activity.ts';
import { ancestors } from './ancestors.ts';
import type { Known } from './known.ts';

/** A tensor by name, or a number that takes the element type of what it meets. */
export type Operand = string | number | undefined;

/**
 * What rules write with. A tensor is its name; each method adds a node and gives the name of what it makes. Questions
 * (`shape`, `rank`, `known`) are about tensors of the graph that is differentiated, as shape inference knows them.
 */
export class Backward {
  /** What the rules wrote, in order of computation. */
  readonly nodes: NodeProto[] = [];
  /** Constants that the nodes read. */
  readonly initializers: TensorProto[] = [];
  /** Version of ONNX's own operator set in the graph; nodes written have to be of it. */
  readonly opset: number;
  readonly #known: ReadonlyMap<string, Known>;
  readonly #active: Activity;
  readonly #taken: Set<string>;
  readonly #dtypes = new Map<string, DType>();
  readonly #constants = new Map<string, string>();
  /** What a reshaped tensor was before. */
  readonly #reshaped = new Map<string, string>();

  constructor(graph: Graph, known: ReadonlyMap<string, Known>, active: Activity) {
    this.opset = opsetOf(graph);
    this.#known = known;
    this.#active = active;
    this.#taken = namesOf(mainGraph(graph));
  }

  // What is known

  /** Throws `ONNX_SHAPE` where it is not known. */
  dtype(name: string): DType {
    const dtype = this.#dtypes.get(name) ?? this.#known.get(name)?.dtype;
    if (dtype !== undefined) return dtype;
    throw new IsthmusError('ONNX_SHAPE', `the element type of '${name}' is not known; declare it in value_info`);
  }

  /** Lengths of a tensor of the graph, symbols among them; `undefined` where not even the rank is known. */
  shape(name: string): readonly Dim[] | undefined {
    return this.#known.get(name)?.shape;
  }

  /** Number of dimensions of a tensor of the graph. Throws `ONNX_SHAPE` where it is not known. */
  rank(name: string): number {
    const shape = this.shape(name);
    if (shape !== undefined) return shape.length;
    throw new IsthmusError('ONNX_SHAPE', `the rank of '${name}' is not known; declare its shape in value_info`);
  }

  /** Lengths of a tensor where all are numbers. */
  lengths(name: string): number[] | undefined {
    return numbers(this.shape(name));
  }

  /** Elements of a small tensor of the graph, if constant; `undefined` for an input left out and for what is differentiated. */
  known(name: string | undefined): number[] | undefined {
    return name === undefined || this.#active.has(name) ? undefined : numbers(this.#known.get(name)?.data);
  }

  /** Whether a gradient at this tensor is of use. */
  wants(name: string | undefined): boolean {
    return name !== undefined && this.#active.has(name);
  }

  /** The error for what a rule does not cover. */
  unsupported(node: NodeProto, why: string): never {
    throw new IsthmusError(
      'ONNX_UNSUPPORTED',
      `${describeNode(node)} cannot be differentiated: ${why}; it lies on the path ${pathTo(node, this.#active)}`,
    );
  }

  // Nodes and constants

  /** Adds a node with one output, of the element type of its first input unless another is given. */
  emit(
    op: string,
    inputs: readonly (string | undefined)[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    dtype?: DType,
  ): string {
    return this.emitMany(op, inputs, attributes, [dtype ?? this.dtype(inputs[0] as string)])[0];
  }

  /** Adds a node with as many outputs as element types are given. */
  emitMany(
    op: string,
    inputs: readonly (string | undefined)[],
    attributes: Readonly<Record<string, AttributeValue>>,
    dtypes: readonly DType[],
  ): string[] {
    const outputs = dtypes.map((dtype) => this.#fresh(`backward/${op}`, dtype));
    const names = inputs.map((name) => name ?? '');
    while (names.at(-1) === '') names.pop();
    this.nodes.push(makeNode(op, names, outputs, attributes, { name: outputs[0] }));
    return outputs;
  }

  /** The tensor under another name, or one like it that is free. */
  name(tensor: string, wish: string): string {
    const dtype = this.dtype(tensor);
    let name = wish;
    while (this.#taken.has(name)) name = `grad/${name}`;
    this.#taken.add(name);
    this.#dtypes.set(name, dtype);
    this.nodes.push(makeNode('Identity', [tensor], [name], {}, { name }));
    return name;
  }

  /** Adds a node of the graph again, with other inputs. */
  repeat(node: NodeProto, inputs: readonly string[]): string[] {
    const outputs = node.output.map((name) => (name === '' ? '' : this.#fresh(`again/${name}`, this.dtype(name))));
    const name = outputs.find((output) => output !== '') as string;
    this.nodes.push(create(NodeProtoSchema, { ...node, input: [...inputs], output: outputs, name }));
    return outputs;
  }

  /** A 0 of int64 that is known to a runtime only once the elements of some tensors are. */
  zeroAfter(tensors: readonly string[]): string {
    const firsts = tensors.map((name) => {
      const first = this.emit('Slice', [this.reshape(name, [-1]), this.ints([0]), this.ints([1])]);
      return this.cast(first, 'int64');
    });
    return this.reduceSum(this.mul(this.concatInts(firsts), this.ints([0])), [0]);
  }

  /** The same tensor of the graph, to be read once `zero` is known. No element is copied. */
  delayed(name: string, zero: string): string {
    return this.emit('Reshape', [name, this.add(this.shapeOf(name), zero)]);
  }

  /** Leaves only the nodes that some tensors are computed from. */
  keep(names: readonly string[]): void {
    this.nodes.splice(0, Number.POSITIVE_INFINITY, ...ancestors(this.nodes, names));
  }

  /** A scalar of an element type. */
  number(value: number, dtype: DType): string {
    return this.#constant(`${value} ${dtype}`, dtype, () => filled(dtype, [], [value]));
  }

  /** A constant of float values, row-major. */
  floats(shape: readonly number[], values: readonly number[], dtype: DType): string {
    return this.#constant(`[${shape}] ${values} ${dtype}`, dtype, () => filled(dtype, shape, values));
  }

  /** A list of int64. */
  ints(values: readonly number[]): string {
    return this.#constant(`[${values}]`, 'int64', () =>
      tensor('int64', [values.length], BigInt64Array.from(values, BigInt)),
    );
  }

  #constant(key: string, dtype: DType, make: () => Tensor): string {
    const before = this.#constants.get(key);
    if (before !== undefined) return before;
    const name = this.#fresh('backward/constant', dtype);
    this.#constants.set(key, name);
    this.initializers.push(protoOf(name, make()));
    return name;
  }

  #fresh(stem: string, dtype: DType): string {
    let name = `${stem}_${this.#taken.size}`;
    while (this.#taken.has(name)) name += '_';
    this.#taken.add(name);
    this.#dtypes.set(name, dtype);
    return name;
  }

  // Arithmetic, with broadcasting

  add = (a: Operand, b: Operand) => this.#binary('Add', a, b);
  sub = (a: Operand, b: Operand) => this.#binary('Sub', a, b);
  mul = (a: Operand, b: Operand) => this.#binary('Mul', a, b);
  div = (a: Operand, b: Operand) => this.#binary('Div', a, b);
  pow = (a: Operand, b: Operand) => this.#binary('Pow', a, b);
  less = (a: Operand, b: Operand) => this.#binary('Less', a, b, 'bool');
  greater = (a: Operand, b: Operand) => this.#binary('Greater', a, b, 'bool');
  equal = (a: Operand, b: Operand) => this.#binary('Equal', a, b, 'bool');
  neg = (x: string | undefined) => this.emit('Neg', [x]);
  exp = (x: string) => this.emit('Exp', [x]);
  sqrt = (x: string) => this.emit('Sqrt', [x]);
  square = (x: string) => this.mul(x, x);

  /** Elements of `a` where the condition holds, of `b` elsewhere. */
  where(condition: string, a: Operand, b: Operand): string {
    const [yes, no] = this.#operands(a, b);
    return this.emit('Where', [condition, yes, no], {}, this.dtype(yes));
  }

  /** The tensor as another element type. */
  cast(x: string, dtype: DType): string {
    return this.dtype(x) === dtype ? x : this.emit('Cast', [x], { to: dataTypeOf(dtype) }, dtype);
  }

  /** The sum of tensors of one shape. */
  sum(parts: readonly string[]): string {
    if (parts.length === 1) return parts[0];
    return this.emit(parts.length === 2 ? 'Add' : 'Sum', parts);
  }

  #binary(op: string, a: Operand, b: Operand, dtype?: DType): string {
    return this.emit(op, this.#operands(a, b), {}, dtype);
  }

  #operands(a: Operand, b: Operand): [string, string] {
    const dtype = this.dtype((typeof a === 'string' ? a : b) as string);
    const named = (operand: Operand) => (typeof operand === 'number' ? this.number(operand, dtype) : operand) as string;
    return [named(a), named(b)];
  }

  // Sums and shapes. A list of axes is numbers, or the name of a list of int64.

  /** The sum over axes, over all where none are given. They stay as lengths of 1 unless `keep` is false. */
  reduceSum(x: string, axes: readonly number[] | string | undefined, keep = true): string {
    if (Array.isArray(axes) && axes.length === 0) return x;
    return this.emit('ReduceSum', [x, this.axes(axes)], { keepdims: keep ? 1 : 0 });
  }

  /** The mean over axes, which stay as lengths of 1. */
  reduceMean(x: string, axes: readonly number[]): string {
    if (this.opset < 18) return this.emit('ReduceMean', [x], { axes, keepdims: 1 });
    return this.emit('ReduceMean', [x, this.ints(axes)], { keepdims: 1 });
  }

  /** Axes as the name of a list of int64. */
  axes(axes: readonly number[] | string | undefined): string | undefined {
    return typeof axes === 'object' ? this.ints(axes) : axes;
  }

  /** The shape of a tensor of the graph as int64; a constant where all lengths are known. */
  shapeOf(name: string): string {
    const lengths = this.lengths(name);
    return lengths === undefined ? this.emit('Shape', [name], {}, 'int64') : this.ints(lengths);
  }

  /** Some lengths of a tensor of the graph as int64: those of the axes from `start` to before `end`. */
  lengthsOf(name: string, start: number, end: number): string {
    const lengths = numbers(this.shape(name)?.slice(start, end));
    if (lengths !== undefined) return this.ints(lengths);
    return this.emit('Slice', [this.shapeOf(name), this.ints([start]), this.ints([end])]);
  }

  concatInts(lists: readonly string[]): string {
    return this.emit('Concat', lists, { axis: 0 });
  }

  /** The same elements in a shape of lengths, one of which may be -1. */
  reshape(x: string | undefined, shape: readonly number[] | string): string {
    return this.#reshape(x as string, this.axes(shape) as string, {});
  }

  /** The same elements in the shape of a tensor of the graph. */
  reshapeLike(x: string | undefined, name: string): string {
    const mayBeEmpty = this.shape(name)?.some((dim) => dim === 0) !== false;
    return this.#reshape(x as string, this.shapeOf(name), mayBeEmpty && this.opset >= 14 ? { allowzero: 1 } : {});
  }

  unsqueeze(x: string | undefined, axes: readonly number[] | string): string {
    const y = this.emit('Unsqueeze', [x, this.axes(axes)]);
    this.#reshaped.set(y, this.#reshaped.get(x as string) ?? (x as string));
    return y;
  }

  /** Of reshapes in a row the last alone counts. ONNX Runtime 1.30 fails to fuse them where the first's shape is computed. */
  #reshape(x: string, shape: string, attributes: Readonly<Record<string, AttributeValue>>): string {
    const source = this.#reshaped.get(x) ?? x;
    const y = this.emit('Reshape', [source, shape], attributes);
    this.#reshaped.set(y, source);
    return y;
  }

  transpose(x: string, perm: readonly number[]): string {
    return perm.every((axis, i) => axis === i) ? x : this.emit('Transpose', [x], { perm });
  }

  /** The tensor broadcast to the shape of a tensor of the graph. */
  expandLike(x: string, name: string): string {
    return this.emit('Expand', [x, this.shapeOf(name)]);
  }

  zerosLike = (name: string) => this.#constantLike(name, 0);
  onesLike = (name: string) => this.#constantLike(name, 1);

  #constantLike(name: string, value: number): string {
    const dtype = this.dtype(name);
    return this.emit('ConstantOfShape', [this.shapeOf(name)], { value: filled(dtype, [1], [value]) }, dtype);
  }

  /**
   * The gradient at a tensor that was broadcast: the sum over the axes that it was repeated along. `shape` is the
   * gradient's own. Where the lengths known do not say which axes those are, the shapes at run time do.
   */
  unbroadcast(gradient: string, shape: readonly Dim[] | undefined, to: string): string {
    const axes = repeatedAxes(shape, this.shape(to));
    if (axes === undefined) return this.#unbroadcastAtRun(gradient, to);
    if (axes.length === 0) return gradient;
    const lead = (shape as readonly Dim[]).length - this.rank(to);
    if (axes.length === lead) return this.reduceSum(gradient, axes, false);
    const sum = this.reduceSum(gradient, axes);
    return lead === 0 ? sum : this.reshapeLike(sum, to);
  }

  #unbroadcastAtRun(gradient: string, to: string): string {
    const from = this.emit('Shape', [gradient], {}, 'int64');
    const target = this.shapeOf(to);
    const rankOf = (shape: string) => this.emit('Shape', [shape], {}, 'int64');
    const lead = this.emit('Expand', [this.ints([1]), this.sub(rankOf(from), rankOf(target))]);
    const differs = this.emit('Not', [this.equal(from, this.concatInts([lead, target]))]);
    const axes = this.emit('Squeeze', [this.emit('NonZero', [differs], {}, 'int64'), this.ints([0])]);
    const sum = this.emit('ReduceSum', [gradient, axes], { keepdims: 1, noop_with_empty_axes: 1 });
    return this.reshapeLike(sum, to);
  }
}

/** Axes of `from` that broadcasting made out of lengths of 1, leading ones among them; `undefined` where unknown. */
function repeatedAxes(from: readonly Dim[] | undefined, to: readonly Dim[] | undefined): number[] | undefined {
  if (from === undefined || to === undefined) return undefined;
  const lead = from.length - to.length;
  const axes: number[] = [];
  for (const [axis, dim] of from.entries()) {
    const target = axis < lead ? 1 : to[axis - lead];
    if (axis < lead || (target === 1 && dim !== 1)) axes.push(axis);
    else if (typeof target !== 'number' && !sameDim(target, dim)) return undefined;
  }
  return axes;
}

function numbers(dims: readonly (Dim | undefined)[] | undefined): number[] | undefined {
  return dims?.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

/** float64 keeps all digits of a constant; narrower types are rounded through float32. */
function filled(dtype: DType, shape: readonly number[], values: readonly number[]): Tensor {
  if (dtype === 'float64') return tensor(dtype, shape, Float64Array.from(values));
  if (dtype === 'int64') return tensor(dtype, shape, BigInt64Array.from(values, BigInt));
  return fromFloat32(dtype, shape, Float32Array.from(values));
}
