import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from 'onnxruntime-node';
import { IsthmusError, messageOf } from '../errors.ts';
import { dtypeOf } from '../onnx/dtypes.ts';
import { type Graph, mainGraph } from '../onnx/graph.ts';
import type { ValueInfoProto } from '../onnx/onnx_pb.ts';
import { type DType, type NumericData, type Tensor, type TensorData, tensor } from '../tensor.ts';
import type { CheckedModel } from './checked.ts';
import { serialSession } from './serial.ts';
import type { OpenOptions, Session, TensorInfo } from './session.ts';

/** The programming interface that onnxruntime-node and onnxruntime-web share. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (dtype: OrtTensor.Type, data: TensorData, shape: readonly number[]) => OrtTensor;
}

/** Which build of ONNX Runtime a session runs on. */
export interface OnnxRuntimePackage {
  readonly ort: OnnxRuntime;
  /** Package and version, as the session tells it. */
  readonly runtime: string;
  readonly provider: 'cpu' | 'wasm';
}

/** Opens a checked model. Throws `INVALID_ARGUMENT` for a bad option and `RUNTIME_LOAD`. */
export async function openOnnxRuntime(
  { ort, runtime, provider }: OnnxRuntimePackage,
  { bytes, graph }: CheckedModel,
  options: OpenOptions,
): Promise<Session> {
  const { input, output } = mainGraph(graph);
  for (const value of [...input, ...output]) checkType(runtime, value);
  const session = await ort.InferenceSession.create(bytes, sessionOptions(provider, options)).catch((cause) => {
    throw loadError(runtime, graph, cause);
  });
  let inputs: TensorInfo[];
  let outputs: TensorInfo[];
  try {
    inputs = session.inputMetadata.map((value) => infoOf(runtime, value, input));
    outputs = session.outputMetadata.map((value) => infoOf(runtime, value, output));
  } catch (thrown) {
    await session.release();
    throw thrown;
  }
  return serialSession({
    runtime,
    inputs,
    outputs,
    async compute(feeds, fetches) {
      const given = Object.fromEntries(inputs.map(({ name }, i) => [name, toOrt(ort, feeds[i])]));
      const results = await session.run(given, fetches);
      return fetches.map((name) => fromOrt(results[name] as OrtTensor));
    },
    free: () => session.release(),
  });
}

const OPTIMIZATIONS = ['disabled', 'basic', 'extended', 'all'] as const;

function sessionOptions(provider: string, options: OpenOptions): InferenceSession.SessionOptions {
  const { threads, optimization = 'all' } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new IsthmusError('INVALID_ARGUMENT', `threads must be a whole number of at least 1, got ${threads}`);
  }
  if (!OPTIMIZATIONS.includes(optimization)) {
    throw new IsthmusError('INVALID_ARGUMENT', `optimization must be one of ${OPTIMIZATIONS.join(', ')}`);
  }
  return {
    executionProviders: [provider],
    graphOptimizationLevel: optimization,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    // Its log would stand on stderr beside the error that it throws; the error is enough.
    logSeverityLevel: 4,
  };
}

/** Domains whose operators every build of ONNX Runtime knows, at least in part. */
const BUILT_IN = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'ai.onnx.training', 'com.microsoft', 'com.microsoft.nchwc']);

function loadError(runtime: string, graph: Graph, cause: unknown): IsthmusError {
  const message = messageOf(cause);
  const own = new Set(graph.functions.map(({ domain, name }) => `${domain}:${name}`));
  const custom = new Map<string, Set<string>>();
  for (const { domain, opType } of mainGraph(graph).node) {
    if (BUILT_IN.has(domain) || own.has(`${domain}:${opType}`)) continue;
    custom.set(domain, (custom.get(domain) ?? new Set()).add(opType));
  }
  if (custom.size > 0) {
    const list = [...custom].map(([domain, types]) => `${[...types].join(', ')} of domain ${domain}`).join('; ');
    return new IsthmusError(
      'RUNTIME_LOAD',
      `${runtime} lacks custom operators that the model uses: ${list}. Export the model without them ` +
        `(they often are pre- or postprocessing), or split them off and run the rest. It said: ${message}`,
      { cause },
    );
  }
  const advice = /not a registered function|No Op registered|find an implementation|opset|IR version/i.test(message)
    ? 'an operator, type or opset that it lacks: export to an older opset or with other operators, or update the package'
    : 'see its message';
  return new IsthmusError('RUNTIME_LOAD', `${runtime} cannot load the model (${advice}): ${message}`, { cause });
}

