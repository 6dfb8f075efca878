import { createHash } from 'node:crypto';
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import {
  type AttributeValue,
  type Graph,
  mainGraph,
  node,
  opsetOf,
  protoOf,
  type ValueSpec,
  valueInfo,
} from '../onnx/index.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
} from '../onnx/onnx_pb.ts';
import { namesOf } from '../onnx/walk.ts';
import { commonOpset } from '../split/opsets.ts';
import { renameNode, shallow } from '../split/rename.ts';
import { type Tensor, tensor } from '../tensor.ts';

/**
 * A graph with nodes, inputs and constants added at its end. Messages of the graph are shared, never changed; each method
 * gives the name of the tensor that it adds. Throws `INVALID_ARGUMENT` for a name asked for that the graph has already.
 */
export class Extension {
  /** Version of ONNX's own operator set in the graph; nodes added have to be of it. */
  readonly opset: number;
  readonly #graph: Graph;
  readonly #taken: Set<string>;
  readonly #nodes: NodeProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #constants = new Map<string, string>();
  /** What a node or initializer that was included makes, by its content. */
  readonly #included = new Map<string, readonly string[]>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.opset = opsetOf(graph);
    this.#taken = namesOf(mainGraph(graph));
  }

  /** Adds a node with one output, named `as` where that is given. */
  emit(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    as?: string,
  ): string {
    const output = this.#claim(as ?? this.#free(`train/${op}`));
    this.#nodes.push(node(op, inputs, [output], attributes, { name: output }));
    return output;
  }

  /** The tensor under another name, or one like it that is free. */
  named(tensor: string, wish: string): string {
    return this.emit('Identity', [tensor], {}, this.#free(wish));
  }

  /** Adds an input that is fed in each run. */
  input({ name, dtype, shape }: ValueSpec): string {
    const claimed = this.#claim(name);
    this.#inputs.push(valueInfo(claimed, dtype, shape));
    return claimed;
  }

  /** Adds a constant or a weight under a name. */
  initializer(name: string, value: Tensor): string {
    const claimed = this.#claim(name);
    this.#initializers.push(protoOf(claimed, value));
    return claimed;
  }

  /** A constant tensor. */
  constant(value: Tensor): string {
    return this.initializer(this.#free('train/constant'), value);
  }

  /**
   * Adds the nodes of another graph, whose inputs are the tensors that `feeds` names: its outputs by name. Nodes and constants that
   * were included before with the same inputs are not added again, so that what several graphs share is computed once.
   * Throws `ONNX_UNSUPPORTED` for an operator set other than this graph's between which an operator changed, and for functions.
   */
  include(graph: Graph, feeds: Readonly<Record<string, string>>): Record<string, string> {
    const main = mainGraph(graph);
    checkPlain(this.#graph, graph);
    const names = new Map(Object.entries(feeds));
    for (const initializer of main.initializer) {
      const [constant] = this.#once(TensorProtoSchema, initializer, { name: '' }, () => {
        const name = this.#claim(this.#free(initializer.name));
        this.#initializers.push(Object.assign(shallow(TensorProtoSchema, initializer), { name }));
        return [name];
      });
      names.set(initializer.name, constant);
    }
    for (const node of main.node) {
      const renamed = renameNode(node, { tensors: names, nodes: new Map(), dims: new Map() });
      const outputs = this.#once(NodeProtoSchema, renamed, { name: '', output: [] }, () => {
        const made = node.output.map((name) => (name === '' ? '' : this.#claim(this.#free(name))));
        this.#nodes.push(Object.assign(renamed, { name: made[0], output: made }));
        return made;
      });
      for (const [i, name] of node.output.entries()) if (name !== '') names.set(name, outputs[i]);
    }
    return Object.fromEntries(main.output.map(({ name }) => [name, names.get(name) as string]));
  }

  /**
   * Adds the nodes of another graph as parts of their own, to be trained: all that it names gets `prefix/` before its name, and an
   * initializer of that name which is there already is the same one. Otherwise as {@link include}.
   */
  append(graph: Graph, feeds: Readonly<Record<string, string>>, prefix: string): Record<string, string> {
    const main = mainGraph(graph);
    checkPlain(this.#graph, graph);
    const names = new Map(Object.entries(feeds));
    const initialized = new Set(this.#initializers.map(({ name }) => name));
    for (const initializer of main.initializer) {
      const name = `${prefix}/${initializer.name}`;
      names.set(initializer.name, name);
      if (initialized.has(name)) continue;
      this.#initializers.push(Object.assign(shallow(TensorProtoSchema, initializer), { name: this.#claim(name) }));
    }
    for (const node of main.node) {
      for (const name of node.output) if (name !== '') names.set(name, this.#claim(`${prefix}/${name}`));
      const renamed = renameNode(node, { tensors: names, nodes: new Map(), dims: new Map() });
      this.#nodes.push(Object.assign(renamed, { name: `${prefix}/${node.name || node.output[0]}` }));
    }
    return Object.fromEntries(main.output.map(({ name }) => [name, names.get(name) as string]));
  }

  /** What `make` gives the first time that a message is seen, its fields of `without` aside. */
  #once<Desc extends DescMessage>(
    schema: Desc,
    message: MessageShape<Desc>,
    without: Partial<MessageShape<Desc>>,
    make: () => readonly string[],
  ): readonly string[] {
    const content = toBinary(schema, Object.assign(shallow(schema, message), without));
    const key = createHash('sha256').update(content).digest('hex');
    const before = this.#included.get(key);
    if (before) return before;
    const made = make();
    this.#included.set(key, made);
    return made;
  }

  /** A float32 scalar. */
  number(value: number): string {
    return this.#constant(`${value}`, () => tensor('float32', [], Float32Array.of(value)));
  }

  /** A list of int64. */
  ints(values: readonly number[]): string {
    return this.#constant(`[${values}]`, () => tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
  }

  /** The extended graph; outputs are those given, of the graph's own or added tensors. */
  build(outputs: readonly ValueSpec[]): Graph {
    const main = mainGraph(this.#graph);
    return create(ModelProtoSchema, {
      ...this.#graph,
      graph: create(GraphProtoSchema, {
        ...main,
        node: [...main.node, ...this.#nodes],
        input: [...main.input, ...this.#inputs],
        initializer: [...main.initializer, ...this.#initializers],
        output: outputs.map(({ name, dtype, shape }) => valueInfo(name, dtype, shape)),
        valueInfo: main.valueInfo.filter(({ name }) => outputs.every((output) => output.name !== name)),
      }),
    });
  }

  #constant(key: string, make: () => Tensor): string {
    const before = this.#constants.get(key);
    if (before !== undefined) return before;
    const name = this.constant(make());
    this.#constants.set(key, name);
    return name;
  }

  #free(stem: string): string {
    let name = stem;
    for (let i = this.#taken.size; this.#taken.has(name); i++) name = `${stem}_${i}`;
    return name;
  }

  #claim(name: string): string {
    if (this.#taken.has(name)) {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `the graph has a tensor '${name}' already, and training needs the name`,
      );
    }
    this.#taken.add(name);
    return name;
  }
}

/** Throws `ONNX_UNSUPPORTED` for a graph that cannot become a part of another. */
function checkPlain(into: Graph, graph: Graph): void {
  commonOpset(into, graph, '');
  if (graph.functions.length === 0 && mainGraph(graph).sparseInitializer.length === 0) return;
  throw new IsthmusError(
    'ONNX_UNSUPPORTED',
    'a model with functions of its own or sparse weights cannot be trained through; inline and densify it first',
  );
}
