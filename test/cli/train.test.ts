import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCard, readCodec } from '../../src/codec/index.ts';
import { openGraph, saveGraph } from '../../src/onnx/index.ts';
import { chainGraphs } from '../../src/split/index.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';
import { isthmus } from './run.ts';

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-train-'));
  await makeTinySuite(join(dir, 'tiny'), 7, { images: 40 });
  const model = (name: string) => openGraph(join(dir, `tiny/models/${name}.onnx`));
  await saveGraph(chainGraphs(await model('trunk'), await model('classification')), join(dir, 'whole.onnx'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const RECIPE = {
  suite: 'tiny',
  cut: 'after block 1',
  transform: { kind: 'tokens', group: 2, components: 24, prefixComponents: 8, synthesisBlocks: 1 },
  quantizer: { bytes: 20 },
  schedule: { steps: 3, batch: 4, warmup: 1 },
  data: { versions: 1 },
  start: 16,
};
const write = (name: string, recipe: object) => writeFileSync(join(dir, name), JSON.stringify(recipe, null, 2));

describe('isthmus train', { timeout: 180_000 }, () => {
  it('ends in a codec, its card with scores, a log and a curve', () => {
    write('recipe.json', RECIPE);
    const workers = ['--workers', '2'];
    const { status, err, out } = isthmus(['train', 'recipe.json', '--out', 'block1.codec', '--json', ...workers], dir);
    expect(status, err).toBe(0);
    const made = JSON.parse(out);
    expect(made.codecs).toHaveLength(1);
    expect(made.codecs[0].points.map(({ task }: { task: string }) => task)).toEqual([
      'classification',
      'captioning',
      'vqa',
    ]);
    const file = readFileSync(join(dir, 'block1.codec'));
    expect(readCodec(file).features[0].name).toBe(TINY_CUT);
    const card = readCard(file) as string;
    expect(card).toBe(readFileSync(join(dir, 'block1.card.md'), 'utf8'));
    expect(card).toContain('| classification |');
    expect(card).toContain('isthmus train recipe.json --out block1.codec');
    expect(readFileSync(join(dir, 'block1.log.jsonl'), 'utf8').trim().split('\n')).toHaveLength(3);
    expect(readFileSync(join(dir, 'block1.loss.svg'), 'utf8')).toContain('<svg');
    expect(existsSync(join(dir, 'block1.checkpoint.safetensors'))).toBe(false);
  });

  it('trains on a model and a folder of pictures, and tells how many held-out answers stay the same', () => {
    const { suite: _, ...rest } = RECIPE;
    write('models.json', {
      ...rest,
      models: ['whole.onnx'],
      cut: TINY_CUT,
      data: { pictures: 'tiny/images/train', versions: 1 },
    });
    const { status, err, out } = isthmus(['train', 'models.json', '--out', 'whole.codec'], dir);
    expect(status, err).toBe(0);
    expect(out).toMatch(/whole\.codec: learned .* \d+ bytes, [\d.]+ % the same class/);
  });

  it('tells in a dry run what the training would take, and writes nothing', () => {
    const { status, err, out } = isthmus(['train', 'recipe.json', '--out', 'dry.codec', '--dry-run', '--json'], dir);
    expect(status, err).toBe(0);
    const told = JSON.parse(out);
    expect(told.feature).toEqual({ name: TINY_CUT, shape: [1, 17, 16] });
    expect(told.latents.map(({ shape }: { shape: number[] }) => shape)).toEqual([
      [1, 4, 24],
      [1, 1, 8],
    ]);
    expect(told.secondsAStep).toBeGreaterThan(0);
    expect(told.cacheBytes).toBeGreaterThan(40 * 17 * 16 * 2);
    for (const name of ['dry.codec', 'dry.log.jsonl', 'dry.checkpoint.safetensors', 'dry.card.md']) {
      expect(existsSync(join(dir, name)), name).toBe(false);
    }
  });

  it('says which line of a recipe is wrong', () => {
    writeFileSync(join(dir, 'wrong.json'), '{\n  "suite": "tiny",\n  "cut": "after block 1",\n  "transfrom": {}\n}');
    const { status, err } = isthmus(['train', 'wrong.json', '--out', 'wrong.codec'], dir);
    expect(status).toBe(1);
    expect(err).toMatch(/wrong\.json:4:\d+.*transfrom.*transform/s);
  });

  it.each<[string, { out?: string; cut?: string; suite?: undefined }, RegExp]>([
    ['a cut that does not exist', { cut: 'after block 9' }, /after block 9/],
    ['no source', { suite: undefined }, /either a suite or models/],
    ['an output of no folder', { out: 'missing/block1.codec' }, /missing/],
  ])('refuses %s', (_, { out = 'bad.codec', ...changes }, message) => {
    write('bad.json', { ...RECIPE, ...changes });
    const { status, err } = isthmus(['train', 'bad.json', '--out', out], dir);
    expect(status).toBe(1);
    expect(err).toMatch(message);
  });
});
