import { create } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { type Graph, mainGraph, readGraph, tensorTypeOf, trueInputs, writeGraph } from '../../src/onnx/index.ts';
import { ValueInfoProtoSchema } from '../../src/onnx/onnx_pb.ts';

/** Shapes given for inputs, by name. */
export type Shapes = Record<string, number[]>;

/**
 * What onnxruntime makes of every tensor of the main graph: a copy of the graph, with each one as an output, run on
 * random inputs without optimizations.
 */
export async function runEveryTensor(
  graph: Graph,
  shapes: Shapes,
  /** Sequences, which onnxruntime-node cannot give out. */
  hidden: readonly string[] = [],
): Promise<Map<string, { dtype: string; shape: readonly number[] }>> {
  const copy = readGraph(writeGraph(graph));
  const main = mainGraph(copy);
  const outputs = new Set(main.output.map((each) => each.name));
  for (const node of main.node) {
    for (const name of node.output) {
      if (name !== '' && !outputs.has(name) && !hidden.includes(name))
        main.output.push(create(ValueInfoProtoSchema, { name }));
    }
  }
  const session = await ort.InferenceSession.create(writeGraph(copy), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
  });
  const feeds: Record<string, ort.Tensor> = {};
  for (const input of trueInputs(main)) {
    const dtype = tensorTypeOf(input.type)?.dtype as ort.Tensor.Type;
    const shape = shapes[input.name];
    const size = shape.reduce((a, b) => a * b, 1);
    feeds[input.name] = new ort.Tensor(dtype, randomFeed(dtype, size) as Float32Array, shape);
  }
  const results = await session.run(feeds);
  await session.release();
  return new Map(Object.entries(results).map(([name, { type, dims }]) => [name, { dtype: type, shape: dims }]));
}

let seed = 1;
/** Numbers in [0, 1); the same ones in every run. */
function random(): number {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return seed / 2 ** 32;
}

/** Small positive numbers, so that integers can be token ids and indices. */
function randomFeed(dtype: string, count: number): ort.Tensor['data'] {
  const numbers = Array.from({ length: count }, random);
  const whole = (scale: number) => numbers.map((value) => Math.floor(value * scale));
  switch (dtype) {
    case 'float32':
      return Float32Array.from(numbers);
    case 'float64':
      return Float64Array.from(numbers);
    case 'float16':
      return new Uint16Array(count).fill(0x3800);
    case 'int64':
      return BigInt64Array.from(whole(3).map(BigInt));
    case 'int32':
      return Int32Array.from(whole(3));
    case 'int8':
      return Int8Array.from(whole(100));
    case 'uint8':
      return Uint8Array.from(whole(200));
    case 'bool':
      return Uint8Array.from(whole(2));
    default:
      throw new Error(`no random ${dtype}`);
  }
}
