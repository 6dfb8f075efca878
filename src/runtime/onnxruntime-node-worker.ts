import { Worker } from 'node:worker_threads';
import { type ErrorCode, IsthmusError, messageOf } from '../errors.ts';
import { allocate, type NumericData, type Tensor } from '../tensor.ts';
import { serialSession } from './serial.ts';
import type { OpenOptions, OpenSession, TensorInfo } from './session.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly model: Uint8Array | string;
  readonly options: OpenOptions;
}

/** What is asked of the thread, one request at a time. */
export type ThreadRequest =
  | { readonly feeds: Readonly<Record<string, Tensor>>; readonly fetches: readonly string[] }
  | 'release';

/** What the thread answers: once when the model is open or refused, then once a request. */
export type ThreadReply =
  | { readonly opened: { runtime: string; inputs: readonly TensorInfo[]; outputs: readonly TensorInfo[] } }
  | { readonly results: readonly Tensor[] }
  | { readonly released: true }
  /** An `IsthmusError`, which would arrive as a plain `Error`. */
  | { readonly failure: { readonly code: ErrorCode; readonly message: string } };

/**
 * Opens a model in ONNX Runtime's native build in a thread of its own, so that runs do not block the caller's. Feeds
 * are copied, results are handed over without a copy. An idle session does not keep the process alive.
 */
export const openInWorker: OpenSession = async (model, options = {}) => {
  const thread = startThread({ model, options });
  const reply = await thread.reply();
  if (!('opened' in reply)) throw unexpected(reply);
  const { runtime, inputs, outputs } = reply.opened;
  return serialSession({
    runtime,
    inputs,
    outputs,
    async compute(feeds, fetches) {
      const copies = feeds.map(copyOf);
      const named = Object.fromEntries(inputs.map(({ name }, i) => [name, copies[i]]));
      const answer = await thread.ask({ feeds: named, fetches }, buffersOf(copies));
      if (!('results' in answer)) throw unexpected(answer);
      return answer.results;
    },
    free: () => thread.end(),
  });
};

interface Thread {
  /** The thread's next message. Throws `RUNTIME_RUN` when the thread has ended instead. */
  reply(): Promise<ThreadReply>;
  ask(request: ThreadRequest, transfer?: ArrayBuffer[]): Promise<ThreadReply>;
  end(): Promise<void>;
}

function startThread({ model, options }: ThreadData): Thread {
  // A copy, because a view would take its whole buffer along.
  const data: ThreadData = { model: model instanceof Uint8Array ? new Uint8Array(model) : model, options };
  const worker = new Worker(new URL('./onnxruntime-node-thread.js', import.meta.url), {
    workerData: data,
    transferList: data.model instanceof Uint8Array ? [data.model.buffer as ArrayBuffer] : [],
    // Not those of the process: --eval and --input-type would keep the thread from starting.
    execArgv: [],
  });
  let waiting: { resolve(reply: ThreadReply): void; reject(error: IsthmusError): void } | undefined;
  let death: IsthmusError | undefined;
  const die = (reason: string, cause?: unknown) => {
    death ??= new IsthmusError('RUNTIME_RUN', `the thread of the session ended: ${reason}; open the model again`, {
      cause,
    });
    waiting?.reject(death);
  };
  worker.on('message', (reply: ThreadReply) => waiting?.resolve(reply));
  worker.on('messageerror', (cause) => die(messageOf(cause), cause));
  worker.on('error', (cause) => die(messageOf(cause), cause));
  worker.on('exit', (code) => die(`exit code ${code}`));

  const reply = async () => {
    if (death) throw death;
    worker.ref();
    try {
      return await new Promise<ThreadReply>((resolve, reject) => {
        waiting = { resolve, reject };
      });
    } finally {
      waiting = undefined;
      // One that has ended holds no process, and who waits for its end must not lose it.
      if (!death) worker.unref();
    }
  };
  const ask = (request: ThreadRequest, transfer: ArrayBuffer[] = []) => {
    worker.postMessage(request, transfer);
    return reply();
  };
  const end = async () => {
    if (death) return;
    await ask('release').catch(() => undefined); // A thread that dies of it has freed the model too.
    await worker.terminate();
  };
  return { reply, ask, end };
}

function unexpected(reply: ThreadReply): IsthmusError {
  if ('failure' in reply) return new IsthmusError(reply.failure.code, reply.failure.message);
  return new IsthmusError('RUNTIME_RUN', `the thread of the session answered out of turn: ${Object.keys(reply)}`);
}

/** A tensor with memory of its own, which can be handed over. */
function copyOf({ dtype, shape, data }: Tensor): Tensor {
  if (Array.isArray(data)) return { dtype, shape, data };
  const copy = allocate(dtype, data.length) as NumericData;
  (copy as { set(values: NumericData): void }).set(data);
  return { dtype, shape, data: copy };
}

/** The buffers of tensors, to hand over. */
export function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  return tensors.flatMap(({ data }) => (Array.isArray(data) ? [] : [data.buffer as ArrayBuffer]));
}
