import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeScenes } from '../../fixtures/scenes/suite.ts';
import { readCodec } from '../../src/codec/index.ts';
import { type BenchResult, bench, Cache } from '../../src/evaluate/index.ts';
import { mainGraph, readGraph, tensorOf } from '../../src/onnx/index.ts';
import { openSession } from '../../src/runtime/index.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODELS = join(ROOT, 'models', 'scenes');
const CODECS = join(ROOT, 'codecs', 'scenes-block2');
const GRAPHS = ['trunk', 'classification', 'captioning', 'vqa', 'objects'];
const SCENES = 150;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-models-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('models of the scenes', () => {
  it('take 8 MB at most', () => {
    const bytes = GRAPHS.map((name) => statSync(join(MODELS, `${name}.onnx`)).size);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(8e6);
  });

  it('are the networks that make.ts writes, with weights', () => {
    const untrained = join(folder, 'untrained');
    execFileSync('npx', ['tsx', join(MODELS, 'make.ts'), '--out', untrained], { cwd: ROOT });
    for (const file of ['suite.json', 'labels.json', 'captioning.vocab.json', 'vqa.vocab.json']) {
      expect(JSON.parse(readFileSync(join(MODELS, file), 'utf8'))).toEqual(
        JSON.parse(readFileSync(join(untrained, file), 'utf8')),
      );
    }
    for (const name of GRAPHS) {
      const shapes = (dir: string) =>
        mainGraph(readGraph(readFileSync(join(dir, `${name}.onnx`))))
          .initializer.map((each) => `${each.name.replace(/\.float16$/, '')} [${tensorOf(each).shape}]`)
          .sort();
      expect(shapes(MODELS)).toEqual(shapes(untrained));
    }
  });
});

describe('models and codecs of the scenes, measured', () => {
  const codecs = readdirSync(CODECS).filter((file) => file.endsWith('.codec'));
  let result: BenchResult;
  beforeAll(async () => {
    const dir = join(folder, 'suite');
    await writeScenes(dir, { val: SCENES });
    result = await bench({
      dir,
      open: openSession,
      ways: ['reference', 'device'],
      codecs: codecs.map((file) => ({ name: file, codec: readCodec(readFileSync(join(CODECS, file))) })),
      cache: new Cache(join(folder, 'cache')),
    });
  });

  // What the card says of 2,000 scenes, less what the draw of these few may cost.
  it.each([
    ['classification', 85],
    ['captioning', 62],
    ['vqa', 87],
  ])('score in %s', (task, least) => {
    const reference = result.points.find((point) => point.task === task && point.way === 'reference');
    expect(reference?.score).toBeGreaterThanOrEqual(least);
  });

  it('come at three rates, each of one packet for all tasks, of fewer bytes than any picture', () => {
    const learned = result.points.filter(({ way }) => way === 'learned');
    expect(learned).toHaveLength(3 * codecs.length);
    expect(codecs.length).toBeGreaterThanOrEqual(3);
    for (const { bytes, loss } of learned) {
      expect(bytes).toBeLessThan(500);
      expect(loss).toBeLessThan(12);
    }
    const finest = learned.toSorted((a, b) => b.bytes - a.bytes).slice(0, 3);
    for (const { loss } of finest) expect(loss).toBeLessThan(5);
  });
});
