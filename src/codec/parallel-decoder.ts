import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type ErrorCode, IsthmusError, messageOf } from '../errors.ts';
import { limitsOf } from '../limits.ts';
import { packetBody } from '../packet/index.ts';
import type { Tensor } from '../tensor.ts';
import type { Codec } from './codec.ts';
import { featureElements, featureTensors } from './feature.ts';
import { openCodec } from './file.ts';
import type { ParallelDecoder, ParallelOptions } from './parallel.ts';

/** What a thread is started with. */
export interface ThreadData {
  /** Of a codec that was opened. */
  readonly entries: Codec['entries'];
}

/** What is asked of a thread, one request at a time: a whole body, or a piece whose values go into their places in shared tensors. */
export type ThreadRequest =
  | { readonly body: Uint8Array }
  | { readonly piece: number; readonly bytes: Uint8Array; readonly tensors: readonly SharedArrayBuffer[] };

/** What a thread answers: once when the codec is open, then once a request. */
export type ThreadReply =
  | { readonly tensors: readonly Tensor[] }
  | { readonly done: true }
  /** An `IsthmusError`, which would arrive as a plain `Error`. */
  | { readonly failure: { readonly code: ErrorCode; readonly message: string } };

export async function openParallelDecoder(codecFile: Uint8Array, options: ParallelOptions): Promise<ParallelDecoder> {
  const { workers = availableParallelism() } = options;
  if (!Number.isInteger(workers) || workers < 1) {
    throw new IsthmusError('INVALID_ARGUMENT', `workers is a whole number of at least 1, got ${workers}`);
  }
  const limits = limitsOf(options.limits);
  const { codec, body } = openCodec(codecFile, limits);
  const { pieces } = body;
  // Copies here and below, because a view would take its whole buffer along.
  const entries = new Map([...codec.entries].map(([name, bytes]) => [name, new Uint8Array(bytes)]));
  const threads = await startThreads(Math.min(workers, pieces?.count ?? 1), { entries });
  const lengths = featureElements(codec.coded);
  /** What the last decoding was done in: fresh memory costs as much time as a copy. */
  let spare: SharedArrayBuffer[] | undefined;

  return {
    async decode(packet, { signal } = {}) {
      const bytes = packetBody(packet, codec.id, limits);
      if (!pieces) {
        const [reply] = await threads.ask([{ body: new Uint8Array(bytes) }], signal);
        return (reply as { tensors: Tensor[] }).tensors;
      }
      const streams = pieces.split(bytes);
      const shared = spare ?? lengths.map((length) => new SharedArrayBuffer(4 * length));
      spare = undefined;
      await threads.ask(
        streams.map((stream, piece) => ({ piece, bytes: new Uint8Array(stream), tensors: shared })),
        signal,
      );
      // Copied, because runtimes refuse tensors on shared memory.
      const values = shared.map((buffer) => new Float32Array(new Float32Array(buffer)));
      spare = shared;
      return featureTensors(codec.coded, values);
    },
    close: () => threads.end(new IsthmusError('ABORTED', 'the decoder was closed; open it again to decode')),
  };
}

/** Threads that take requests from one queue. When one dies, all end. */
async function startThreads(count: number, data: ThreadData) {
  let ended: IsthmusError | undefined;
  const idle: Thread[] = [];
  const queue: ((thread: Thread) => void)[] = [];
  const threads = Array.from({ length: count }, () => startThread(data, (error) => void end(error)));

  const end = async (error: IsthmusError): Promise<void> => {
    ended ??= error;
    await Promise.all(threads.map((thread) => thread.end(error)));
  };
  const release = (thread: Thread): void => {
    const next = queue.shift();
    if (next) next(thread);
    else idle.push(thread);
  };
  /** Waits for a thread. `group` is what the request belongs to: it is not begun once that has failed. */
  const askOne = async (request: ThreadRequest, group: { failure?: IsthmusError }): Promise<ThreadReply> => {
    const thread = idle.pop() ?? (await new Promise<Thread>((resolve) => queue.push(resolve)));
    try {
      const failure = ended ?? group.failure;
      if (failure) throw failure;
      return await thread.ask(request);
    } catch (error) {
      group.failure ??= error as IsthmusError;
      throw error;
    } finally {
      release(thread);
    }
  };
  /** The replies to all requests; the first failure is the failure of all. */
  const ask = (requests: readonly ThreadRequest[], signal?: AbortSignal): Promise<ThreadReply[]> =>
    new Promise((resolve, reject) => {
      const group: { failure?: IsthmusError } = {};
      const abort = () => {
        group.failure ??= new IsthmusError('ABORTED', 'decoding was cancelled', { cause: signal?.reason });
        reject(group.failure);
      };
      if (ended) return reject(ended);
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      Promise.all(requests.map((request) => askOne(request, group)))
        .then(resolve, reject)
        .finally(() => signal?.removeEventListener('abort', abort));
    });

  try {
    await Promise.all(threads.map((thread) => thread.opened));
  } catch (error) {
    await end(error as IsthmusError);
    throw error;
  }
  idle.push(...threads);
  return { ask, end };
}

interface Thread {
  readonly opened: Promise<ThreadReply>;
  /** Throws what the thread failed with, and what it ended with. */
  ask(request: ThreadRequest): Promise<ThreadReply>;
  end(error: IsthmusError): Promise<void>;
}

function startThread(data: ThreadData, died: (error: IsthmusError) => void): Thread {
  const worker = new Worker(new URL('./parallel-decoder-thread.js', import.meta.url), {
    workerData: data,
    // Not those of the process: --eval and --input-type would keep the thread from starting.
    execArgv: [],
  });
  let waiting: { resolve(reply: ThreadReply): void; reject(error: IsthmusError): void } | undefined;
  let death: IsthmusError | undefined;
  const die = (reason: string, cause?: unknown) => {
    if (death) return;
    death = new IsthmusError('RUNTIME_RUN', `a decoding thread ended: ${reason}; open the decoder again`, { cause });
    waiting?.reject(death);
    died(death);
  };
  worker.on('message', (reply: ThreadReply) => {
    if ('failure' in reply) waiting?.reject(new IsthmusError(reply.failure.code, reply.failure.message));
    else waiting?.resolve(reply);
  });
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
      // A thread that is being ended is waited for.
      if (!death) worker.unref();
    }
  };
  return {
    opened: reply(),
    ask(request) {
      if (!death) worker.postMessage(request);
      return reply();
    },
    async end(error) {
      death ??= error;
      waiting?.reject(death);
      await worker.terminate();
    },
  };
}
