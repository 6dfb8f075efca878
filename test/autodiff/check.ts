import { type DifferentiateOptions, differentiate } from '../../src/autodiff/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { type AttributeValue, buildGraph, node } from '../../src/onnx/build.ts';
import { type Graph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode, type Session } from '../../src/runtime/index.ts';
import { type DType, elements, type Tensor, tensor } from '../../src/tensor.ts';
import { uniforms } from '../codec/features.ts';

export interface Input {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: readonly number[];
  /** Absent for floats of the precision under test. */
  readonly dtype?: 'int64' | 'int32' | 'bool' | 'float32';
  /** Stored in the model rather than fed. */
  readonly isConstant?: boolean;
  /** Declared with its lengths even where others are symbolic. */
  readonly isFixedShape?: boolean;
}

/** One application of an operator; `undefined` leaves an optional input out. */
export interface Sample {
  readonly inputs: readonly (Input | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Number of outputs, 1 by default. */
  readonly outputs?: number;
  /** Outputs that the loss is made of; all by default. */
  readonly used?: readonly number[];
}

export interface Checked {
  readonly dtype: DType;
  /** Largest |gradient - difference| over a tensor, relative to the tensor's largest difference (at least 0.1). */
  readonly error: number;
}

/**
 * Compares the gradients of a random linear function of an operator's outputs with central differences: in float64, or in
 * float32 where the runtime lacks a float64 kernel of the operator or of its gradient. `isOpen` declares every length symbolic.
 */
export async function checkRule(
  op: string,
  opset: number,
  sample: Sample,
  seed: number,
  isOpen: boolean,
  { isSingle, ...options }: Partial<DifferentiateOptions> & { readonly isSingle?: boolean } = {},
): Promise<Checked> {
  const inPrecision = async (dtype: Real) => ({
    dtype,
    error: await errorOf(op, opset, sample, dtype, seed, isOpen, options),
  });
  if (isSingle) return await inPrecision('float32');
  try {
    return await inPrecision('float64');
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError && thrown.code === 'RUNTIME_LOAD')) throw thrown;
    return await inPrecision('float32');
  }
}

type Real = 'float32' | 'float64';
type Feeds = Record<string, Tensor>;

async function errorOf(
  op: string,
  opset: number,
  sample: Sample,
  real: Real,
  seed: number,
  isOpen: boolean,
  options: Partial<DifferentiateOptions>,
): Promise<number> {
  const random = uniforms(seed);
  const feeds: Feeds = {};
  for (const [i, input] of sample.inputs.entries()) {
    if (input && !input.isConstant) feeds[`x${i}`] = tensorOf(input, real);
  }
  const forward = await open(model(op, opset, sample, real, isOpen, []));
  const outputs = await forward.run(feeds);
  const weights: Feeds = {};
  for (const i of usedOf(sample)) {
    const { shape, dtype } = outputs[`y${i}`];
    weights[`r${i}`] = floats(dtype as Real, shape, () => 2 * random() - 1);
  }
  const wanted = sample.inputs.flatMap((input, i) => (input && !input.dtype && !input.isConstant ? [`x${i}`] : []));
  const whole = model(op, opset, sample, real, isOpen, Object.entries(weights));
  const backward = await open(differentiate(whole, { of: 'loss', with: wanted, ...options }));
  const gradients = await backward.run({ ...feeds, ...weights });
  const loss = async () => {
    const ys = await forward.run(feeds);
    let sum = 0;
    for (const i of usedOf(sample)) {
      const y = ys[`y${i}`].data as Float64Array;
      const r = weights[`r${i}`].data as Float64Array;
      for (let k = 0; k < y.length; k++) sum += y[k] * r[k];
    }
    return sum;
  };
  let worst = 0;
  for (const name of wanted) {
    const gradient = gradients[`grad/${name}`];
    if (String(gradient.shape) !== String(feeds[name].shape) || gradient.dtype !== feeds[name].dtype) {
      throw new Error(`${op}: gradient of ${name} is ${gradient.dtype} [${gradient.shape}]`);
    }
    worst = Math.max(worst, await worstOf(gradient, feeds[name], loss, random, real));
  }
  await Promise.all([forward.release(), backward.release()]);
  return worst;
}

/** At most this many elements of a tensor are varied. */
const ELEMENTS = 24;

