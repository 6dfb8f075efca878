import { IsthmusError, messageOf } from '../errors.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import type { DType } from '../tensor.ts';
import { type Dim, isKnown, printShape, symbol, symbolsOf } from './dim.ts';
import { describeNode, type Graph, mainGraph, normalDomain, trueInputs } from './graph.ts';
import { type Call, cannot, contradiction, NotInferable, numericShape, type Value } from './infer/call.ts';
import { type Bindings, bindingsOf, declaredValue, initializerValue, type Reading } from './infer/declared.ts';
import { ruleOf } from './infer/rules.ts';
import type { Step } from './infer/trace.ts';
import type { AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TypeProto } from './onnx_pb.ts';
import { walkNodes } from './walk.ts';

export interface InferredTensor {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** A node whose outputs' shapes are not all known, and why. */
export interface NotInferred {
  /** The node's name or, unnamed, its first output. */
  readonly node: string;
  readonly opType: string;
  readonly why: string;
}

export interface Inferred {
  /** Inputs, initializers and what the nodes make, of the main graph; tensors of unknown rank are left out. */
  readonly tensors: ReadonlyMap<string, InferredTensor>;
  /** The same for each subgraph that can run. Shapes of a Loop's body hold for all rounds. */
  readonly subgraphs: ReadonlyMap<GraphProto, ReadonlyMap<string, InferredTensor>>;
  readonly unknown: readonly NotInferred[];
  /** Declared shapes that the operators' rules contradict, in words; the rules' shapes are the ones given. */
  readonly stale: readonly string[];
  /** The nodes of the main graph, in order, with what is known of their inputs and outputs; for counting. */
  readonly steps: readonly Step[];
}

export interface InferOptions {
  /** Shapes of inputs, where the model leaves dimensions open. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  /** Lengths of symbolic dimensions; names that the model does not use are ignored. */
  readonly dims?: Readonly<Record<string, number>>;
}

/**
 * Visits of nodes, those in bodies of loops and functions repeated, before inference gives up on the rest: functions that
 * call one another twice each, forty deep, would never end.
 */
function maxVisits(graph: Graph): number {
  let nodes = mainGraph(graph).node.length;
  for (const _ of walkNodes(mainGraph(graph))) nodes++;
  for (const each of graph.functions) nodes += each.node.length;
  return Math.min(64 * nodes + 10_000, nodes + 1_000_000);
}

/** Elements of followed tensors, expressions counted by their size, before values are no longer followed. */
const MAX_FOLLOWED = 2 ** 24;
/** Subgraphs and functions within one another. */
const MAX_DEPTH = 64;

/**
 * Element type and shape of every tensor, by the operators' rules, with symbolic dimensions and with the values of small
 * tensors that shapes are computed from. Declared types (`value_info`, outputs) fill in what the rules cannot know.
 * Nodes that cannot be inferred (unknown operators, shapes that are data) are listed, never an error.
 * A declaration that the rules contradict is listed as stale. Throws `ONNX_SHAPE` where no run could have the shapes, naming the node;
 * `INVALID_ARGUMENT` for shapes given that the model's inputs cannot have.
 */
export function inferShapes(graph: Graph, options: InferOptions = {}): Inferred {
  return new Inference(graph, bindingsOf(trueInputs(mainGraph(graph)), options.inputs ?? {}, options.dims ?? {})).run(
    options.inputs ?? {},
  );
}

/** The values that nodes at one place can name. */
interface Scope {
  readonly values: Map<string, Value>;
  readonly parent?: Scope;
  readonly depth: number;
  readonly opsets: ReadonlyMap<string, number>;
  /** What attributes of the function around refer to. */
  readonly attributes?: ReadonlyMap<string, AttributeProto>;
  /** Types that the graph declares; stale ones are told of the main graph's only. */
  readonly declared: ReadonlyMap<string, TypeProto | undefined>;
}

class Inference {
  readonly #graph: Graph;
  readonly #inputs: Reading;
  /** For what is not an input: only symbols of inputs have a meaning there. */
  readonly #inner: Reading;
  readonly #maxVisits: number;
  readonly #functions: ReadonlyMap<string, FunctionProto>;
  readonly #subgraphs = new Map<GraphProto, ReadonlyMap<string, InferredTensor>>();
  readonly #unknown = new Map<NodeProto, NotInferred>();
  readonly #stale: string[] = [];
  #symbols = 0;
  #visits = 0;
  #followed = 0;