/** Element types that cross ONNX Runtime's JavaScript interface; others are refused, or end the process (4-bit outputs). */
const CROSSING: ReadonlySet<string> = new Set<DType>([
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
]);

/** Throws `RUNTIME_LOAD` for an input or output that is not a tensor, or of a type that cannot cross. */
function checkType(runtime: string, value: ValueInfoProto): void {
  const type = value.type?.value;
  if (type?.case === undefined) return; // ONNX Runtime infers it; infoOf looks at what it found.
  if (type.case !== 'tensorType') throw notTensor(value.name);
  const dtype = dtypeOf(type.value.elemType);
  if (!CROSSING.has(dtype)) throw notCrossing(runtime, value.name, dtype);
}

function notTensor(name: string): IsthmusError {
  return new IsthmusError(
    'RUNTIME_LOAD',
    `'${name}' is a sequence, map, optional or sparse tensor; isthmus runs models whose inputs and outputs are dense tensors`,
  );
}

function notCrossing(runtime: string, name: string, dtype: string): IsthmusError {
  return new IsthmusError(
    'RUNTIME_LOAD',
    `'${name}' is ${dtype}, which ${runtime} can neither take nor give; cut elsewhere, or add a Cast to the model`,
  );
}

function infoOf(
  runtime: string,
  value: InferenceSession.ValueMetadata,
  declared: readonly ValueInfoProto[],
): TensorInfo {
  if (!value.isTensor) throw notTensor(value.name);
  if (!CROSSING.has(value.type)) throw notCrossing(runtime, value.name, value.type);
  // An open dimension without a name comes as an empty name, or as 2^32 - 1 from the WebAssembly build.
  const shape = value.shape.map((length) => (length === '' || length === 2 ** 32 - 1 ? '?' : length));
  const info = { name: value.name, dtype: value.type as DType, shape };
  return shape.length === 0 && rankIsOpen(value.name, declared) ? { ...info, anyRank: true } : info;
}

/** Whether the file leaves the rank open: ONNX Runtime tells that and a scalar alike, as an empty shape. */
function rankIsOpen(name: string, declared: readonly ValueInfoProto[]): boolean {
  const type = declared.find((value) => value.name === name)?.type?.value;
  return type?.case === 'tensorType' ? type.value.shape === undefined : true;
}

function toOrt(ort: OnnxRuntime, { dtype, shape, data }: Tensor): OrtTensor {
  return new ort.Tensor(dtype as OrtTensor.Type, unshared(data), shape);
}

/** ONNX Runtime refuses shared memory: it is copied. */
function unshared(data: TensorData): TensorData {
  if (Array.isArray(data) || typeof SharedArrayBuffer === 'undefined') return data;
  return (data.buffer as ArrayBufferLike) instanceof SharedArrayBuffer ? data.slice() : data;
}

function fromOrt(value: OrtTensor): Tensor {
  const { type, dims, data } = value as TypedTensor<OrtTensor.Type>;
  // Where the engine has Float16Array, half-precision numbers come in one.
  const halves = type === 'float16' && !(data instanceof Uint16Array);
  const view = data as unknown as NumericData;
  const plain = halves ? new Uint16Array(view.buffer, view.byteOffset, view.length) : data;
  return tensor(type, [...dims], plain as TensorData);
}
