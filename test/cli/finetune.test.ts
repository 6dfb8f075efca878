import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGraph, saveGraph } from '../../src/onnx/index.ts';
import { makeTinySuite } from '../tasks/tiny-suite.ts';
import { CLASSES, classFolders, smallClassifier } from '../train/small-classifier.ts';
import { isthmus, MAIN } from './run.ts';

let dir: string;
const run = (...args: string[]) => isthmus(['finetune', ...args], dir);
const read = (name: string) => readFileSync(join(dir, name));
const steps = (name: string) =>
  read(name)
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { step: number; loss?: number });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-finetune-'));
  await saveGraph(smallClassifier(), join(dir, 'small.onnx'));
  await classFolders(join(dir, 'pictures'), 10);
  const rows = CLASSES.flatMap((name, label) =>
    readdirSync(join(dir, 'pictures', name)).map((file) => `pictures/${name}/${file},${label}`),
  );
  writeFileSync(join(dir, 'list.csv'), ['image,label', ...rows].join('\n'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const QUICK = ['--steps', '12', '--batch', '8', '--rate', '0.02', '--no-augment', '--threads', '1'];

describe('finetune', () => {
  it('writes model, log, curve and card, and tells the scores', async () => {
    const options = ['--measure-every', '6', '--hold-out', '0.2', '--json'];
    const { out, err, status } = run('small.onnx', '--data', 'pictures', '--out', 'a.onnx', ...QUICK, ...options);
    expect(err).toBe('');
    expect(status).toBe(0);
    const made = JSON.parse(out);
    expect(made).toMatchObject({ file: 'a.onnx', steps: 12, pictures: 24, validation: 6, tensors: 6, parameters: 201 });
    for (const score of [made.before, made.after]) expect(score.top1).toBeGreaterThanOrEqual(0);
    await openGraph(join(dir, 'a.onnx'));
    expect(read('a.onnx').length).toBe(read('small.onnx').length);
    expect(read('a.card.md').toString()).toContain('# small.onnx, fine-tuned');
    expect(read('a.loss.svg').toString()).toMatch(/^<svg/);
    expect(steps('a.log.jsonl').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 12]);
    expect(existsSync(join(dir, 'a.checkpoint.safetensors'))).toBe(false);
  });

  it('takes a list, and another one to score on', () => {
    const { out, status } = run(
      'small.onnx',
      '--data',
      'list.csv',
      '--validation',
      'list.csv',
      '--out',
      'b.onnx',
      ...QUICK,
    );
    expect(status).toBe(0);
    expect(out).toMatch(
      /^b\.onnx: 201 parameters trained for 12 steps on 30 pictures; top-1 on 30 others .* before, .* after\n$/,
    );
  });

  it('stopped by Ctrl-C goes on with --resume to the same model', async () => {
    const args = ['small.onnx', '--data', 'pictures', ...QUICK, '--steps', '200', '--quiet'];
    expect(run(...args, '--out', 'through.onnx').status).toBe(0);
    const child = spawn(process.execPath, [MAIN, 'finetune', ...args, '--out', 'stopped.onnx'], { cwd: dir });
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    const log = join(dir, 'stopped.log.jsonl');
    const watch = setInterval(() => {
      // Once: a second Ctrl-C ends the process at once.
      if (existsSync(log) && readFileSync(log).length > 0 && child.kill('SIGINT')) clearInterval(watch);
    }, 5);
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect(status).toBe(130);
    expect(err).toMatch(/stopped after step \d+ of 200; .*--resume.*stopped\.checkpoint\.safetensors \(ABORTED\)/);
    expect(existsSync(join(dir, 'stopped.onnx'))).toBe(false);
    const foreign = run(...args, '--out', 'stopped.onnx', '--resume', '--rate', '0.01');
    expect(foreign.err).toMatch(/another training.*\(CHECKPOINT_FOREIGN\)/);
    expect(run(...args, '--out', 'stopped.onnx', '--resume').status).toBe(0);
    expect(read('stopped.onnx').equals(read('through.onnx'))).toBe(true);
    expect(steps('stopped.log.jsonl').map(({ step, loss }) => [step, loss])).toEqual(
      steps('through.log.jsonl').map(({ step, loss }) => [step, loss]),
    );
  }, 120_000);

  it('shares batches among workers', () => {
    const args = ['small.onnx', '--data', 'pictures', ...QUICK];
    for (const [name, ...workers] of [['alone'], ['shared', '--workers', '2']]) {
      const { err, status } = run(...args, ...workers, '--out', `${name}.onnx`);
      expect(status, err).toBe(0);
    }
    const losses = (name: string) => steps(`${name}.log.jsonl`).map(({ loss }) => loss as number);
    const alone = losses('alone');
    for (const [i, loss] of losses('shared').entries()) expect(loss).toBeCloseTo(alone[i], 4);
    expect(run(...args, '--out', 'c.onnx', '--workers', '0').err).toMatch(/workers is a whole number/);
  });

  it('says what is wrong with data and options, in one line', () => {
    writeFileSync(join(dir, 'wrong.csv'), 'image,label\npictures/red/0.png,3\npictures/red/1.png,0\n');
    writeFileSync(join(dir, 'broken.csv'), 'image,label\npictures/red/0.png,2\nlist.csv,0\n');
    for (const name of ['a', 'b']) cpSync(join(dir, 'pictures/red'), join(dir, 'two', name), { recursive: true });
    const wrong: [string[], RegExp][] = [
      [['--data', 'wrong.csv', '--hold-out', '0'], /0\.png has label 3, .* 3 classes.* \(DATA_INVALID\)/],
      [['--data', 'broken.csv'], /1 of 2 images are bad.* \(TOO_MANY_BAD_INPUTS\)/],
      [['--data', 'two'], /2 folders of classes, and 'logits' has 3.* \(DATA_INVALID\)/],
      [['--data', 'nowhere'], /nowhere does not exist.* \(FILE_NOT_FOUND\)/],
      [['--data', 'list.csv', '--rate', '-1'], /recipe: .*rate/s],
      [['--data', 'list.csv', '--resume'], /checkpoint.* does not exist \(FILE_NOT_FOUND\)/],
    ];
    for (const [args, message] of wrong) {
      const { err, status } = run('small.onnx', '--out', 'wrong.onnx', ...QUICK, ...args);
      expect(err).toMatch(message);
      expect(status).toBe(1);
    }
    expect(existsSync(join(dir, 'wrong.onnx'))).toBe(false);
  });
});

describe('finetune of a suite', () => {
  const RECIPE = { steps: 6, batch: 8, rate: 0.01, init: 'random', store: 'float16', seed: 3 };
  beforeAll(async () => {
    await makeTinySuite(join(dir, 'suite'), 2);
    writeFileSync(join(dir, 'recipe.json'), JSON.stringify(RECIPE));
  });
  const finetuned = (...args: string[]) => run('suite', '--recipe', 'recipe.json', '--threads', '1', ...args);

  it('writes the models under their names, log, curve and card', async () => {
    const { out, err, status } = finetuned('--out', 'trained', '--measure-every', '3', '--json');
    expect(err).toBe('');
    expect(status).toBe(0);
    const made = JSON.parse(out);
    expect(made).toMatchObject({ folder: 'trained', steps: 6, pictures: 24 });
    expect(made.scores.map(({ task }: { task: string }) => task)).toEqual(['classification', 'captioning', 'vqa']);
    for (const [file, bytes] of Object.entries(made.models)) {
      expect(read(`trained/${file}`).length, file).toBe(bytes);
      await openGraph(join(dir, 'trained', file));
    }
    expect(Object.keys(made.models)).toHaveLength(4);
    expect(read('trained/finetune.card.md').toString()).toContain('# tiny, trained from random weights');
    expect(read('trained/finetune.loss.svg').toString()).toMatch(/^<svg/);
    expect(steps('trained/finetune.log.jsonl').map(({ step }) => step)).toEqual([1, 2, 3, 3, 4, 5, 6, 6]);
  });

  it('says what is missing or wrong', () => {
    expect(run('suite', '--out', 'x').err).toMatch(/give one with --recipe .*\(INVALID_ARGUMENT\)/);
    writeFileSync(join(dir, 'wrong.json'), JSON.stringify({ ...RECIPE, questions: 0, rates: 1 }));
    const { err, status } = run('suite', '--recipe', 'wrong.json', '--out', 'x');
    expect(err).toMatch(/wrong\.json:1:\d+.*questions/s);
    expect(err).toMatch(/rates/);
    expect(status).toBe(1);
    expect(run('small.onnx', '--out', 'x.onnx').err).toMatch(/--data .*\(INVALID_ARGUMENT\)/);
  });
});
