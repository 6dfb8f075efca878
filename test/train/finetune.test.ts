import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Graph, mainGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import type { InputSpec } from '../../src/tasks/index.ts';
import {
  type Finetuned,
  type FinetuneJob,
  finetune,
  holdOut,
  type Picture,
  parseFinetuneRecipe,
  picturesByClass,
  readPictures,
} from '../../src/train/index.ts';
import { CLASSES, classFolders, SIDE, smallClassifier } from './small-classifier.ts';

const INPUT: InputSpec = {
  name: 'pixels',
  width: SIDE,
  height: SIDE,
  layout: 'NCHW',
  order: 'RGB',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

let dir: string;
let pictures: Picture[];
let validation: Picture[];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-finetune-'));
  await classFolders(dir, 20);
  const found = await picturesByClass(dir);
  expect(found.classes).toEqual(CLASSES);
  const { rest, heldOut } = holdOut(await readPictures(found.pictures, INPUT), 0.3, 1);
  [pictures, validation] = [rest, heldOut];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(recipe: Record<string, unknown> = {}, job: Partial<FinetuneJob> = {}): Promise<Finetuned> {
  return finetune({
    recipe: parseFinetuneRecipe({
      steps: 60,
      batch: 12,
      rate: 0.03,
      decay: 0,
      augmentation: null,
      smoothing: 0,
      ...recipe,
    }),
    graph: smallClassifier(),
    name: 'small',
    input: INPUT,
    pictures,
    validation,
    classes: CLASSES,
    open: openOnnxRuntimeNode,
    threads: 1,
    ...job,
  });
}

const failure = (attempt: Promise<unknown>) =>
  attempt.then(
    () => ({ code: 'none', message: '' }),
    (thrown: Error & { code: string }) => ({ code: thrown.code, message: thrown.message }),
  );
const initializers = (graph: Graph) =>
  Object.fromEntries(
    mainGraph(graph).initializer.map(({ name, rawData }) => [name, Buffer.from(rawData).toString('hex')]),
  );

describe('fine-tuning', () => {
  it('learns the classes, and says what it did on the card', async () => {
    const { before, after, card, weights, graph } = await run();
    expect(before?.top1).toBeLessThan(0.7);
    expect(after?.top1).toBeGreaterThan(0.9);
    expect(after?.loss).toBeLessThan(before?.loss as number);
    expect(weights).toEqual({ tensors: 6, parameters: 162 + 6 + 6 + 6 + 18 + 3 });
    expect(card).toContain('# small, fine-tuned');
    expect(card).toContain('BatchNormalization kept its statistics');
    expect(card).toMatch(/\| after \| \d+\.\d\d % \|/);
    expect(card).toContain('Classes in order: blue, green, red.');

    const session = await openOnnxRuntimeNode(writeGraph(graph));
    expect(session.outputs.map(({ name }) => name)).toEqual(['logits']);
    await session.release();
  });

  it('changes the weights that it trains and nothing else', async () => {
    const { graph } = await run({ steps: 2, weights: ['head*'] });
    const [old, now] = [initializers(smallClassifier()), initializers(graph)];
    const changed = Object.keys(old).filter((name) => old[name] !== now[name]);
    expect(changed).toEqual(['head.weight', 'head.bias']);
    expect(writeGraph(graph).length).toBe(writeGraph(smallClassifier()).length);
  });

  it('trains from random weights, with averages, several batches a step and varied pictures', async () => {
    const recipe = {
      init: 'random',
      average: 0.9,
      accumulate: 2,
      augmentation: {},
      smoothing: 0.1,
      optimizer: 'sgd',
      clip: 1,
    };
    const { after, card } = await run({ ...recipe, rate: 0.3 });
    expect(after?.top1).toBeGreaterThan(0.9);
    expect(card).toContain('trained from random weights');
    expect(card).toContain('moving average');
  });

  it('takes logits from before a Softmax, and gives the same bits twice', async () => {
    const [plain, soft] = [
      await run({ steps: 5 }),
      await run({ steps: 5 }, { graph: smallClassifier({ ending: 'Softmax' }) }),
    ];
    expect(initializers(soft.graph)).toEqual(initializers(plain.graph));
  });

  it('takes models of a fixed batch', async () => {
    const { after } = await run({ steps: 5 }, { graph: smallClassifier({ batch: 12 }) });
    expect(after?.top1).toBeGreaterThan(0);
  });
});

describe('what cannot be trained', () => {
  it('says which labels, classes, outputs and batches do not go together', async () => {
    const odd = [...pictures, { ...pictures[0], label: 7 }];
    const unlabelled = [{ path: pictures[0].path, hash: pictures[0].hash }];
    const wrong: [Partial<FinetuneJob>, string, RegExp][] = [
      [{ pictures: odd }, 'DATA_INVALID', /label 7.*'logits' has 3 classes.*0 to 2/],
      [{ pictures: unlabelled }, 'DATA_INVALID', /has no label/],
      [{ classes: ['a', 'b'] }, 'DATA_INVALID', /2 folders.*3 classes/],
      [{ logits: 'none' }, 'INVALID_ARGUMENT', /'none'.*'logits'/],
      [{ logits: 'c' }, 'INVALID_ARGUMENT', /4 axes/],
      [{ graph: smallClassifier({ batch: 8 }) }, 'INVALID_ARGUMENT', /batches of 8, not of 12/],
    ];
    for (const [job, code, message] of wrong) {
      const failed = await failure(run({}, job));
      expect(failed.code).toBe(code);
      expect(failed.message).toMatch(message);
    }
  });

  it('refuses recipes with the place at fault', async () => {
    for (const recipe of [
      { steps: 0 },
      { warmup: 60 },
      { init: 'none' },
      { unknown: 1 },
      { augmentation: { mirror: 2 } },
    ]) {
      expect((await failure((async () => run(recipe))())).code).toBe('INVALID_ARGUMENT');
    }
  });
});
