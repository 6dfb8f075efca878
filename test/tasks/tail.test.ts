import { describe, expect, it } from 'vitest';
import { type Graph, writeGraph } from '../../src/onnx/index.ts';
import { type OpenSession, openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { captioning, openTail, type Tail } from '../../src/tasks/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { generator, TINY, tinyCaptioning, tinyClassification, tinyTrunk, tinyVqa } from './tiny-graphs.ts';

const random = generator(3);
const numbers = (shape: number[]): Tensor => {
  const length = shape.reduce((product, side) => product * side, 1);
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length }, () => random() * 2 - 1),
  );
};
const features = numbers([3, TINY.tokens, TINY.width]);
const tokens = tensor('int64', [3, 4], BigInt64Array.from([1n, 5n, 6n, 7n, 1n, 4n, 4n, 0n, 1n, 9n, 0n, 0n]));

/** Counts the sessions that are open. */
function counting(): { open: OpenSession; opened: () => number; left: () => number } {
  let [opened, left] = [0, 0];
  return {
    opened: () => opened,
    left: () => left,
    open: async (model) => {
      const session = await openOnnxRuntimeNode(model, { threads: 1 });
      opened++;
      left++;
      return {
        ...session,
        run: (feeds, fetches) => session.run(feeds, fetches),
        release: async () => {
          left--;
          await session.release();
        },
      };
    },
  };
}

async function whole(graph: Graph, feeds: Record<string, Tensor>): Promise<Tensor> {
  const session = await openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
  const { logits } = await session.run(feeds);
  await session.release();
  return logits;
}

function expectNear(a: Tensor, b: Tensor): void {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  for (let i = 0; i < x.length; i++) expect(Math.abs(x[i] - y[i])).toBeLessThanOrEqual(1e-5 * (1 + Math.abs(y[i])));
}

/** The last position of logits `[rows, length, width]`; others as they are. */
function lastOf({ dtype, shape, data }: Tensor): Tensor {
  if (shape.length < 3) return { dtype, shape, data };
  const [rows, length, width] = shape;
  const kept = (data as Float32Array).filter((_, i) => Math.floor(i / width) % length === length - 1);
  return tensor(dtype, [rows, 1, width], kept);
}

describe('a tail', () => {
  it('without tokens is run whole', async () => {
    const graph = tinyClassification(random, 12);
    const sessions = counting();
    const tail = await openTail(graph, ['features'], sessions.open);
    expectNear(await tail.logits(await tail.begin([features])), await whole(graph, { features }));
    expect(sessions.opened()).toBe(1);
    await tail.release();
    expect(sessions.left()).toBe(0);
  });

  it('with tokens computes keys and values of the feature once, a row of state an image', async () => {
    for (const graph of [tinyCaptioning(random, 17), tinyVqa(random, 20, 9)]) {
      const sessions = counting();
      const tail = await openTail(graph, ['features'], sessions.open);
      const state = await tail.begin([features]);
      expect(sessions.opened()).toBe(2);
      expect(state.every(({ shape }) => shape[0] === 3)).toBe(true);
      const expected = await whole(graph, { features, tokens });
      expectNear(await tail.logits(state, tokens), lastOf(expected));
      await tail.release();
      expect(sessions.left()).toBe(0);
    }
  });

  it('gives captions that the whole graph gives', async () => {
    const graph = tinyCaptioning(random, 17);
    const task = captioning({ vocabulary: Array.from({ length: 17 }, (_, i) => `word${i}`), maxTokens: 8 });
    const session = await openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
    const plain: Tail = {
      begin: async (feature) => feature,
      logits: async ([state], given) => (await session.run({ features: state, tokens: given as Tensor })).logits,
      release: () => session.release(),
    };
    const tail = await openTail(graph, ['features'], openOnnxRuntimeNode, { threads: 1 });
    const asks = [[null], [null], [null]];
    const captions = (given: Tail) => task.answer(given, [features], asks).then((all) => all.map(([a]) => a.caption));
    expect(await captions(tail)).toEqual(await captions(plain));
    await Promise.all([tail.release(), plain.release()]);
  });

  it('names inputs and outputs that do not fit', async () => {
    const graph = tinyVqa(random, 20, 9);
    const refused = (given: Graph, names: string[]) => openTail(given, names, openOnnxRuntimeNode);
    await expect(refused(graph, ['feature'])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('no input feature; it has tokens, features'),
    });
    await expect(refused(graph, ['tokens'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refused(tinyTrunk(random), [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const tail = await openTail(graph, ['features'], openOnnxRuntimeNode);
    await expect(tail.begin([])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await tail.release();
  });

  it('that half opens leaves no session behind', async () => {
    const sessions = counting();
    const open: OpenSession = async (model, options) => {
      if (sessions.opened() === 1) throw new Error('no more');
      return sessions.open(model, options);
    };
    await expect(openTail(tinyVqa(random, 20, 9), ['features'], open)).rejects.toThrow('no more');
    expect(sessions.left()).toBe(0);
  });
});
