import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from 'onnxruntime-common';
import { IsthmusError, messageOf } from '../errors.ts';
import { type Graph, mainGraph } from '../onnx/graph.ts';
import { type DType, type NumericData, type Tensor, type TensorData, tensor } from '../tensor.ts';
import { serialSession } from './serial.ts';
import type { OpenOptions, Session, TensorInfo } from './session.ts';

/** The programming interface that onnxruntime-node and onnxruntime-web share. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (dtype: OrtTensor.Type, data: TensorData, shape: readonly number[]) => OrtTensor;
}

/** Opens checked bytes. `graph` is the same model read by isthmus; `runtime` is the package and its version. */
export async function openOnnxRuntime(
  ort: OnnxRuntime,
  runtime: string,
  bytes: Uint8Array,
  graph: Graph,
  options: OpenOptions,
): Promise<Session> {
  const session = await create(ort, runtime, bytes, graph, options);
  let inputs: TensorInfo[];
  let outputs: TensorInfo[];
  try {
    const { input, output } = mainGraph(graph);
    inputs = session.inputMetadata.map((value) => infoOf(value, rankIsOpen(input, value.name)));
    outputs = session.outputMetadata.map((value) => infoOf(value, rankIsOpen(output, value.name)));
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

async function create(
  ort: OnnxRuntime,
  runtime: string,
  bytes: Uint8Array,
  graph: Graph,
  options: OpenOptions,
): Promise<InferenceSession> {
  const { threads, optimization = 'all' } = options;
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: [runtime.startsWith('onnxruntime-web') ? 'wasm' : 'cpu'],
      graphOptimizationLevel: optimization,
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      // Its log goes to stderr beside the error that it throws; the error is enough.
      logSeverityLevel: 4,
    });
  } catch (cause) {
    throw loadError(runtime, graph, cause);
  }
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

/** Whether the file leaves the rank open: ONNX Runtime tells that and a scalar alike, as an empty shape. */
function rankIsOpen(values: ReturnType<typeof mainGraph>['input'], name: string): boolean {
  const type = values.find((value) => value.name === name)?.type?.value;
  return type?.case === 'tensorType' && type.value.shape === undefined;
}

function infoOf(value: InferenceSession.ValueMetadata, open: boolean): TensorInfo {
  if (!value.isTensor) {
    throw new IsthmusError(
      'RUNTIME_LOAD',
      `'${value.name}' is a sequence, map or optional; isthmus runs models whose inputs and outputs are tensors`,
    );
  }
  const shape = value.shape.map((length) => (length === '' ? '?' : length));
  const info = { name: value.name, dtype: value.type as DType, shape };
  return open && shape.length === 0 ? { ...info, anyRank: true } : info;
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
