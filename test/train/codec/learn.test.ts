import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTransforms, quantizeBy } from '../../../src/codec/index.ts';
import { bench, Cache } from '../../../src/evaluate/index.ts';
import { writeGraph } from '../../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../../src/runtime/index.ts';
import { openSuite, prepare, type Suite } from '../../../src/tasks/index.ts';
import type { Tensor } from '../../../src/tensor.ts';
import { type LearnJob, learnCodecs, readLog, suiteSource, TRAIN_RECIPE } from '../../../src/train/index.ts';
import { makeTinySuite, TINY_CUT } from '../../tasks/tiny-suite.ts';

let root: string;
let suite: Suite;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-learn-'));
  await makeTinySuite(join(root, 'tiny'), 3);
  suite = await openSuite(join(root, 'tiny'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const RECIPE = {
  suite: 'tiny',
  cut: 'after block 1',
  transform: { kind: 'tokens', group: 2, components: 24, prefixComponents: 8, synthesisBlocks: 1 },
  quantizer: { bytes: 20, range: [0.7, 1.4], steps: [0.8, 1.3] },
  losses: { sensitive: 0.1, feature: 0.1 },
  schedule: { steps: 6, batch: 4, warmup: 1, checkpoint: 2 },
  start: 16,
};

async function job(name: string, changes: object = {}): Promise<LearnJob> {
  const recipe = TRAIN_RECIPE.parse({ ...RECIPE, ...changes });
  return {
    recipe,
    ...(await suiteSource(suite, TINY_CUT, 'train')),
    cut: TINY_CUT,
    name: 'tiny',
    cache: new Cache(join(root, 'cache')),
    files: { checkpoint: join(root, `${name}.safetensors`), log: join(root, `${name}.jsonl`) },
    open: openOnnxRuntimeNode,
    threads: 1,
  };
}

describe('learnCodecs', { timeout: 180_000 }, () => {
  it('ends in codecs for each step, coarser ones smaller, that a bench measures for all tasks', async () => {
    const stages = new Set<string>();
    const learned = await learnCodecs({ ...(await job('all')), onProgress: ({ stage }) => stages.add(stage) });
    expect([...stages]).toEqual(['pictures', 'features', 'words', 'answers', 'start', 'training', 'entropy models']);
    expect(learned.codecs.map(({ step }) => step)).toEqual([0.8, 1.3]);
    expect(learned.pictures).toBe(24);
    const { points } = await bench({
      dir: suite.dir,
      open: openOnnxRuntimeNode,
      ways: ['reference'],
      codecs: learned.codecs.map(({ step, codec }) => ({ name: `${step}`, codec })),
      cache: new Cache(join(root, 'cache')),
    });
    for (const task of ['classification', 'captioning', 'vqa']) {
      const [fine, coarse] = points.filter((point) => point.task === task && point.way === 'learned');
      expect(coarse.bytes).toBeLessThan(fine.bytes);
      expect(fine.bytes).toBeGreaterThan(9);
    }
    const lines = await readLog(join(root, 'all.jsonl'));
    const losses = lines.flatMap((line) => ('loss' in line ? [line] : []));
    expect(losses.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(Object.keys(losses[0].reported)).toEqual([
      'loss/classification',
      'loss/captioning',
      'loss/vqa',
      'loss/feature',
      'loss/sensitive',
      'rate/bits',
    ]);
  });

  it('gives the same bytes for the same seed, also when it was stopped and goes on', async () => {
    const whole = await learnCodecs(await job('whole'));
    const stopped = await job('stopped');
    const controller = new AbortController();
    const stopping = learnCodecs({
      ...stopped,
      signal: controller.signal,
      onProgress: ({ stage, done }) => stage === 'training' && done === 3 && controller.abort(),
    });
    await expect(stopping).rejects.toMatchObject({ code: 'ABORTED' });
    const resumed = await learnCodecs({ ...stopped, resume: true });
    const other = await learnCodecs(await job('other', { seed: 2 }));
    expect(resumed.codecs.map(({ codec }) => codec.id)).toEqual(whole.codecs.map(({ codec }) => codec.id));
    expect(other.codecs.map(({ codec }) => codec.id)).not.toEqual(whole.codecs.map(({ codec }) => codec.id));
    await expect(learnCodecs({ ...(await job('stopped', { seed: 3 })), resume: true })).rejects.toMatchObject({
      code: 'CHECKPOINT_FOREIGN',
    });
  });

  it('quantizes at inference as the codec says: integers of the analysis come back from the packet', async () => {
    const { codecs } = await learnCodecs(await job('integers'));
    const { head } = await suiteSource(suite, TINY_CUT, 'train');
    const session = await openOnnxRuntimeNode(writeGraph(head.graph), { threads: 1 });
    const pixels = await prepare(join(suite.dir, 'images/val/0000.png'), suite.input);
    const feature = (await session.run({ pixels }))[TINY_CUT];
    await session.release();
    for (const { step, codec } of codecs) {
      const transforms = await openTransforms(codec, openOnnxRuntimeNode, { threads: 1 });
      const latents = (await transforms.analyze([feature])) as Tensor[];
      const decoded = codec.decode(codec.encode(latents));
      for (const [i, { data }] of decoded.entries()) {
        const integers = quantizeBy(step, latents[i].data as Float32Array);
        expect(Array.from(data as Float32Array)).toEqual(Array.from(integers, (each) => Math.fround(each * step)));
      }
      const [back] = await transforms.synthesize(decoded);
      expect(back.shape).toEqual(feature.shape);
      await transforms.release();
    }
  });

  it.each([
    ['a group that does not divide the grid', { transform: { kind: 'tokens', group: 3 } }, 'INVALID_ARGUMENT'],
    ['a task that there is not', { losses: { tasks: { ranking: 1 } } }, 'INVALID_ARGUMENT'],
    ['no task that counts', { losses: { tasks: { vqa: 0 } } }, 'INVALID_ARGUMENT'],
    ['a learning rate that leads nowhere', { schedule: { ...RECIPE.schedule, rate: 1e30 } }, 'TRAINING_DIVERGED'],
  ])('refuses %s', async (_, changes, code) => {
    await expect(learnCodecs(await job('bad', changes))).rejects.toMatchObject({ code });
  });

  it('tells of a cut that does not exist', async () => {
    await expect(suiteSource(suite, 'nowhere', 'train')).rejects.toThrow(/nowhere/);
  });

  it('skips an unreadable picture, and stops where there are too many', async () => {
    const start = await job('unreadable');
    const pictures = [...start.pictures, { path: join(root, 'none.png') }];
    await expect(learnCodecs({ ...start, pictures })).rejects.toMatchObject({ code: 'TOO_MANY_BAD_INPUTS' });
    await expect(readFile(start.files?.checkpoint as string)).rejects.toThrow();
  });
});
