import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode, type Session } from '../../src/runtime/index.ts';
import {
  gatherRows,
  type Item,
  modelsOf,
  openSuite,
  openTail,
  openTask,
  prepare,
  readSplit,
  type Suite,
  type SuiteAnswer,
  type SuiteTask,
  stackRows,
  type TaskName,
} from '../../src/tasks/index.ts';
import type { Tensor } from '../../src/tensor.ts';
import { SHARED } from '../shared.ts';
import { scoreOf } from './metrics/score.ts';

/** Points by which a score may differ from the reference, which PyTorch computed. */
const TOLERANCE = 0.2;
const BATCH = 16;

// Quick on a quiet machine (under a minute for all three); the limit is for a busy one.
describe.skipIf(!SHARED)('the references of the photos are met on val', { timeout: 600_000 }, () => {
  let suite: Suite;
  let trunk: Session;
  beforeAll(async () => {
    suite = await openSuite(join(SHARED as string, 'photos'));
    trunk = await openOnnxRuntimeNode(modelsOf(suite, 'vqa')[0]);
  });
  afterAll(() => trunk.release());

  const batches = <T>(list: readonly T[]) =>
    Array.from({ length: Math.ceil(list.length / BATCH) }, (_, i) => list.slice(i * BATCH, (i + 1) * BATCH));

  async function featuresOf(items: readonly Item[]): Promise<Tensor> {
    const parts: Tensor[] = [];
    for (const batch of batches(items)) {
      const pixels = stackRows(await Promise.all(batch.map(({ path }) => prepare(path, suite.input))));
      parts.push((await trunk.run({ pixels })).features);
    }
    return stackRows(parts);
  }

  async function answersOf(task: TaskName, opened: SuiteTask, items: readonly Item[], features: Tensor) {
    const tail = await openTail(await openGraph(modelsOf(suite, task)[1]), ['features'], openOnnxRuntimeNode);
    const answers: SuiteAnswer[][] = [];
    for (const batch of batches(items.map((_, i) => i))) {
      const asks = batch.map((i) => items[i].asks);
      answers.push(...(await opened.answer(tail, [gatherRows(features, batch)], asks)));
    }
    await tail.release();
    return answers;
  }

  function scores({ metrics }: SuiteTask, items: readonly Item[], answers: readonly SuiteAnswer[][]) {
    const pairs = items.flatMap(({ truths }, i) => truths.map((truth, j) => [answers[i][j], truth] as const));
    return Object.fromEntries(metrics.map((metric) => [metric.name, scoreOf(metric, pairs)]));
  }

  function expectScores(measured: Record<string, number>, reference: Record<string, number>): void {
    for (const [name, score] of Object.entries(reference)) {
      expect(Math.abs(measured[name] - score), `${name} ${measured[name]}`).toBeLessThanOrEqual(TOLERANCE);
    }
  }

  it('classification', async () => {
    const items = await readSplit(suite, 'classification', 'val');
    const task = await openTask(suite, 'classification', items);
    const answers = await answersOf('classification', task, items, await featuresOf(items));
    expectScores(scores(task, items, answers), { top1: 83.5, top5: 97.17 });
  });

  it('VQA, and blind', async () => {
    const items = await readSplit(suite, 'vqa', 'val');
    const task = await openTask(suite, 'vqa', items);
    const features = await featuresOf(items);
    expectScores(scores(task, items, await answersOf('vqa', task, items, features)), {
      accuracy: 42.71,
      'accuracy:other': 52.02,
      'accuracy:colour': 27.47,
      'accuracy:count': 12.26,
    });
    const nothing = { ...features, data: new Float32Array(features.data.length) };
    expectScores(scores(task, items, await answersOf('vqa', task, items, nothing)), {
      accuracy: 27.13,
      'accuracy:other': 32.46,
      'accuracy:colour': 18.68,
      'accuracy:count': 9.43,
    });
  });

  it('captioning, greedy and with a beam of three', async () => {
    const items = await readSplit(suite, 'captioning', 'val');
    const beam = await openTask(suite, 'captioning', items);
    const features = await featuresOf(items);
    const found = await answersOf('captioning', beam, items, features);
    expectScores(scores(beam, items, found), { bleu1: 57.86, bleu2: 40.44, bleu3: 27.7, bleu4: 18.74, ciderD: 45.22 });

    const { captioning } = suite.tasks;
    const alone = { ...suite, tasks: { captioning: captioning && { ...captioning, beam: 1 } } };
    const greedy = await openTask(alone, 'captioning', items);
    const answers = await answersOf('captioning', greedy, items, features);
    expectScores(scores(greedy, items, answers), {
      bleu1: 56.73,
      bleu2: 38.8,
      bleu3: 25.67,
      bleu4: 17.15,
      ciderD: 40.72,
    });
    expect(answers.slice(0, 6).map(([first]) => 'caption' in first && first.caption)).toEqual([
      'a man in a white shirt and white shirt is standing on the beach',
      'a man in a blue shirt is jumping into the water',
      'a man is standing on a rocky mountain',
      'a group of people are standing in front of a crowd',
      'a boy in a red shirt is playing with a ball',
      'a black dog is running through the grass',
    ]);
  });
});
