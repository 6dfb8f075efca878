import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AnsweringData } from '../../src/demo/answering.ts';
import { cutNetwork, openNetwork } from '../../src/network.ts';
import { writeGraph } from '../../src/onnx/index.ts';
import { ROOT } from '../runtime/built.ts';
import { TINY_CUT } from '../tasks/tiny-suite.ts';
import { openNodePath, pictureOf, type Served, serveTiny } from './served.ts';

/** A thread starts from a built file; `npm test` builds first. */
const { openAnswering } = (await import(
  /* @vite-ignore */ pathToFileURL(`${ROOT}dist/demo/answering.js`).href
)) as typeof import('../../src/demo/answering.ts');

let served: Served;
let data: AnsweringData;
let packet: Uint8Array;
beforeAll(async () => {
  served = await serveTiny(2);
  const { graph, input } = await openNetwork(served.dir, 'captioning');
  const { tail } = cutNetwork(graph, [TINY_CUT], input.name);
  const [codec] = served.codecs;
  const codecs = [{ bytes: codec.toBytes(), tails: [{ task: 'captioning', model: 0 }] }] as const;
  data = { dir: served.dir, codecs, tails: [writeGraph(tail)], threads: 1 };
  packet = await (await openNodePath(served.dir, [codec])).encode(codec.id, await pictureOf(served.dir, '0000.png'));
});
afterAll(() => served?.remove());

const never = new AbortController().signal;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (thrown: { code?: string; name?: string }) => thrown.code ?? thrown.name,
  );

it('refuses what comes when the queue is full, and forgets who gave up waiting', async () => {
  const answering = await openAnswering(data, { waiting: 2 });
  const gone = new AbortController();
  const request = { packet, question: null };
  const [first, second, third, fourth] = [never, gone.signal, never, never].map((signal) =>
    answering.answer(request, signal),
  );
  expect(answering.full).toBe(true);
  gone.abort(new DOMException('gone', 'AbortError'));
  expect(await codeOf(fourth)).toBe('BUSY');
  expect(await codeOf(second)).not.toBeNull();
  expect((await first).answers.captioning?.caption).toBe((await third).answers.captioning?.caption);
  expect((await third).times.queueMs).toBeGreaterThan(0);
  await answering.close();
});

it('gives up what takes too long, and answers again from a new thread', async () => {
  const answering = await openAnswering(data, { answerMs: 0 });
  const request = { packet, question: null };
  expect(await codeOf(answering.answer(request, never))).toBe('TIMED_OUT');
  expect(await codeOf(answering.answer(request, never))).toBe('TIMED_OUT');
  await answering.close();
  expect(await codeOf(answering.answer(request, never))).toBe('RUNTIME_RUN');
});

it('says why models do not open', async () => {
  await expect(openAnswering({ ...data, tails: [new Uint8Array(8)] })).rejects.toMatchObject({ code: 'ONNX_INVALID' });
});
