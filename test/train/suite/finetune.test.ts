import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph, mainGraph, node, openGraph, saveGraph, tensorOf, writeGraph } from '../../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../../src/runtime/index.ts';
import { openSuite, openTask } from '../../../src/tasks/index.ts';
import { tensor } from '../../../src/tensor.ts';
import { finetuneSuite, SUITE_RECIPE, type SuiteJob } from '../../../src/train/index.ts';
import { readExamples } from '../../../src/train/suite/examples.ts';
import { openSuiteModels, partsOf } from '../../../src/train/suite/models.ts';
import { suiteObjective } from '../../../src/train/suite/objective.ts';
import { targetsOf } from '../../../src/train/suite/targets.ts';
import { makeTinySuite } from '../../tasks/tiny-suite.ts';

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-finetune-suite-'));
  await makeTinySuite(dir);
  await writePlaces();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** An auxiliary model with a choice of 3 for each of the 17 tokens, and data that leaves some out. */
async function writePlaces(): Promise<void> {
  const weight = Float32Array.from({ length: 16 * 3 }, (_, i) => Math.sin(i));
  await saveGraph(
    buildGraph({
      opset: 17,
      inputs: [{ name: 'features', dtype: 'float32', shape: ['batch', 17, 16] }],
      outputs: [{ name: 'place', dtype: 'float32', shape: ['batch', 17, 3] }],
      nodes: [node('MatMul', ['features', 'weight'], ['place'])],
      initializers: { weight: tensor('float32', [16, 3], weight) },
    }),
    join(dir, 'places.onnx'),
  );
  for (const split of ['train', 'val']) {
    const entries = JSON.parse(await readFile(join(dir, `classification/${split}.json`), 'utf8')) as {
      image: string;
    }[];
    const labelled = entries.map(({ image }, i) => {
      return { image, labels: { place: Array.from({ length: 17 }, (_, at) => ((at + i) % 4) - 1) } };
    });
    await writeFile(join(dir, `places.${split}.json`), JSON.stringify(labelled));
  }
}

const recipeOf = (recipe: Record<string, unknown> = {}) =>
  SUITE_RECIPE.parse({ steps: 40, batch: 8, rate: 0.01, questions: 2, decay: 0, ...recipe });
const PLACES = { places: { model: 'places.onnx', data: 'places.{split}.json' } };

async function run(recipe: Record<string, unknown> = {}, job: Partial<SuiteJob> = {}) {
  return finetuneSuite({
    suite: await openSuite(dir),
    recipe: recipeOf(recipe),
    open: openOnnxRuntimeNode,
    threads: 1,
    ...job,
  });
}

describe('training the models of a suite together', () => {
  it('learns three tasks from random weights, and scores the models as they are written', async () => {
    const losses: number[] = [];
    const trained = await run(
      { init: 'random', steps: 60, validation: 'train', auxiliary: PLACES },
      { onStep: ({ loss }) => losses.push(loss) },
    );
    expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]);
    expect(trained.models.map(({ file }) => file)).toEqual([
      'models/trunk.onnx',
      'models/classification.onnx',
      'models/captioning.onnx',
      'models/vqa.onnx',
      'places.onnx',
    ]);
    const untrained = await run({ init: 'random', steps: 1, rate: 1e-9, validation: 'train' });
    const top1 = ({ scores }: typeof trained) => scores[0].scores.top1;
    expect(top1(trained)).toBeGreaterThan(top1(untrained) + 20);
    expect(trained.scores.map(({ task, pictures }) => [task, pictures])).toEqual([
      ['classification', 24],
      ['captioning', 24],
      ['vqa', 24],
    ]);
  });

  it('gives the same bits stopped in between or not', async () => {
    const bytes = ({ models }: Awaited<ReturnType<typeof run>>) => models.map(({ graph }) => [...writeGraph(graph)]);
    const whole = await run({ steps: 6 });
    const path = join(dir, 'stopped.safetensors');
    const stop = new AbortController();
    const stopped = run(
      { steps: 6 },
      {
        checkpoint: { path, every: 1 },
        onStep: ({ step }) => step === 3 && stop.abort(),
        signal: stop.signal,
      },
    );
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    const resumed = await run({ steps: 6 }, { checkpoint: { path, every: 1, resume: true } });
    expect(bytes(resumed)).toEqual(bytes(whole));
  });

  it('leaves frozen weights as they were, and stores trained ones in half the bytes', async () => {
    const { models } = await run({ steps: 2, freeze: ['trunk/*'], store: 'float16' });
    const before = await readFile(join(dir, 'models/trunk.onnx'));
    expect(writeGraph(models[0].graph)).toEqual(new Uint8Array(before));
    const tail = await readFile(join(dir, 'models/vqa.onnx'));
    const weights = mainGraph(models[3].graph).initializer.filter(({ name }) => name.endsWith('.float16'));
    expect(weights.length).toBeGreaterThan(4);
    expect(writeGraph(models[3].graph).length).toBeLessThan(tail.length);
  });

  it('draws a new tail on a trunk as it is', async () => {
    const { models } = await run({ steps: 1, rate: 1e-9, init: ['vqa/*'] });
    const far = async (at: number, file: string) => {
      const before = mainGraph(await openGraph(join(dir, file))).initializer.map((proto) => tensorOf(proto));
      const after = mainGraph(models[at].graph).initializer.map((proto) => tensorOf(proto));
      return before.some(({ data }, i) =>
        data.some((value, k) => Math.abs(Number(value) - Number(after[i].data[k])) > 1e-3),
      );
    };
    expect(await far(0, 'models/trunk.onnx')).toBe(false);
    expect(await far(2, 'models/captioning.onnx')).toBe(false);
    expect(await far(3, 'models/vqa.onnx')).toBe(true);
  });

  it.each([
    [{ losses: { classification: 0, captioning: 0, vqa: 0 } }, /weight 0/],
    [{ auxiliary: { places: { model: 'places.onnx', data: 'none.{split}.json' } } }, /does not exist/],
    [{ split: 'none' }, /does not exist/],
    [{ weights: ['nothing/*'] }, /no weight fits/],
    [{ auxiliary: { places: { model: '../places.onnx', data: 'places.{split}.json' } } }, /within the folder/],
  ])('refuses %j', async (recipe, message) => {
    await expect(run(recipe)).rejects.toThrow(message);
  });
});

