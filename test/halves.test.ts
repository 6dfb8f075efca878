import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTransforms, rawCodec } from '../src/codec/index.ts';
import { openDevice } from '../src/device.ts';
import { openHalves } from '../src/halves.ts';
import { cutNetwork, openNetwork } from '../src/network.ts';
import { writeGraph } from '../src/onnx/index.ts';
import { type OpenSession, openOnnxRuntimeNode } from '../src/runtime/index.ts';
import { openTail, prepare } from '../src/tasks/index.ts';
import { failure } from './runtime/contract.ts';
import { TINY_SOURCE, tinyLearned } from './tasks/tiny-learned.ts';
import { makeTinySuite, TINY_CUT } from './tasks/tiny-suite.ts';

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-halves-'));
  await makeTinySuite(dir, 7, { images: 2, splits: ['val'] });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The runtime, and how many sessions it has open. */
function counted(): { open: OpenSession; sessions: () => number } {
  let sessions = 0;
  return {
    async open(model, options) {
      const session = await openOnnxRuntimeNode(model, options);
      sessions++;
      return {
        ...session,
        async release() {
          sessions--;
          await session.release();
        },
      };
    },
    sessions: () => sessions,
  };
}

const picture = () => join(dir, 'images/val/0000.png');

describe('the two halves', () => {
  it.each([
    ['one session of head and analysis, one of synthesis and tail', false, 2],
    ['a session for each graph where they do not chain', true, 4],
  ])('with a learned codec: %s, and the answer of all steps by hand', async (_, apart, opened) => {
    const network = await openNetwork(dir, 'classification');
    const codec = tinyLearned(apart);
    const { open, sessions } = counted();
    const { device, edge } = await openHalves(network, codec, open);
    expect(sessions()).toBe(opened);
    const packet = await device.encode(picture());
    const answer = await edge.answer(packet);
    await device.release();
    await edge.release();
    expect(sessions()).toBe(0);

    const { head, tail } = cutNetwork(network.graph, [TINY_CUT], network.input.name);
    const session = await openOnnxRuntimeNode(writeGraph(head));
    const feature = await session.run({ [network.input.name]: await prepare(picture(), network.input) });
    const transforms = await openTransforms(codec, openOnnxRuntimeNode);
    const byHand = codec.encode(await transforms.analyze([feature[TINY_CUT]]));
    expect(byHand).toEqual(packet);
    const received = await transforms.synthesize(codec.decode(byHand));
    const plain = await openTail(tail, [TINY_CUT], openOnnxRuntimeNode);
    const [[wanted]] = await network.task.answer(plain, received, [[null]]);
    expect(answer.index).toBe(wanted.index);
    for (const [i, { probability }] of wanted.top.entries()) {
      expect(answer.top[i].probability).toBeCloseTo(probability, 5);
    }
    for (const each of [session, transforms, plain]) await each.release();
  });

  it('with a learned codec: the synthesis runs once for all tokens of a caption', async () => {
    const network = await openNetwork(dir, 'captioning');
    for (const [codec, opened] of [
      [tinyLearned(), 3],
      [rawCodec('raw-f32', TINY_SOURCE), 3],
      [tinyLearned(true), 5],
    ] as const) {
      const { open, sessions } = counted();
      const { device, edge } = await openHalves(network, codec, open);
      expect(sessions()).toBe(opened);
      const { caption } = await edge.answer(await device.encode(picture()));
      expect(caption).not.toBe('');
      await device.release();
      await edge.release();
      expect(sessions()).toBe(0);
    }
  });

  it('are refused where the codec is for another cut, before anything is opened', async () => {
    const { graph, input } = await openNetwork(dir, 'classification');
    const { head } = cutNetwork(graph, [TINY_CUT], input.name);
    const other = rawCodec('raw-f32', { features: [{ ...TINY_SOURCE.features[0], name: 'elsewhere' }] });
    const { open, sessions } = counted();
    await expect(openDevice({ input, head, codec: other, open })).rejects.toEqual(failure('INVALID_ARGUMENT'));
    expect(sessions()).toBe(0);
  });

  it('open nothing for good where a part of them cannot be opened', async () => {
    const network = await openNetwork(dir, 'classification');
    const { open, sessions } = counted();
    // Head, analysis, tail and synthesis, in this order.
    for (const opened of [1, 2, 3]) {
      let left = opened;
      const failing: OpenSession = async (model, options) => {
        if (left-- === 0) throw new Error('no more');
        return open(model, options);
      };
      await expect(openHalves(network, tinyLearned(true), failing)).rejects.toThrow('no more');
      expect(left).toBe(-1);
      expect(sessions()).toBe(0);
    }
  });
});