  constructor(graph: Graph, bindings: Bindings) {
    this.#graph = graph;
    this.#maxVisits = maxVisits(graph);
    this.#inputs = { bindings, fresh: () => this.#fresh() };
    const shapes = mainGraph(graph).input.map((each) => declaredValue(each.type, this.#inputs).shape ?? []);
    this.#inner = { ...this.#inputs, symbols: new Set(shapes.flat().flatMap(symbolsOf)) };
    this.#functions = new Map(
      graph.functions.map((each) => [functionKey(each.domain, each.name, each.overload), each]),
    );
  }

  run(given: Readonly<Record<string, readonly number[]>>): Inferred {
    const main = mainGraph(this.#graph);
    const scope: Scope = {
      values: new Map(),
      depth: 0,
      opsets: opsetsOf(this.#graph.opsetImport),
      declared: declaredTypes(main),
    };
    for (const each of main.input) {
      const value = declaredValue(each.type, this.#inputs);
      scope.values.set(each.name, Object.hasOwn(given, each.name) ? { ...value, shape: given[each.name] } : value);
    }
    this.#addInitializers(main, scope);
    const steps = this.#nodes(main.node, scope);
    return {
      tensors: tensorsIn(scope.values),
      subgraphs: this.#subgraphs,
      unknown: [...this.#unknown.values()],
      stale: this.#stale,
      steps,
    };
  }

  readonly #fresh = (): Dim => symbol(`?${this.#symbols++}`);

  #addInitializers(graph: GraphProto, scope: Scope): void {
    for (const proto of graph.initializer) scope.values.set(proto.name, initializerValue(proto));
    for (const { values, dims } of graph.sparseInitializer) {
      if (values)
        scope.values.set(values.name, { ...initializerValue(values), shape: dims.map(Number), data: undefined });
    }
  }

  #nodes(nodes: readonly NodeProto[], scope: Scope): Step[] {
    return nodes.map((origin) => this.#visit(origin, scope));
  }

  #visit(origin: NodeProto, scope: Scope): Step {
    const node = scope.attributes ? withAttributes(origin, scope.attributes) : origin;
    const step: Step = {
      origin,
      node,
      opset: scope.opsets.get(normalDomain(node.domain)) ?? 1,
      inputs: node.input.map((name) => (name === '' ? undefined : this.#input(lookUp(scope, name)))),
      outputs: [],
      bodies: new Map(),
    };
    const { values, why } = this.#apply(step, scope);
    step.outputs = node.output.map((name, i) => this.#settle(node, name, values[i] ?? {}, scope));
    const missing = node.output.find((name, i) => name !== '' && !isTyped(step.outputs[i]));
    if (missing === undefined) this.#unknown.delete(origin);
    else this.#unknown.set(origin, notInferred(node, why ?? `the rank of its output '${missing}' is not known`));
    node.output.forEach((name, i) => {
      if (name !== '') scope.values.set(name, step.outputs[i]);
    });
    return step;
  }

  #input(value: Value): Value {
    return value.data !== undefined && this.#followed > MAX_FOLLOWED ? { ...value, data: undefined } : value;
  }

  #apply(step: Step, scope: Scope): { values: readonly Value[]; why?: string } {
    try {
      if (++this.#visits > this.#maxVisits) cannot(`the graph takes more than ${this.#maxVisits} visits of nodes`);
      return { values: this.#outputs(step, scope) };
    } catch (thrown) {
      if (thrown instanceof IsthmusError && thrown.code === 'ONNX_SHAPE') throw thrown;
      if (thrown instanceof RangeError && !(thrown instanceof NotInferable))
        return { values: [], why: 'it nests too deep' };
      return { values: [], why: messageOf(thrown) };
    }
  }

  #outputs(step: Step, scope: Scope): readonly Value[] {
    const { node } = step;
    const domain = normalDomain(node.domain);
    const called = this.#functions.get(functionKey(node.domain, node.opType, node.overload));
    if (called !== undefined) return this.#expand(called, step, scope);
    const rule = ruleOf(domain, node.opType);
    if (rule === undefined) {
      return cannot(`isthmus has no rule for operator ${node.opType} of domain '${domain || 'ai.onnx'}'`);
    }
    const call: Call = {
      node,
      opset: step.opset,
      inputs: step.inputs,
      fresh: this.#fresh,
      body: (graph, inputs) => this.#body(graph, inputs, scope, step),
      tryBody: (graph, inputs) => this.#tryBody(graph, inputs, scope, step),
    };
    return rule(call);
  }

  #body(graph: GraphProto, inputs: readonly Value[], parent: Scope, step: Step): Value[] {
    const depth = parent.depth + 1;
    if (depth > MAX_DEPTH) return cannot('subgraphs and functions nest too deep');
    const scope: Scope = { ...parent, values: new Map(), parent, depth, declared: declaredTypes(graph) };
    graph.input.forEach((each, i) => {
      scope.values.set(each.name, filled(inputs[i] ?? {}, declaredValue(each.type, this.#inner)));
    });
    this.#addInitializers(graph, scope);
    step.bodies.set(graph, this.#nodes(graph.node, scope));
    this.#subgraphs.set(graph, tensorsIn(scope.values));
    return graph.output.map((each) => lookUp(scope, each.name));
  }

  #tryBody(graph: GraphProto, inputs: readonly Value[], parent: Scope, step: Step): Value[] | undefined {
    try {
      return this.#body(graph, inputs, parent, step);
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError)) throw thrown;
      step.bodies.delete(graph);
      this.#subgraphs.delete(graph);
      for (const node of graph.node) this.#unknown.delete(node);
      return undefined;
    }
  }

  /** Runs the body of a model's own function on the inputs of a node that calls it. */
  #expand(called: FunctionProto, step: Step, parent: Scope): Value[] {
    const depth = parent.depth + 1;
    if (depth > MAX_DEPTH) return cannot('subgraphs and functions nest too deep');
    const attributes = new Map(called.attributeProto.map((each) => [each.name, each]));
    for (const each of step.node.attribute) attributes.set(each.name, each);
    const scope: Scope = {
      values: new Map(called.input.map((name, i) => [name, step.inputs[i] ?? {}])),
      depth,
      opsets: called.opsetImport.length > 0 ? opsetsOf(called.opsetImport) : parent.opsets,
      attributes,
      declared: new Map(),
    };
    // An input that the caller leaves out is left out of the nodes that name it, too.
    for (const [i, name] of called.input.entries()) if (step.inputs[i] === undefined) scope.values.delete(name);
    step.expansion = this.#nodes(called.node, scope);
    return called.output.map((name) => lookUp(scope, name));
  }

  /** What a rule gave for an output, checked and completed with what the graph declares of it. */
  #settle(node: NodeProto, name: string, value: Value, scope: Scope): Value {
    const given = this.#checked(node, value);
    const type = scope.declared.get(name);
    if (type === undefined) return given;
    const declared = declaredValue(type, this.#inner);
    if (given.shape === undefined || declared.shape === undefined) return filled(given, declared);
    return {
      ...given,
      dtype: given.dtype ?? declared.dtype,
      shape: this.#refined(node, name, given.shape, declared.shape, scope),
    };
  }

  #refined(
    node: NodeProto,
    name: string,
    shape: readonly Dim[],
    declared: readonly Dim[],
    scope: Scope,
  ): readonly Dim[] {
    const agree =
      shape.length === declared.length &&
      shape.every((dim, i) => typeof dim !== 'number' || typeof declared[i] !== 'number' || dim === declared[i]);
    if (agree) return shape.map((dim, i) => (isKnown(dim) || !isKnown(declared[i]) ? dim : declared[i]));
    // Exporters leave stale declarations behind, and ONNX Runtime warns of them and runs: the rules know better. In a
    // subgraph they are hints and not even worth a word.
    if (scope.parent === undefined) {
      this.#stale.push(
        `${describeNode(node)} makes '${name}' of shape ${printShape(shape)}, and the model declares ${printShape(declared)}`,
      );
    }
    return shape;
  }

  #checked(node: NodeProto, value: Value): Value {
    const { shape, data } = value;
    if (shape === undefined || shape.length > DEFAULT_LIMITS.tensorRank || shape.some((dim) => dim === undefined)) {
      return { dtype: value.dtype, element: value.element };
    }
    const bad = shape.find((dim) => typeof dim === 'number' && !(Number.isSafeInteger(dim) && dim >= 0));
    if (bad !== undefined) throw contradiction(node, `it makes the shape ${printShape(shape)}`);
    if (data === undefined) return value;
    const size = numericShape(shape)?.reduce((a, b) => a * b, 1);
    this.#followed += data.reduce<number>(
      (sum, element) => sum + (typeof element === 'object' ? element.text.length : 1),
      0,
    );
    return data.length === size ? value : { ...value, data: undefined };
  }
}

/** What is missing in a value, from another. */
function filled(value: Value, other: Value): Value {
  return {
    dtype: value.dtype ?? other.dtype,
    shape: value.shape ?? other.shape,
    element: value.element ?? other.element,
    data: value.data,
  };
}

function isTyped({ dtype, shape, element }: Value): boolean {
  return element !== undefined || (dtype !== undefined && shape !== undefined);
}

function notInferred(node: NodeProto, why: string): NotInferred {
  return { node: node.name || (node.output.find((name) => name !== '') ?? ''), opType: node.opType, why };
}

function lookUp(scope: Scope, name: string): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const value = at.values.get(name);
    if (value !== undefined) return value;
  }
  return {};
}

