import { create } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import {
  consumersOf,
  dtypeOf,
  type Graph,
  intAttribute,
  isOp,
  mainGraph,
  node,
  protoOf,
  tensorOf,
} from '../onnx/index.ts';
import { GraphProtoSchema, ModelProtoSchema } from '../onnx/onnx_pb.ts';
import { asFloat, type Tensor } from '../tensor.ts';

/** ONNX's number of float32. */
const FLOAT = 1;

/**
 * The value in float16, to nearest. Throws `INVALID_ARGUMENT` for a weight that float16 cannot hold.
 */
export function toHalf(name: string, value: Tensor): Tensor {
  const half = asFloat(value, 'float16');
  // The largest float16 is 65,504; what is above becomes infinite.
  if ((half.data as Uint16Array).every((bits) => (bits & 0x7c00) !== 0x7c00)) return half;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `weight '${name}' holds a value that float16 cannot; lower the learning rate`,
  );
}

/** Name of the float16 initializer that a weight is cast from. */
const halfName = (name: string) => `${name}.float16`;

/**
 * The graph with some float32 initializers kept as float16, each cast to float32 under its own name: half the bytes, and all
 * operators work in float32 as before. Throws `INVALID_ARGUMENT` for a weight that float16 cannot hold.
 */
export function narrowWeights(graph: Graph, names: readonly string[]): Graph {
  const main = mainGraph(graph);
  const chosen = new Set(names);
  const narrow = main.initializer.filter(({ name, dataType }) => chosen.has(name) && dtypeOf(dataType) === 'float32');
  const casts = narrow.map(({ name }) =>
    node('Cast', [halfName(name)], [name], { to: FLOAT }, { name: halfName(name) }),
  );
  const initializer = main.initializer.map((proto) =>
    narrow.includes(proto) ? protoOf(halfName(proto.name), toHalf(proto.name, tensorOf(proto))) : proto,
  );
  return withMain(graph, { node: [...casts, ...main.node], initializer });
}

/** The graph with float16 initializers that are only cast to float32 held as float32, so that they can be trained. */
export function widenWeights(graph: Graph): Graph {
  const main = mainGraph(graph);
  const consumers = consumersOf(main);
  const outputs = new Set(main.output.map(({ name }) => name));
  const halves = new Map(
    main.initializer.filter(({ dataType }) => dtypeOf(dataType) === 'float16').map((proto) => [proto.name, proto]),
  );
  const casts = main.node.filter((each) => {
    if (!isOp(each, 'Cast') || intAttribute(each, 'to', 0) !== FLOAT) return false;
    return halves.has(each.input[0]) && consumers.get(each.input[0])?.length === 1 && !outputs.has(each.output[0]);
  });
  const widened = new Set(casts.map(({ input }) => input[0]));
  const wide = casts.map(({ input, output }) => {
    const half = halves.get(input[0]);
    return protoOf(output[0], asFloat(tensorOf(half as NonNullable<typeof half>), 'float32'));
  });
  return withMain(graph, {
    node: main.node.filter((each) => !casts.includes(each)),
    initializer: [...main.initializer.filter(({ name }) => !widened.has(name)), ...wide],
  });
}

function withMain(graph: Graph, fields: Partial<ReturnType<typeof mainGraph>>): Graph {
  return create(ModelProtoSchema, {
    ...graph,
    graph: create(GraphProtoSchema, { ...mainGraph(graph), ...fields }),
  });
}
