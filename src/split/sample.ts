import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { IsthmusError } from '../errors.ts';
import { DEFAULT_LIMITS, within } from '../limits.ts';
import { intAttribute } from '../onnx/attributes.ts';
import { evaluate, symbolsOf } from '../onnx/dim.ts';
import { isOp } from '../onnx/graph.ts';
import {
  allocate,
  byteLength,
  type DType,
  elements,
  fromFloat32,
  type NumericData,
  type Tensor,
  tensor,
} from '../tensor.ts';
import type { Facts } from './facts.ts';
import type { Flow } from './flow.ts';

/** Integers from `low` up to and without `high`. */
interface IntegerRange {
  readonly low: number;
  readonly high: number;
}

/**
 * Seeded random inputs of a graph, right in element type and shape. Floats are uniform in [-1, 1). Integers that index
 * a table (token ids) stay inside it; 8-bit integers take any value; other integers and booleans are 0 or 1.
 * `lengths` gives symbolic dimensions; `free` stands for those that it lacks (1 on axis 0, taken for the batch).
 * Throws `ONNX_SHAPE` for an input of unknown rank or one that nobody can draw.
 */
export function sampleInputs(
  flow: Flow,
  facts: Facts,
  seed: number,
  lengths: Readonly<Record<string, number>>,
  free: number,
): Record<string, Tensor> {
  const random = xoroshiro128plus(seed);
  const bindings: Record<string, number> = { ...lengths };
  const types = flow.inputs.map((input) => {
    const name = flow.names[input];
    const dtype = facts.dtype(name);
    const dims = facts.dims(name);
    if (dtype === undefined || dims === undefined) {
      throw new IsthmusError('ONNX_SHAPE', `input '${name}' declares no type and rank, so no random input can be made`);
    }
    for (const [axis, dim] of dims.entries()) {
      for (const symbol of symbolsOf(dim)) bindings[symbol] ??= axis === 0 && dims.length > 1 ? 1 : free;
    }
    return { input, name, dtype, dims };
  });
  return Object.fromEntries(
    types.map(({ input, name, dtype, dims }) => {
      const shape = dims.map((dim) => evaluate(dim, bindings) as number);
      if (dtype !== 'string') within(DEFAULT_LIMITS, 'tensorBytes', byteLength(dtype, shape), `a random '${name}'`);
      return [name, draw(random, dtype, shape, rangeOf(flow, facts, input, dtype))];
    }),
  );
}

function draw(random: RandomGenerator, dtype: DType, shape: readonly number[], range: IntegerRange): Tensor {
  const count = elements(shape);
  if (dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16') {
    return fromFloat32(
      dtype,
      shape,
      Float32Array.from({ length: count }, () => 2 * uniformFloat32(random) - 1),
    );
  }
  const next = () => uniformInt(random, range.low, range.high - 1);
  if (dtype === 'string')
    return tensor(
      dtype,
      shape,
      Array.from({ length: count }, () => `word${next()}`),
    );
  const data = allocate(dtype, count) as NumericData;
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let i = 0; i < count; i++) data[i] = wide ? BigInt(next()) : next();
  return tensor(dtype, shape, data);
}

/** Operators that hand on the values of their first input. */
const HANDS_ON = [
  'Cast',
  'Identity',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Flatten',
  'Transpose',
  'Slice',
  'Concat',
  'Expand',
];

/** The narrowest range that the tables which an integer input indexes leave it. */
function rangeOf(flow: Flow, facts: Facts, input: number, dtype: DType): IntegerRange {
  let high = Number.POSITIVE_INFINITY;
  const limit = (table: string | undefined, axis: number) => {
    const shape = table === undefined ? undefined : facts.shape(table);
    const length = shape?.[axis < 0 ? axis + shape.length : axis];
    if (typeof length === 'number' && length > 0) high = Math.min(high, length);
  };
  const seen = new Set([input]);
  for (const tensor of seen) {
    const name = flow.names[tensor];
    for (const reader of flow.readers[tensor]) {
      const node = flow.nodes[reader];
      const at = node.input.indexOf(name);
      if (isOp(node, 'Gather') && at === 1) limit(node.input[0], intAttribute(node, 'axis', 0));
      else if (isOp(node, 'GatherElements') && at === 1) limit(node.input[0], intAttribute(node, 'axis', 0));
      else if (isOp(node, 'GatherND') && at === 1) limit(node.input[0], intAttribute(node, 'batch_dims', 0));
      else if (node.opType === 'EmbedLayerNormalization' && at <= 1) limit(node.input[at === 0 ? 2 : 4], 0);
      else if (HANDS_ON.some((op) => isOp(node, op))) for (const made of flow.writes[reader]) seen.add(made);
    }
  }
  if (Number.isFinite(high)) return { low: 0, high: Math.min(high, 2 ** 31) };
  if (dtype === 'uint8') return { low: 0, high: 256 };
  if (dtype === 'int8') return { low: -128, high: 128 };
  return { low: 0, high: 2 };
}
