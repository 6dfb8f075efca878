import { type DifferentiateOptions, differentiate, withLowerBound } from '../../src/autodiff/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { type AttributeValue, buildGraph, node } from '../../src/onnx/build.ts';
import { type Graph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode, type Session } from '../../src/runtime/index.ts';
import { elements, type Tensor, tensor } from '../../src/tensor.ts';
import { uniforms } from '../codec/features.ts';

export interface Input {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: readonly number[];
  /** Absent for floats of the precision under test. */
  readonly dtype?: 'int64' | 'int32' | 'bool' | Real;
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

export type Real = 'float32' | 'float64';

/** An application with a loss: the sum of its outputs' elements times given factors. */
export interface Weighted {
  readonly op: string;
  readonly opset: number;
  readonly sample: Sample;
  /** The factors by output; absent where it is not used. */
  readonly weights: readonly (Input | undefined)[];
}

export interface GradientOptions extends Partial<DifferentiateOptions> {
  /** In float32 alone: the runtime's kernel of float64 works in float32 inside. */
  readonly isSingle?: boolean;
  /** Declares every length symbolic. */
  readonly isOpen?: boolean;
}

/** Draws the factors, from -1 to 1 with 4 decimals. */
export async function weighted(op: string, opset: number, sample: Sample, seed: number): Promise<Weighted> {
  const { of, session } = await openWeighted(op, opset, sample, seed);
  await session.release();
  return of;
}

/** The same, with a session of the operator alone, which said the outputs' shapes. */
export async function openWeighted(
  op: string,
  opset: number,
  sample: Sample,
  seed: number,
): Promise<{ of: Weighted; session: Session; real: Real }> {
  const random = uniforms(seed);
  const bare = { op, opset, sample, weights: [] };
  const { session, real } = await openEither((real) => modelOf(bare, real, false), false);
  const outputs = await session.run(feedsOf(bare, real));
  const weights: (Input | undefined)[] = [];
  for (const i of usedOf(sample)) {
    const { shape, dtype } = outputs[`y${i}`];
    const values = Array.from({ length: elements(shape) }, () => Math.round(2e4 * random() - 1e4) / 1e4);
    weights[i] = dtype === real ? { shape, values } : { shape, values, dtype: dtype as Real };
  }
  return { of: { op, opset, sample, weights }, session, real };
}

/** The inputs that are differentiated by: floats that are not stored in the model. */
export function wantedOf({ inputs }: Sample): number[] {
  return inputs.flatMap((input, i) => (input && !input.dtype && !input.isConstant ? [i] : []));
}

/** The loss and its gradients by the inputs of {@link wantedOf}: in float64, or where the runtime cannot, in float32. */
export async function gradientsOf(
  of: Weighted,
  { isSingle = false, isOpen = false, ...options }: GradientOptions,
): Promise<{ real: Real; loss: number; gradients: Tensor[] }> {
  const names = wantedOf(of.sample).map((i) => `x${i}`);
  const { session, real } = await openEither(
    (real) => differentiate(modelOf(of, real, isOpen), { of: 'loss', with: names, ...options }),
    isSingle,
  );
  const feeds = feedsOf(of, real);
  const result = await session.run(feeds);
  await session.release();
  const gradients = names.map((name) => {
    const gradient = result[`grad/${name}`];
    if (String(gradient.shape) === String(feeds[name].shape) && gradient.dtype === feeds[name].dtype) return gradient;
    throw new Error(`${of.op}: gradient of ${name} is ${gradient.dtype} [${gradient.shape}]`);
  });
  return { real, loss: (result.loss.data as Float64Array)[0], gradients };
}

/** Opens the model of float64, or where the runtime lacks a kernel, that of float32. */
async function openEither(
  modelFor: (real: Real) => Graph,
  isSingle: boolean,
): Promise<{ session: Session; real: Real }> {
  const open = async (real: Real) => ({ session: await openModel(modelFor(real)), real });
  if (isSingle) return await open('float32');
  try {
    return await open('float64');
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError && thrown.code === 'RUNTIME_LOAD')) throw thrown;
    return await open('float32');
  }
}

export function openModel(graph: Graph): Promise<Session> {
  return openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
}

/** What the model is fed. */
export function feedsOf({ sample, weights }: Weighted, real: Real): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const [i, input] of sample.inputs.entries()) {
    if (input && !input.isConstant) feeds[`x${i}`] = tensorOf(input, real);
  }
  for (const [i, weight] of weights.entries()) if (weight) feeds[`r${i}`] = tensorOf(weight, real);
  return feeds;
}

/** The operator and its loss, or without factors the operator alone. */
export function modelOf({ op, opset, sample, weights }: Weighted, real: Real, isOpen: boolean): Graph {
  const declare = (name: string, { shape, dtype, isFixedShape }: Input) => ({
    name,
    dtype: dtype ?? real,
    shape: isOpen && !isFixedShape ? shape.map((_, axis) => `${name}_${axis}`) : shape,
  });
  const initializers: Record<string, Tensor> = {};
  for (const [i, input] of sample.inputs.entries())
    if (input?.isConstant) initializers[`x${i}`] = tensorOf(input, real);
  const names = Array.from({ length: sample.outputs ?? 1 }, (_, i) => `y${i}`);
  const at = op.lastIndexOf('.');
  const domain = op.slice(0, Math.max(0, at));
  const given = sample.inputs.slice(0, sample.inputs.findLastIndex((input) => input !== undefined) + 1);
  const inputs = given.map((input, i) => (input ? `x${i}` : ''));
  const used = weights.flatMap((weight, i) => (weight ? [i] : []));
  const graph = buildGraph({
    opset,
    domains: domain === '' ? {} : { [domain]: 1 },
    inputs: [
      ...sample.inputs.flatMap((input, i) => (input && !input.isConstant ? [declare(`x${i}`, input)] : [])),
      ...used.map((i) => declare(`r${i}`, weights[i] as Input)),
    ],
    outputs:
      used.length > 0
        ? [{ name: 'loss', dtype: weights[used[0]]?.dtype ?? real, shape: [] }]
        : usedOf(sample).map((i) => ({ name: `y${i}`, dtype: real })),
    nodes: [
      node(op.slice(at + 1), inputs, names, sample.attributes, { domain }),
      ...used.flatMap((i) => [
        node('Mul', [`r${i}`, `y${i}`], [`product${i}`]),
        node('ReduceSum', [`product${i}`], [`sum${i}`], { keepdims: 0 }),
      ]),
      ...(used.length > 0
        ? [
            node(
              'Sum',
              used.map((i) => `sum${i}`),
              ['loss'],
            ),
          ]
        : []),
    ],
    initializers,
  });
  return domain === 'isthmus' ? withLowerBound(graph) : graph;
}

function usedOf(sample: Sample): readonly number[] {
  return sample.used ?? Array.from({ length: sample.outputs ?? 1 }, (_, i) => i);
}

function tensorOf({ shape, values, dtype }: Input, real: Real): Tensor {
  if (dtype === 'int64') return tensor('int64', shape, BigInt64Array.from(values, BigInt));
  if (dtype === 'int32') return tensor('int32', shape, Int32Array.from(values));
  if (dtype === 'bool') return tensor('bool', shape, Uint8Array.from(values));
  const type = dtype ?? real;
  return tensor(type, shape, type === 'float64' ? Float64Array.from(values) : Float32Array.from(values));
}
