import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { IsthmusError, messageOf } from '../errors.ts';
import { readGraph } from '../onnx/index.ts';
import { openSession } from '../runtime/index.ts';
import { openSuite, openTail, openTask } from '../tasks/index.ts';
import type { AnswererData, AnswererReply, AnswererRequest } from './answerer.ts';
import type { AnyTask } from './measure.ts';

/** The thread that `openAnswerers` starts: opens a task with its model, and answers one request after the other. */
const port = parentPort as MessagePort;
const reply = (message: AnswererReply) => port.postMessage(message);

function failure(thrown: unknown): AnswererReply {
  const code = thrown instanceof IsthmusError ? thrown.code : 'RUNTIME_RUN';
  return { failure: { code, message: messageOf(thrown) } };
}

try {
  const { dir, name, model, features } = workerData as AnswererData;
  const task = (await openTask(await openSuite(dir), name)) as AnyTask;
  let runtime = '';
  const tail = await openTail(readGraph(model), features, async (bytes) => {
    const session = await openSession(bytes, { threads: 1 });
    runtime = session.runtime;
    return session;
  });
  port.on('message', ({ feature, asks }: AnswererRequest) => {
    task.answer(tail, feature, asks).then(
      (answers) => reply({ answers }),
      (thrown) => reply(failure(thrown)),
    );
  });
  reply({ opened: runtime });
} catch (thrown) {
  reply(failure(thrown));
}
