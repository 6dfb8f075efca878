import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { modelsOf, openSuite, openTask, readSplit, taskNames } from '../../src/tasks/index.ts';
import { makeTinySuite, TINY_CUT } from './tiny-suite.ts';

let root = '';
let good = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-suite-'));
  good = join(root, 'good');
  await makeTinySuite(good, 1, { images: 4 });
});
afterAll(() => rm(root, { recursive: true }));

type Json = ReturnType<typeof JSON.parse>;

let copies = 0;
/** A copy of the good suite with one JSON file changed. */
async function changed(file: string, change: (value: Json) => Json): Promise<string> {
  const dir = join(root, `copy-${copies++}`);
  await cp(good, dir, { recursive: true });
  const value = JSON.parse(await readFile(join(dir, file), 'utf8'));
  await writeFile(join(dir, file), JSON.stringify(change(value)));
  return dir;
}

const suiteWith = (change: (value: Json) => Json) => changed('suite.json', change).then((dir) => openSuite(dir));

describe('a suite', () => {
  it('is read with its input, cuts, tasks and models', async () => {
    const suite = await openSuite(good);
    expect(suite.name).toBe('tiny');
    expect(suite.input).toMatchObject({ name: 'pixels', width: 32, layout: 'NCHW', std: [0.5, 0.5, 0.5] });
    expect(taskNames(suite)).toEqual(['classification', 'captioning', 'vqa']);
    expect(suite.cuts).toEqual({ 'after block 1': [TINY_CUT], 'after block 2': ['features'] });
    expect(modelsOf(suite, 'vqa')).toEqual([`${good}/models/trunk.onnx`, `${good}/models/vqa.onnx`]);
  });

  it('has splits of images with asks and truths', async () => {
    const suite = await openSuite(good);
    for (const split of ['train', 'val']) {
      const classes = await readSplit(suite, 'classification', split);
      expect(classes).toHaveLength(4);
      expect(classes[1]).toMatchObject({
        image: `images/${split}/0001.jpg`,
        path: `${good}/images/${split}/0001.jpg`,
        asks: [null],
        truths: [expect.any(Number)],
      });
    }
    const captions = await readSplit(suite, 'captioning', 'val');
    expect(captions[0].asks).toEqual([null]);
    expect(captions[0].truths[0]).toHaveLength(5);
    const questions = await readSplit(suite, 'vqa', 'val');
    expect(questions[2].asks).toEqual(['what colour is it', 'how many', 'where is the square']);
    expect(questions[2].truths[1]).toMatchObject({ type: 'count', answers: [expect.any(String)] });
  });

  it("opens tasks with the split's metrics, the suite's score first", async () => {
    const suite = await openSuite(good);
    const names = async (task: 'captioning' | 'vqa' | 'classification', split?: string) => {
      const items = split === undefined ? undefined : await readSplit(suite, task, split);
      return (await openTask(suite, task, items)).metrics.map(({ name }) => name);
    };
    expect(await names('classification', 'val')).toEqual(['top1', 'top5']);
    expect(await names('captioning', 'val')).toEqual(['bleu4', 'bleu1', 'bleu2', 'bleu3', 'ciderD']);
    expect(await names('captioning')).toEqual(['bleu4', 'bleu1', 'bleu2', 'bleu3']);
    expect(await names('vqa', 'val')).toEqual(['accuracy', 'accuracy:colour', 'accuracy:count', 'accuracy:other']);
    const cider = await suiteWith((value) => {
      value.tasks.captioning.score = 'ciderD';
      return value;
    });
    const items = await readSplit(cider, 'captioning', 'val');
    expect((await openTask(cider, 'captioning', items)).metrics[0].name).toBe('ciderD');
  });

  it('may have one model for a task, a trunk not, and cuts of several tensors', async () => {
    const suite = await suiteWith(({ trunk: _, ...value }) => {
      value.tasks.vqa = { ...value.tasks.vqa, tail: undefined, model: 'models/vqa.onnx' };
      return { ...value, cuts: { two: ['a', 'b'] } };
    });
    expect(modelsOf(suite, 'vqa')).toEqual([`${suite.dir}/models/vqa.onnx`]);
    expect(modelsOf(suite, 'classification')).toEqual([`${suite.dir}/models/classification.onnx`]);
    expect(suite.cuts).toEqual({ two: ['a', 'b'] });
  });
});