async function worstOf(
  gradient: Tensor,
  x: Tensor,
  loss: () => Promise<number>,
  random: () => number,
  real: Real,
): Promise<number> {
  const data = x.data as Float64Array;
  const at = Array.from(data.keys());
  while (at.length > ELEMENTS) at.splice(Math.floor(random() * at.length), 1);
  const step = real === 'float64' ? 1e-3 : 2e-2;
  let difference = 0;
  let scale = 0.1;
  for (const i of at) {
    const original = data[i];
    const moved = async (steps: number) => {
      data[i] = original + steps * step;
      // The distance as rounded to the type.
      const value = await loss();
      return { value, distance: data[i] - original };
    };
    const [a, b, c, d] = [await moved(-2), await moved(-1), await moved(1), await moved(2)];
    data[i] = original;
    const narrow = (c.value - b.value) / (c.distance - b.distance);
    const wide = (d.value - a.value) / (d.distance - a.distance);
    const numeric = (4 * narrow - wide) / 3;
    const error = Math.abs((gradient.data as Float64Array)[i] - numeric);
    difference = Math.max(difference, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
    scale = Math.max(scale, Math.abs(numeric));
  }
  return difference / scale;
}

/** The operator alone, or with a loss that weights its outputs. */
function model(
  op: string,
  opset: number,
  sample: Sample,
  real: Real,
  isOpen: boolean,
  weights: readonly (readonly [string, Tensor])[],
): Graph {
  const inputs = sample.inputs.flatMap((input, i) => {
    if (!input || input.isConstant) return [];
    const shape = isOpen && !input.isFixedShape ? input.shape.map((_, axis) => `x${i}_${axis}`) : input.shape;
    return [{ name: `x${i}`, dtype: input.dtype ?? real, shape }];
  });
  const initializers: Feeds = {};
  for (const [i, input] of sample.inputs.entries())
    if (input?.isConstant) initializers[`x${i}`] = tensorOf(input, real);
  const names = Array.from({ length: sample.outputs ?? 1 }, (_, i) => `y${i}`);
  const [domain, opType] = op.includes('.') ? splitLast(op) : ['', op];
  const given = sample.inputs.slice(0, sample.inputs.findLastIndex((input) => input !== undefined) + 1);
  const nodes = [
    node(
      opType,
      given.map((input, i) => (input ? `x${i}` : '')),
      names,
      sample.attributes,
      { domain },
    ),
    ...weights.flatMap(([r]) => [
      node('Mul', [r, r.replace('r', 'y')], [`${r}_product`]),
      node('ReduceSum', [`${r}_product`], [`${r}_sum`], { keepdims: 0 }),
    ]),
  ];
  if (weights.length > 0)
    nodes.push(
      node(
        'Sum',
        weights.map(([r]) => `${r}_sum`),
        ['loss'],
      ),
    );
  const dtypeOf = (name: string) => weights.find(([r]) => r === name)?.[1].dtype ?? real;
  return buildGraph({
    opset,
    domains: domain === '' ? {} : { [domain]: 1 },
    inputs: [
      ...inputs,
      ...weights.map(([name, { dtype, shape }]) => ({
        name,
        dtype,
        shape: isOpen ? shape.map((_, axis) => `${name}_${axis}`) : shape,
      })),
    ],
    outputs:
      weights.length > 0
        ? [{ name: 'loss', dtype: dtypeOf(weights[0][0]), shape: [] }]
        : usedOf(sample).map((i) => ({ name: `y${i}`, dtype: real })),
    nodes,
    initializers,
  });
}

function splitLast(op: string): [string, string] {
  const at = op.lastIndexOf('.');
  return [op.slice(0, at), op.slice(at + 1)];
}

function usedOf(sample: Sample): readonly number[] {
  return sample.used ?? Array.from({ length: sample.outputs ?? 1 }, (_, i) => i);
}

function open(graph: Graph): Promise<Session> {
  return openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
}

function tensorOf({ shape, values, dtype }: Input, real: Real): Tensor {
  if (dtype === 'int64') return tensor('int64', shape, BigInt64Array.from(values, BigInt));
  if (dtype === 'int32') return tensor('int32', shape, Int32Array.from(values));
  if (dtype === 'bool') return tensor('bool', shape, Uint8Array.from(values));
  return floatsOf(dtype ?? real, shape, values);
}

function floatsOf(real: Real, shape: readonly number[], values: readonly number[]): Tensor {
  return tensor(real, shape, real === 'float64' ? Float64Array.from(values) : Float32Array.from(values));
}

function floats(real: Real, shape: readonly number[], value: () => number): Tensor {
  const data = Array.from({ length: elements(shape) }, value);
  return tensorOf({ shape, values: data }, real);
}
