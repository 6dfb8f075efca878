import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { IsthmusError, messageOf } from '../errors.ts';
import type { NumericData } from '../tensor.ts';
import { reopenCodec } from './file.ts';
import type { ThreadData, ThreadReply, ThreadRequest } from './parallel-decoder.ts';

/** A thread that `openParallelDecoder` starts: opens the codec, then answers one request after the other. */
const port = parentPort as MessagePort;

function answer(work: () => ThreadReply): void {
  try {
    const reply = work();
    const buffers = 'tensors' in reply ? reply.tensors.map(({ data }) => (data as NumericData).buffer) : [];
    port.postMessage(reply, [...new Set(buffers as ArrayBuffer[])]);
  } catch (thrown) {
    const code = thrown instanceof IsthmusError ? thrown.code : 'RUNTIME_RUN';
    port.postMessage({ failure: { code, message: messageOf(thrown) } } satisfies ThreadReply);
  }
}

answer(() => {
  const { body } = reopenCodec((workerData as ThreadData).entries);
  port.on('message', (request: ThreadRequest) =>
    answer(() => {
      if ('body' in request) return { tensors: body.decode(request.body) };
      const tensors = request.tensors.map((buffer) => new Float32Array(buffer));
      body.pieces?.decode(request.piece, request.bytes, tensors);
      return { done: true };
    }),
  );
  return { done: true };
});
