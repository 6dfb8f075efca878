import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { IsthmusError, messageOf } from '../errors.ts';
import { openOnnxRuntimeNode } from './onnxruntime-node.ts';
import { buffersOf, type ThreadData, type ThreadReply, type ThreadRequest } from './onnxruntime-node-worker.ts';
import type { Session } from './session.ts';

/** The thread that `openInWorker` starts: opens one model and answers requests one by one, until it is told to release. */
const port = parentPort as MessagePort;

const reply = (answer: ThreadReply, transfer: ArrayBuffer[] = []) => port.postMessage(answer, transfer);

function failure(thrown: unknown): ThreadReply {
  const code = thrown instanceof IsthmusError ? thrown.code : 'RUNTIME_RUN';
  return { failure: { code, message: messageOf(thrown) } };
}

async function answer(session: Session, request: ThreadRequest): Promise<void> {
  if (request === 'release') {
    await session.release();
    return reply({ released: true });
  }
  const results = await session.run(request.feeds, request.fetches);
  const tensors = request.fetches.map((name) => results[name]);
  reply({ results: tensors }, buffersOf(tensors));
}

try {
  const { model, options } = workerData as ThreadData;
  const session = await openOnnxRuntimeNode(model, options);
  port.on('message', (request: ThreadRequest) => {
    answer(session, request).catch((thrown) => reply(failure(thrown)));
  });
  reply({ opened: { runtime: session.runtime, inputs: session.inputs, outputs: session.outputs } });
} catch (thrown) {
  reply(failure(thrown));
}