describe('a bad suite', () => {
  const bad: readonly (readonly [string, (value: Json) => unknown, RegExp])[] = [
    ['an unknown task', (v) => ({ ...v, tasks: { ...v.tasks, detection: {} } }), /suite\.json at tasks.*detection/],
    ['no task', (v) => ({ ...v, tasks: {} }), /tasks: names no task/],
    ['no input', ({ input: _, ...v }) => v, /at input/],
    ['a side of zero', (v) => ({ ...v, input: { ...v.input, width: 0 } }), /at input\.width/],
    ['a deviation of zero', (v) => ({ ...v, input: { ...v.input, std: [1, 0, 1] } }), /at input\.std: must be above 0/],
    ['an unknown layout', (v) => ({ ...v, input: { ...v.input, layout: 'HWC' } }), /at input\.layout/],
    ['a path upwards', (v) => ({ ...v, trunk: '../trunk.onnx' }), /not a path within the folder/],
    ['a path upwards on the way', (v) => ({ ...v, trunk: 'models/../../trunk.onnx' }), /not a path within the folder/],
    ['an absolute path', (v) => ({ ...v, trunk: '/etc/passwd' }), /'\/etc\/passwd' is not a path within/],
    ['a drive', (v) => ({ ...v, trunk: 'C:\\trunk.onnx' }), /not a path within the folder/],
    [
      'tail and model',
      (v) => ({ ...v, tasks: { vqa: { ...v.tasks.vqa, model: 'm.onnx' } } }),
      /tasks\.vqa: needs either/,
    ],
    ['a list', () => [], /suite\.json: /],
    ['cuts that are numbers', (v) => ({ ...v, cuts: { a: 3 } }), /at cuts\.a/],
  ];

  it.each(bad)('with %s is refused with its place', async (_, change, message) => {
    const dir = await changed('suite.json', change);
    await expect(openSuite(dir)).rejects.toMatchObject({
      code: 'SUITE_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('without folder, file or JSON says so', async () => {
    await expect(openSuite(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(openSuite(join(good, 'images'))).rejects.toMatchObject({
      code: 'SUITE_INVALID',
      message: expect.stringContaining('suite.json: the file does not exist'),
    });
    const dir = await changed('suite.json', (v) => v);
    await writeFile(join(dir, 'suite.json'), '{ "name": ');
    await expect(openSuite(dir)).rejects.toMatchObject({ message: expect.stringContaining('is no JSON') });
    await expect(openSuite(good, { limits: { jsonBytes: 10 } })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  it('without a split, a task or a label says so', async () => {
    const suite = await openSuite(good);
    await expect(readSplit(suite, 'vqa', 'test')).rejects.toMatchObject({
      code: 'SUITE_INVALID',
      message: expect.stringContaining('vqa/test.json'),
    });
    for (const split of ['../val', '', 'a/b', '..', '.hidden']) {
      await expect(readSplit(suite, 'vqa', split)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    await expect(readSplit(suite, 'detection' as never, 'val')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('it has classification, captioning, vqa'),
    });
    await expect(readSplit(suite, 'constructor' as never, 'val')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const dir = await changed('classification/val.json', (v) => [...v, { image: 'images/val/0000.png', label: 12 }]);
    const other = await openSuite(dir);
    const items = await readSplit(other, 'classification', 'val');
    await expect(openTask(other, 'classification', items)).rejects.toMatchObject({
      code: 'SUITE_INVALID',
      message: expect.stringContaining('[4].label: is 12, and there are 12 labels'),
    });
  });

  it('with data of another form says where', async () => {
    const cases: readonly (readonly ['classification' | 'captioning' | 'vqa', (v: Json) => Json, RegExp])[] = [
      ['classification', (v) => v.map((e: Json) => ({ ...e, label: '3' })), /val\.json at \[0\]\.label/],
      ['classification', (v) => v.map((e: Json) => ({ ...e, image: '/x.png' })), /within the folder/],
      ['classification', () => [], /val\.json/],
      ['captioning', (v) => v.map((e: Json) => ({ ...e, captions: [] })), /\[0\]\.captions/],
      [
        'vqa',
        (v) => v.map((e: Json) => ({ ...e, questions: [{ question: 'what' }] })),
        /\[0\]\.questions\[0\]\.answers/,
      ],
    ];
    for (const [task, change, message] of cases) {
      const suite = await openSuite(await changed(`${task}/val.json`, change));
      await expect(readSplit(suite, task, 'val')).rejects.toMatchObject({
        code: 'SUITE_INVALID',
        message: expect.stringMatching(message),
      });
    }
    const scored = await suiteWith((v) => {
      v.tasks.vqa.score = 'f1';
      return v;
    });
    const items = await readSplit(scored, 'vqa', 'val');
    await expect(openTask(scored, 'vqa', items)).rejects.toMatchObject({
      code: 'SUITE_INVALID',
      message: expect.stringContaining("'f1' is none of accuracy"),
    });
  });

  it('of any JSON gives a typed error or a suite, nothing else', async () => {
    const dir = await changed('suite.json', (v) => v);
    const original = JSON.parse(await readFile(join(good, 'suite.json'), 'utf8'));
    const places = ['name', 'input', 'trunk', 'tasks', 'cuts'] as const;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), fc.jsonValue(), async (place, value) => {
        await writeFile(join(dir, 'suite.json'), JSON.stringify({ ...original, [place]: value }));
        const thrown = await openSuite(dir).then(
          () => undefined,
          (error) => error,
        );
        if (thrown === undefined) return;
        expect(thrown).toBeInstanceOf(IsthmusError);
        expect(thrown.code).toBe('SUITE_INVALID');
      }),
      { seed: 11, numRuns: 200 },
    );
  });
});