function tensorsIn(values: ReadonlyMap<string, Value>): Map<string, InferredTensor> {
  const tensors = new Map<string, InferredTensor>();
  for (const [name, { dtype, shape }] of values)
    if (dtype !== undefined && shape !== undefined) tensors.set(name, { dtype, shape });
  return tensors;
}

function opsetsOf(entries: readonly OperatorSetIdProto[]): Map<string, number> {
  return new Map(entries.map((entry) => [normalDomain(entry.domain), Number(entry.version)]));
}

function declaredTypes(graph: GraphProto): Map<string, TypeProto | undefined> {
  return new Map([...graph.valueInfo, ...graph.output].map((each) => [each.name, each.type]));
}

function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([normalDomain(domain), name, overload]);
}

/** A function's node with the attributes filled in that refer to those of the call. */
function withAttributes(node: NodeProto, given: ReadonlyMap<string, AttributeProto>): NodeProto {
  if (node.attribute.every((attribute) => attribute.refAttrName === '')) return node;
  const attribute = node.attribute.flatMap((each) => {
    if (each.refAttrName === '') return [each];
    const value = given.get(each.refAttrName);
    return value === undefined ? [] : [altered(value, { name: each.name })];
  });
  return altered(node, { attribute });
}

/** A message with some fields changed. Defaults live in the prototype, and subgraphs must stay the same objects. */
function altered<T extends object>(message: T, fields: Partial<T>): T {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message, fields);
}
