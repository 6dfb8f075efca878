import { IsthmusError, messageOf } from '../errors.ts';
import { describeNode, type Graph, isOp } from '../onnx/graph.ts';
import { writeGraph } from '../onnx/read.ts';
import { type DType, type NumericData, type Tensor, toFloat32 } from '../tensor.ts';
import type { Halves } from './cut.ts';
import { type Facts, factsOf } from './facts.ts';
import { drawsAtRandom, type Flow, flowOf } from './flow.ts';
import { sampleInputs } from './sample.ts';

/** As much of a runtime's session as verifying needs; `Session` of `isthmus/runtime` is one. */
export interface Runnable {
  readonly runtime: string;
  readonly inputs: readonly { readonly name: string }[];
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

/** Opens a model from its bytes; `openOnnxRuntimeNode` of `isthmus/runtime` is one. */
export type OpenRunnable = (model: Uint8Array, options: { optimization: 'disabled' | 'all' }) => Promise<Runnable>;

export interface VerifyOptions {
  readonly open: OpenRunnable;
  /** Seed of the random inputs; 1 by default. */
  readonly seed?: number;
  /** Random inputs tried; 2 by default. */
  readonly runs?: number;
  /** Lengths of symbolic dimensions. */
  readonly dims?: Readonly<Record<string, number>>;
}

/** How far an output of head and tail is from that of the whole graph. */
export interface Difference {
  readonly output: string;
  /** Largest absolute difference. */
  readonly absolute: number;
  /** The same, relative to the output's largest magnitude. */
  readonly relative: number;
}

export interface Verification {
  /** Package and version of the runtime. */
  readonly runtime: string;
  readonly outputs: readonly Difference[];
  /** The largest over all outputs. */
  readonly absolute: number;
  readonly relative: number;
  /** What is allowed, relative: 1e-5, and more where the narrowest float type at the cut or of an output rounds more. */
  readonly tolerance: number;
  /** Where the difference comes from. */
  readonly cause: string;
}

/** Relative differences allowed: a few roundings of the type. */
const TOLERANCE: Readonly<Partial<Record<DType, number>>> = { float16: 5e-3, bfloat16: 4e-2 };
const FLOAT32_TOLERANCE = 1e-5;

/** Lengths tried in turn for dimensions that nobody gives: some models want enough samples or pixels. */
const FREE_LENGTHS = [8, 64, 224, 512];

/**
 * Runs a graph whole and as head and tail on random inputs, and tells the largest difference and its cause. A runtime
 * that fuses operators rounds a little otherwise where the cut parts them: it is tried again with optimization off.
 *
 * Throws `SPLIT_MISMATCH` above the tolerance, `ONNX_SHAPE` for inputs of unknown type, and what `open` and its
 * sessions throw, such as `RUNTIME_LOAD` for operators that the runtime lacks.
 */
export async function verifySplit(graph: Graph, parts: Halves, options: VerifyOptions): Promise<Verification> {
  const flow = flowOf(graph);
  const facts = factsOf(graph);
  const first = await compare(graph, parts, flow, facts, options, 'all');
  const tolerance = toleranceOf(graph, parts, facts);
  const result = { ...first, tolerance };
  if (first.relative === 0) return { ...result, cause: 'none: head and tail equal the whole to the last bit' };
  const cause = await causeOf(graph, parts, flow, facts, options, first);
  if (first.relative <= tolerance) return { ...result, cause };
  const worst = first.outputs.reduce((a, b) => (a.relative >= b.relative ? a : b));
  throw new IsthmusError(
    'SPLIT_MISMATCH',
    `output '${worst.output}' of head and tail is off by ${worst.absolute.toExponential(2)} ` +
      `(${worst.relative.toExponential(2)} of its largest magnitude, ${tolerance} is allowed); cause: ${cause}; cut elsewhere`,
  );
}

type Comparison = Omit<Verification, 'tolerance' | 'cause'>;

async function compare(
  graph: Graph,
  parts: Halves,
  flow: Flow,
  facts: Facts,
  options: VerifyOptions,
  optimization: 'disabled' | 'all',
): Promise<Comparison> {
  const sessions: Runnable[] = [];
  const open = async (model: Graph): Promise<Runnable> => {
    const session = await options.open(writeGraph(model), { optimization });
    sessions.push(session);
    return session;
  };
  try {
    const whole = await open(graph);
    const head = await open(parts.head);
    const tail = await open(parts.tail);
    const outputs = new Map<string, Difference>();
    let free: readonly number[] = FREE_LENGTHS;
    for (let run = 0; run < (options.runs ?? 2); run++) {
      const seed = (options.seed ?? 1) + run;
      const { feeds, wanted, length } = await runWhole(whole, flow, facts, seed, options.dims ?? {}, free);
      free = [length];
      const features = await head.run(pick(head, feeds));
      const given = await tail.run(pick(tail, { ...feeds, ...features }));
      for (const [output, value] of Object.entries(wanted)) {
        const next = difference(output, value, given[output]);
        if (!((outputs.get(output)?.relative ?? -1) >= next.relative)) outputs.set(output, next);
      }
    }
    const all = [...outputs.values()];
    return {
      runtime: whole.runtime,
      outputs: all,
      absolute: Math.max(0, ...all.map((each) => each.absolute)),
      relative: Math.max(0, ...all.map((each) => each.relative)),
    };
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** Runs the whole graph with the first of the free lengths that it takes. */
async function runWhole(
  whole: Runnable,
  flow: Flow,
  facts: Facts,
  seed: number,
  dims: Readonly<Record<string, number>>,
  free: readonly number[],
) {
  let failure: unknown;
  for (const length of free) {
    const feeds = sampleInputs(flow, facts, seed, dims, length);
    try {
      return { feeds, length, wanted: await whole.run(pick(whole, feeds)) };
    } catch (error) {
      failure ??= error;
    }
  }
  if (!(failure instanceof IsthmusError)) throw failure;
  throw new IsthmusError(
    failure.code,
    `the whole model does not run on random inputs: ${messageOf(failure)}; give its symbolic dimensions lengths that it takes`,
    { cause: failure },
  );
}

function pick(session: Runnable, values: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(
    session.inputs.filter(({ name }) => name in values).map(({ name }) => [name, values[name]]),
  );
}

/** Largest difference of two tensors; infinite where shape, type or text differ, or one alone is not a number. */
function difference(output: string, wanted: Tensor, given: Tensor | undefined): Difference {
  const apart = { output, absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY };
  if (given?.dtype !== wanted.dtype || given.shape.join() !== wanted.shape.join()) return apart;
  if (wanted.dtype === 'string') {
    const same = (wanted.data as string[]).every((text, i) => text === given.data[i]);
    return same ? { output, absolute: 0, relative: 0 } : apart;
  }
  const [a, b] = [numbersOf(wanted), numbersOf(given)];
  let absolute = 0;
  let magnitude = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    if (Number.isFinite(x)) magnitude = Math.max(magnitude, Math.abs(x));
    if (!Object.is(x, y) && !(x === 0 && y === 0)) {
      const off = Math.abs(x - y);
      absolute = Math.max(absolute, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
    }
  }
  return { output, absolute, relative: absolute === 0 ? 0 : absolute / (magnitude || 1) };
}

function numbersOf(value: Tensor): NumericData {
  const half = value.dtype === 'float16' || value.dtype === 'bfloat16';
  return half ? toFloat32(value) : (value.data as NumericData);
}

function toleranceOf(graph: Graph, parts: Halves, facts: Facts): number {
  const infos = [...(graph.graph?.output ?? []), ...(parts.head.graph?.output ?? [])];
  return Math.max(FLOAT32_TOLERANCE, ...infos.map(({ name }) => TOLERANCE[facts.dtype(name) as DType] ?? 0));
}

async function causeOf(
  graph: Graph,
  parts: Halves,
  flow: Flow,
  facts: Facts,
  options: VerifyOptions,
  first: Comparison,
): Promise<string> {
  const random = flow.nodes.find(drawsAtRandom);
  if (random) return `${describeNode(random)} draws at random, so that no two runs agree`;
  const plain = await compare(graph, parts, flow, facts, options, 'disabled');
  if (plain.relative > first.relative / 10) {
    const left = plain.relative.toExponential(2);
    const half = parts.head.graph?.output.find(({ name }) => TOLERANCE[facts.dtype(name) as DType] !== undefined);
    const rounding = half
      ? `; '${half.name}' is ${facts.dtype(half.name)}, and a runtime that computes in float32 rounds to it only there`
      : '';
    return `not the runtime's rewriting: with its optimization off ${left} is left${rounding}`;
  }
  const left = plain.relative === 0 ? 'nothing' : plain.relative.toExponential(2);
  const pairs = fusedAcross(flow, parts);
  const where =
    pairs.length > 0 ? `${pairs.slice(0, 3).join(', ')} would fuse across the cut` : 'operators at the cut would fuse';
  return `${where}: with the runtime's optimization off ${left} is left`;
}

/** Operators that runtimes compute together with the one before: first and second of a pair. */
const FUSED: Readonly<Record<string, readonly string[]>> = {
  Conv: [
    'BatchNormalization',
    'Mul',
    'Add',
    'Relu',
    'LeakyRelu',
    'Clip',
    'Sigmoid',
    'Tanh',
    'HardSigmoid',
    'HardSwish',
  ],
  ConvTranspose: ['BatchNormalization'],
  Gemm: ['BatchNormalization', 'Relu', 'LeakyRelu', 'Sigmoid', 'Tanh'],
  MatMul: ['Add', 'Mul', 'Div', 'BatchNormalization', 'Softmax'],
  Mul: ['MatMul'],
  Transpose: ['MatMul', 'Gemm'],
  Pad: ['Conv', 'AveragePool', 'MaxPool'],
  Add: ['LayerNormalization', 'Gelu', 'Relu', 'Erf', 'Div', 'Softmax'],
  BatchNormalization: ['Relu', 'Conv'],
  Div: ['Softmax', 'Erf', 'Mul'],
  Erf: ['Add'],
};

function fusedAcross(flow: Flow, parts: Halves): string[] {
  const pairs: string[] = [];
  for (const { name } of parts.head.graph?.output ?? []) {
    const tensor = flow.id.get(name) as number;
    const maker = flow.nodes[flow.producer[tensor]];
    for (const reader of flow.readers[tensor]) {
      const node = flow.nodes[reader];
      const follows = Object.hasOwn(FUSED, maker.opType) ? FUSED[maker.opType] : [];
      // What stands between these two a runtime computes in integers.
      const quantized = isOp(maker, 'DequantizeLinear') || isOp(node, 'QuantizeLinear');
      if (quantized || follows.some((op) => isOp(node, op)))
        pairs.push(`${maker.opType} + ${node.opType} at '${name}'`);
    }
  }
  return pairs;
}
