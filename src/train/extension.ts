import { create } from '@bufbuild/protobuf';
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
  type TensorProto,
  type ValueInfoProto,
} from '../onnx/onnx_pb.ts';
import { namesOf } from '../onnx/walk.ts';
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
    const name = this.#claim(this.#free('train/constant'));
    this.#constants.set(key, name);
    this.#initializers.push(protoOf(name, make()));
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
