import { Worker } from 'node:worker_threads';
import { type ErrorCode, IsthmusError, messageOf } from '../errors.ts';
import type { TaskName } from '../tasks/index.ts';
import { Refusal } from './refusal.ts';
import type { Answered } from './wire.ts';

/** What the answering thread is started with: the suite for its tasks, the codecs, and the tails after their cuts. */
export interface AnsweringData {
  readonly dir: string;
  readonly codecs: readonly {
    /** A codec file. */
    readonly bytes: Uint8Array;
    /** The tasks that answer from its packets; `model` is a place in `tails`. */
    readonly tails: readonly { readonly task: TaskName; readonly model: number }[];
  }[];
  /** ONNX models from a cut to a task's logits. */
  readonly tails: readonly Uint8Array[];
  /** Threads inside an operator. */
  readonly threads: number;
}

export interface AnsweringRequest {
  readonly packet: Uint8Array;
  readonly question: string | null;
}

/** What the thread says: once when its models are open or refused, then once a request. */
export type AnsweringReply =
  | { readonly opened: true }
  | { readonly answered: Answered }
  | { readonly failure: { readonly code: ErrorCode; readonly message: string } };

export interface Answering {
  /**
   * Answers a packet, after those that came before. Throws `PACKET_…` and what tails throw, and refusals: `BUSY` where the queue is full
   * or the wait long, `TIMED_OUT`. A signal takes a request that still waits out of the queue.
   */
  answer(request: AnsweringRequest, signal: AbortSignal): Promise<Answered>;
  /** Whether another request would be refused now. */
  readonly full: boolean;
  close(): Promise<void>;
}

export interface AnsweringOptions {
  /** Requests that wait at most. */
  readonly waiting?: number;
  /** Milliseconds that a request waits for its turn at most. */
  readonly waitMs?: number;
  /** Milliseconds of one answer at most; then the thread is ended and another one started. */
  readonly answerMs?: number;
}

interface Job {
  readonly request: AnsweringRequest;
  readonly since: number;
  resolve(answered: Answered): void;
  reject(error: unknown): void;
}

/**
 * A thread that answers packets one by one, so that ONNX Runtime blocks no request of another kind, with a short queue before it. Throws
 * what opening the models throws.
 */
export async function openAnswering(data: AnsweringData, options: AnsweringOptions = {}): Promise<Answering> {
  const { waiting = 32, waitMs = 10_000, answerMs = 30_000 } = options;
  const queue: Job[] = [];
  let thread: Thread | null = await startThread(data);
  let running = false;
  let closed = false;

  async function next(): Promise<void> {
    const job = queue.shift();
    if (running || job === undefined) return;
    running = true;
    let current: Thread | null = null;
    try {
      const taken = performance.now();
      if (taken - job.since > waitMs) throw busy(waiting);
      current = thread ?? (await startThread(data));
      thread = current;
      const answered = await current.ask(job.request, answerMs);
      job.resolve({ ...answered, times: { ...answered.times, queueMs: taken - job.since } });
    } catch (thrown) {
      if (current?.ended) thread = null;
      job.reject(thrown);
    }
    running = false;
    void next();
  }

  return {
    get full() {
      return queue.length >= waiting;
    },
    answer(request, signal) {
      if (closed) return Promise.reject(new IsthmusError('RUNTIME_RUN', 'the demo is closing'));
      if (queue.length >= waiting) return Promise.reject(busy(waiting));
      return new Promise((resolve, reject) => {
        const job: Job = { request, since: performance.now(), resolve, reject };
        signal.addEventListener('abort', () => {
          const place = queue.indexOf(job);
          if (place < 0) return;
          queue.splice(place, 1);
          reject(signal.reason);
        });
        queue.push(job);
        if (!running) void next();
      });
    },
    async close() {
      closed = true;
      for (const job of queue.splice(0)) job.reject(new IsthmusError('RUNTIME_RUN', 'the demo is closing'));
      await thread?.end();
    },
  };
}

function busy(waiting: number): Refusal {
  return new Refusal(503, 'BUSY', `more than ${waiting} packets wait for an answer; send this one again in a moment`);
}

interface Thread {
  readonly ended: boolean;
  ask(request: AnsweringRequest, answerMs: number): Promise<Answered>;
  end(): Promise<void>;
}

async function startThread(data: AnsweringData): Promise<Thread> {
  const worker = new Worker(new URL('./answering-thread.js', import.meta.url), { workerData: data, execArgv: [] });
  let listener: { resolve(reply: AnsweringReply): void; reject(error: unknown): void } | undefined;
  let death: IsthmusError | undefined;
  const die = (reason: string, cause?: unknown) => {
    death ??= new IsthmusError('RUNTIME_RUN', `the answering thread ended: ${reason}; send the packet again`, {
      cause,
    });
    listener?.reject(death);
  };
  worker.on('message', (reply: AnsweringReply) => listener?.resolve(reply));
  worker.on('messageerror', (cause) => die(messageOf(cause), cause));
  worker.on('error', (cause) => die(messageOf(cause), cause));
  worker.on('exit', (code) => die(`exit code ${code}`));
  const reply = () =>
    new Promise<AnsweringReply>((resolve, reject) => {
      if (death) reject(death);
      else listener = { resolve, reject };
    });

  const opened = await reply();
  if ('failure' in opened) {
    await worker.terminate();
    throw new IsthmusError(opened.failure.code, opened.failure.message);
  }
  return {
    get ended() {
      return death !== undefined;
    },
    async ask(request, answerMs) {
      if (death === undefined) worker.postMessage(request);
      const answer = reply();
      const timer = setTimeout(() => {
        listener?.reject(
          new Refusal(504, 'TIMED_OUT', `no answer within ${answerMs / 1000} s; the answering thread starts anew`),
        );
        die('it took too long');
        void worker.terminate();
      }, answerMs);
      try {
        const given = await answer;
        if ('answered' in given) return given.answered;
        if ('failure' in given) throw new IsthmusError(given.failure.code, given.failure.message);
        throw new IsthmusError('RUNTIME_RUN', 'the answering thread answered out of turn; send the packet again');
      } finally {
        clearTimeout(timer);
      }
    },
    async end() {
      await worker.terminate();
    },
  };
}