describe('the training graph of a suite', () => {
  it('gives the cross-entropies of the tails on their own', async () => {
    const suite = await openSuite(dir);
    const recipe = recipeOf({ auxiliary: PLACES });
    const models = await openSuiteModels(suite, recipe);
    const { graph, loss, choices } = suiteObjective(partsOf(models, suite, recipe));
    const tasks = await Promise.all(models.tasks.map(({ name }) => openTask(suite, name)));
    const examples = await readExamples(suite, 'train', tasks, recipe.auxiliary);
    const turns = [3, 4, 5].map((item) => ({ item, epoch: 0 }));
    const targets = targetsOf(examples, choices, { questions: 2, seed: 0 })(turns);
    const names = [loss, ...choices.flatMap((each) => [each.loss, each.right])];
    mainGraph(graph).output.length = 0;
    const pixels = tensor(
      'float32',
      [3, 3, 32, 32],
      Float32Array.from({ length: 9216 }, (_, i) => Math.cos(i)),
    );
    const session = await openOnnxRuntimeNode(
      writeGraph({
        ...graph,
        graph: {
          ...mainGraph(graph),
          output: names.map((name) => ({ ...mainGraph(graph).input[0], type: undefined, name })),
        },
      } as never),
    );
    const found = await session.run({ pixels, ...targets });
    await session.release();
    const value = (name: string) => Number(found[name].data[0]);

    const trunk = await openOnnxRuntimeNode(join(dir, 'models/trunk.onnx'));
    const { features } = await trunk.run({ pixels });
    await trunk.release();
    for (const { name, labels, weights, tokens, loss: own, classes, part } of choices) {
      const model = await openOnnxRuntimeNode(join(dir, part === 'places' ? 'places.onnx' : `models/${part}.onnx`));
      const asked = tokens === undefined ? undefined : targets[tokens];
      const repeat = asked?.shape.length === 3 ? asked.shape[1] : 1;
      const rows = Array.from({ length: 3 * repeat }, (_, row) =>
        (features.data as Float32Array).slice(Math.floor(row / repeat) * 272, (Math.floor(row / repeat) + 1) * 272),
      );
      const repeated = new Float32Array(rows.length * 272);
      for (const [i, row] of rows.entries()) repeated.set(row, i * 272);
      const { [model.outputs[0].name]: logits } = await model.run({
        features: tensor('float32', [rows.length, 17, 16], repeated),
        ...(asked && { tokens: tensor('int64', [rows.length, asked.shape.at(-1) as number], asked.data) }),
      });
      await model.release();
      let sum = 0;
      const values = logits.data as Float32Array;
      for (const [i, label] of [...(targets[labels].data as BigInt64Array)].entries()) {
        const row = values.slice(i * classes, (i + 1) * classes);
        const norm = Math.log(row.reduce((total, each) => total + Math.exp(each), 0));
        sum += Number(targets[weights].data[i]) * (norm - row[Number(label)]);
      }
      expect(value(own), name).toBeCloseTo(sum / 3, 4);
    }
    expect(value(loss)).toBeCloseTo(
      choices.reduce((sum, each) => sum + value(each.loss), 0),
      4,
    );
  });

  it('asks the same in the same epoch, and something else in another', async () => {
    const suite = await openSuite(dir);
    const recipe = recipeOf();
    const models = await openSuiteModels(suite, recipe);
    const { choices } = suiteObjective(partsOf(models, suite, recipe));
    const tasks = await Promise.all(models.tasks.map(({ name }) => openTask(suite, name)));
    const examples = await readExamples(suite, 'train', tasks, {});
    const targets = targetsOf(examples, choices, { questions: 2, seed: 0 });
    const turns = (epoch: number) => examples.map((_, item) => ({ item, epoch }));
    expect(targets(turns(1))).toEqual(targets(turns(1)));
    expect(targets(turns(1))).not.toEqual(targets(turns(2)));
    // Over all pictures the weights of a task sum to the number of pictures.
    for (const { weights } of choices) {
      const all = (targets(turns(0))[weights].data as Float32Array).reduce((sum, each) => sum + each, 0);
      expect(all).toBeCloseTo(examples.length, 3);
    }
  });
});
