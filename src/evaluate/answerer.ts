import { Worker } from 'node:worker_threads';
import { type ErrorCode, IsthmusError, messageOf } from '../errors.ts';
import { type Graph, writeGraph } from '../onnx/index.ts';
import { openTail, type Suite, type TaskName } from '../tasks/index.ts';
import type { NumericData, Tensor } from '../tensor.ts';
import type { Conditions } from './conditions.ts';
import type { AnyTask } from './measure.ts';

/** A task's tail, or its uncut model, that answers a batch at a time. */
export interface Answerer {
  answer(feature: readonly Tensor[], asks: readonly (readonly unknown[])[]): Promise<unknown[][]>;
  release(): Promise<void>;
}

/** What an answering thread is started with: the suite for its task, and the model that takes `features`. */
export interface AnswererData {
  readonly dir: Suite['dir'];
  readonly name: TaskName;
  readonly model: Uint8Array;
  readonly features: readonly string[];
}

export interface AnswererRequest {
  readonly feature: readonly Tensor[];
  readonly asks: readonly (readonly unknown[])[];
}

/** What an answering thread says: once when its model is open or refused, then once a request. */
export type AnswererReply =
  | { readonly opened: string }
  | { readonly answers: unknown[][] }
  | { readonly failure: { readonly code: ErrorCode; readonly message: string } };

/**
 * Answerers that work side by side. With `parallel` above 1 each is a thread of its own with the runtime at hand, in
 * which a search over captions runs without its state crossing over at every token; where threads do not start,
 * whatever the reason, a single one in this thread gives the answers or the error.
 */
export async function openAnswerers(
  run: Conditions,
  { name, task }: { readonly name: TaskName; readonly task: AnyTask },
  graph: Graph,
  features: readonly string[],
): Promise<Answerer[]> {
  if (run.parallel > 1) {
    const data: AnswererData = { dir: run.suite.dir, name, model: writeGraph(graph), features };
    const threads = await Promise.allSettled(Array.from({ length: run.parallel }, () => openThread(run, data)));
    const open = threads.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    if (open.length === run.parallel) return open;
    await Promise.all(open.map((each) => each.release()));
  }
  const tail = await openTail(graph, features, run.open);
  return [{ answer: (feature, asks) => task.answer(tail, feature, asks), release: () => tail.release() }];
}

async function openThread(run: Conditions, data: AnswererData): Promise<Answerer> {
  const worker = new Worker(new URL('./answerer-thread.js', import.meta.url), { workerData: data, execArgv: [] });
  let waiting: { resolve(reply: AnswererReply): void; reject(error: IsthmusError): void } | undefined;
  let death: IsthmusError | undefined;
  const die = (reason: string, cause?: unknown) => {
    death ??= new IsthmusError('RUNTIME_RUN', `an answering thread ended: ${reason}; run again to go on`, { cause });
    waiting?.reject(death);
  };
  worker.on('message', (reply: AnswererReply) => waiting?.resolve(reply));
  worker.on('messageerror', (cause) => die(messageOf(cause), cause));
  worker.on('error', (cause) => die(messageOf(cause), cause));
  worker.on('exit', (code) => die(`exit code ${code}`));
  const reply = () =>
    new Promise<AnswererReply>((resolve, reject) => {
      if (death) reject(death);
      else waiting = { resolve, reject };
    });

  const opened = await reply();
  if (!('opened' in opened)) {
    await worker.terminate();
    throw unexpected(opened);
  }
  run.noteRuntime(opened.opened);
  return {
    async answer(feature, asks) {
      const request: AnswererRequest = { feature, asks };
      const buffers = feature.map(({ data: values }) => (values as NumericData).buffer as ArrayBuffer);
      if (death === undefined) worker.postMessage(request, buffers);
      const given = await reply();
      if (!('answers' in given)) throw unexpected(given);
      return given.answers;
    },
    async release() {
      await worker.terminate();
    },
  };
}

function unexpected(reply: AnswererReply): IsthmusError {
  if ('failure' in reply) return new IsthmusError(reply.failure.code, reply.failure.message);
  return new IsthmusError('RUNTIME_RUN', 'an answering thread answered out of turn; run again to go on');
}
