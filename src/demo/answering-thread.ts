import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type Codec, readCodec } from '../codec/index.ts';
import { IsthmusError, messageOf } from '../errors.ts';
import { readGraph } from '../onnx/index.ts';
import { identity, openPacket } from '../packet/index.ts';
import { openSession } from '../runtime/index.ts';
import { openCodedTail, openSuite, openTask, type SuiteTask, type Tail, type TaskName } from '../tasks/index.ts';
import type { AnsweringData, AnsweringReply, AnsweringRequest } from './answering.ts';
import type { Answered } from './wire.ts';

/** The thread that `openAnswering` starts: opens the tails of all codecs, and answers one packet after the other. */
const port = parentPort as MessagePort;
const reply = (message: AnsweringReply) => port.postMessage(message);

function failure(thrown: unknown): AnsweringReply {
  const code = thrown instanceof IsthmusError ? thrown.code : 'RUNTIME_RUN';
  return { failure: { code, message: messageOf(thrown) } };
}

/** A codec with the tasks that answer from its packets. */
interface Opened {
  readonly codec: Codec;
  readonly tails: readonly { readonly task: SuiteTask; readonly tail: Tail }[];
}

async function openAll({ dir, codecs, tails, threads }: AnsweringData): Promise<Map<number, Opened>> {
  const suite = await openSuite(dir);
  const tasks = new Map<TaskName, SuiteTask>();
  const open: typeof openSession = (model, options) => openSession(model, { ...options, threads });
  // Codecs of several rates mostly share their synthesis, and then tails need not be open once for each.
  const shared: { readonly codec: Codec; readonly model: number; readonly tail: Tail }[] = [];
  const all = new Map<number, Opened>();
  for (const { bytes, tails: ofCodec } of codecs) {
    const codec = readCodec(bytes);
    const opened: { task: SuiteTask; tail: Tail }[] = [];
    for (const { task: name, model } of ofCodec) {
      const task = tasks.get(name) ?? (await openTask(suite, name));
      tasks.set(name, task);
      const known = shared.find((each) => each.model === model && sameSynthesis(each.codec, codec));
      const tail = known?.tail ?? (await openCodedTail(readGraph(tails[model]), codec, open));
      if (!known) shared.push({ codec, model, tail });
      opened.push({ task, tail });
    }
    all.set(codec.id, { codec, tails: opened });
  }
  return all;
}

function sameSynthesis(a: Codec, b: Codec): boolean {
  const [one, other] = [a, b].map(({ entries }) => entries.get('synthesis.onnx'));
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}

async function answer(all: ReadonlyMap<number, Opened>, { packet, question }: AnsweringRequest): Promise<Answered> {
  const id = openPacket(packet).codec;
  const opened = all.get(id);
  if (opened === undefined) {
    const known = [...all.keys()].map(identity).join(', ');
    throw new IsthmusError(
      'PACKET_FOREIGN',
      `the packet was made by codec ${identity(id)}, and the codecs here are ${known}; use one of them`,
    );
  }
  let start = performance.now();
  const lap = () => {
    const now = performance.now();
    const ms = now - start;
    start = now;
    return ms;
  };
  const coded = opened.codec.decode(packet);
  const decodeMs = lap();
  const answers: Record<string, unknown> = {};
  const tailMs: Partial<Record<TaskName, number>> = {};
  for (const { task, tail } of opened.tails) {
    if (task.name === 'vqa' && question === null) continue;
    const asked = task.name === 'vqa' ? question : null;
    [[answers[task.name]]] = await task.answer(tail, coded, [[asked]]);
    tailMs[task.name] = lap();
  }
  return { codec: identity(id), bytes: packet.length, answers, times: { queueMs: 0, decodeMs, tailMs } };
}

try {
  const all = await openAll(workerData as AnsweringData);
  port.on('message', (request: AnsweringRequest) => {
    answer(all, request).then(
      (answered) => reply({ answered }),
      (thrown) => reply(failure(thrown)),
    );
  });
  reply({ opened: true });
} catch (thrown) {
  reply(failure(thrown));
}
