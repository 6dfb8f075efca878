import { execFileSync, execSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The fenced blocks of a language in a page. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, code]) => code);
}

/** What the pages say of the photos, said of the tiny suite, which is laid out alike. */
function ofTiny(code: string): string {
  return code
    .replaceAll('../shared/photos', 'tiny')
    .replaceAll('/blocks/blocks.5/Add_1_output_0', TINY_CUT)
    .replaceAll('after block 6', 'after block 1');
}

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-docs-'));
  await makeTinySuite(join(dir, 'tiny'), 5);
  const photos = join(dir, 'tiny/images/val');
  cpSync(join(photos, readdirSync(photos)[0]), join(dir, 'photo.jpg'));
  mkdirSync(join(dir, 'node_modules/.bin'), { recursive: true });
  symlinkSync(ROOT, join(dir, 'node_modules/isthmus'), 'dir');
  writeFileSync(
    join(dir, 'node_modules/.bin/isthmus'),
    `#!/bin/sh\nexec node ${join(ROOT, 'dist/cli/main.js')} "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const run = (command: string) =>
  execSync(command, {
    cwd: dir,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${join(dir, 'node_modules/.bin')}:${process.env.PATH}`,
      XDG_CACHE_HOME: join(dir, 'cache'),
    },
  });

describe('README', () => {
  it('has its two commands first, and CI runs the one for tests', () => {
    const [first] = blocks(README, 'sh');
    expect(
      first
        .trim()
        .split('\n')
        .map((line) => line.replace(/\s+#.*/, '')),
    ).toEqual(['npm ci && npm run bench', 'npm ci && npm test']);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(scripts.bench).toMatch(/npm run build .* npm run scenes .* bench results\/scenes .*codecs\/scenes-/);
    const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8');
    expect(ci).toContain('npm ci');
    expect(ci).toContain('npm test');
  });

  it('shows commands that run, one after the other', { timeout: 180_000 }, () => {
    const [, commands] = blocks(README, 'sh');
    const outputs = ofTiny(commands).trim().split('\n').map(run);
    expect(outputs.length).toBeGreaterThanOrEqual(7);
    for (const output of outputs) expect(output.length).toBeGreaterThan(10);
    for (const made of ['block6.codec', 'parts/head.onnx', 'parts/tail.onnx', 'photo.packet', 'feature.npy']) {
      expect(existsSync(join(dir, made)), made).toBe(true);
    }
  });

  it('shows a program that runs', () => {
    const [code] = blocks(README, 'ts');
    writeFileSync(join(dir, 'use.mjs'), ofTiny(code));
    const [bytes, ...label] = execFileSync('node', ['use.mjs'], { cwd: dir, encoding: 'utf8' }).trim().split(' ');
    expect(Number(bytes)).toBeGreaterThan(9);
    expect(label.join(' ')).toMatch(/^class \d+$/);
  });

  it('links to pages that exist', () => {
    for (const [, target] of README.matchAll(/\]\(([^)#:]+)\)/g))
      expect(existsSync(join(ROOT, target)), target).toBe(true);
  });
});

describe('docs/training.md', () => {
  const page = readFileSync(join(ROOT, 'docs/training.md'), 'utf8');
  /** As quick as can be, and of the tiny suite's features. */
  const quick = (recipe: string) =>
    ofTiny(recipe.replaceAll('../../shared/photos', '../tiny'))
      .replace(/"suite": "tiny"/, '"suite": "../tiny"')
      .replace(/"steps": 600/, '"steps": 2, "warmup": 1')
      .replace(/"bytes": 700/, '"bytes": 20');

  it('shows commands that run, one after the other', { timeout: 180_000 }, () => {
    mkdirSync(join(dir, 'docs'), { recursive: true });
    const recipe = readFileSync(join(ROOT, 'docs/block6.jsonc'), 'utf8');
    writeFileSync(join(dir, 'docs/block6.jsonc'), quick(recipe));
    writeFileSync(
      join(dir, 'docs/finetune.jsonc'),
      readFileSync(join(ROOT, 'docs/finetune.jsonc'), 'utf8').replace(/"steps": 100/, '"steps": 12'),
    );
    const commands = blocks(page, 'sh').join('');
    for (const command of ofTiny(commands).trim().split('\n')) expect(run(command).length).toBeGreaterThan(10);
    expect(existsSync(join(dir, 'block6-learned.codec'))).toBe(true);
    expect(readFileSync(join(dir, 'trained/finetune.card.md'), 'utf8')).toContain('| vqa | 24 |');
  });

  it('shows a recipe that is accepted', async () => {
    const { readRecipeFile, TRAIN_RECIPE } = await import('../../src/train/index.ts');
    const [recipe] = blocks(page, 'jsonc');
    writeFileSync(join(dir, 'shown.jsonc'), recipe);
    expect((await readRecipeFile(join(dir, 'shown.jsonc'), TRAIN_RECIPE)).recipe.quantizer.steps).toEqual([1, 1.5]);
  });

  it('shows a program that runs', () => {
    const [code] = blocks(page, 'ts');
    writeFileSync(join(dir, 'gradient.mjs'), ofTiny(code));
    expect(execFileSync('node', ['gradient.mjs'], { cwd: dir, encoding: 'utf8' }).trim()).toBe('logits grad/features');
  });
});

describe('docs/tutorial.md', () => {
  const page = readFileSync(join(ROOT, 'docs/tutorial.md'), 'utf8');
  /** The same commands on fewer scenes. */
  const quick = (command: string) =>
    command
      .replace(
        'npm run scenes --',
        `node ${join(ROOT, 'node_modules/tsx/dist/cli.mjs')} ${join(ROOT, 'fixtures/scenes/make.ts')}`,
      )
      .replace('train=400', 'train=40')
      .replace('val=60', 'val=12')
      .replace('--limit 40', '--limit 8')
      .replace('npx isthmus', 'isthmus');

  it('leads from a model to two programs that talk', { timeout: 300_000 }, async () => {
    mkdirSync(join(dir, 'docs'), { recursive: true });
    const recipe = readFileSync(join(ROOT, 'docs/tutorial.jsonc'), 'utf8')
      .replace(/"steps": 200/, '"steps": 4')
      .replace(/"warmup": 20/, '"warmup": 1')
      .replace(/"start": 300/, '"start": 40')
      .replace(/"bytes": 300/, '"bytes": 60');
    writeFileSync(join(dir, 'docs/tutorial.jsonc'), recipe);
    const commands = blocks(page, 'sh').join('').trim().split('\n').map(quick);
    const [answer, edge, ...before] = commands.toReversed();
    for (const command of before.reverse()) expect(run(command).length, command).toBeGreaterThan(10);
    for (const code of blocks(page, 'js')) {
      const [, name] = /^\/\/ (\w+\.mjs)\n/.exec(code) as RegExpExecArray;
      writeFileSync(join(dir, name), code);
    }
    expect(edge).toBe('node edge.mjs &');
    const server = spawn(process.execPath, ['edge.mjs'], { cwd: dir, env: { ...process.env, PORT: '0' } });
    try {
      const url = await new Promise<string>((resolve, reject) => {
        server.stdout.once('data', (text) => resolve(String(text).trim()));
        server.once('exit', (code) => reject(new Error(`the edge ended with ${code}`)));
      });
      expect(run(answer.replace('http://127.0.0.1:8080', url))).toMatch(/^\d+ bytes: \{ answer: '\w+' \}\n$/);
      const broken = await fetch(url, { method: 'POST', body: 'no packet', headers: { 'x-question': 'why' } });
      expect(broken.status).toBe(400);
      expect(await broken.json()).toMatchObject({ code: expect.stringMatching(/^PACKET_/) });
    } finally {
      server.kill();
    }
  });
});

describe('docs/gradients.md', () => {
  const page = readFileSync(join(ROOT, 'docs/gradients.md'), 'utf8');

  it('shows a rule that is used', () => {
    const [code] = blocks(page, 'ts');
    writeFileSync(join(dir, 'rule.mjs'), code);
    const gradients = execFileSync('node', ['rule.mjs'], { cwd: dir, encoding: 'utf8' }).trim().split(' ').map(Number);
    expect(gradients).toHaveLength(2);
    for (const [i, x] of [1, 2].entries()) expect(gradients[i]).toBeCloseTo((Math.cos(x) - Math.sin(x) / x) / x, 5);
  });

  it('lists every rule', async () => {
    const { RULES } = await import('../../src/autodiff/index.ts');
    const listed = [...page.matchAll(/^\| ([\w.]+) +\|.*\|$/gm)].map(([, op]) => op).filter((op) => op !== 'operator');
    expect(listed.sort()).toEqual(Object.keys(RULES).sort());
  });
});

describe('docs/suite.md', () => {
  it('shows a suite.json that is accepted', async () => {
    const page = readFileSync(join(ROOT, 'docs/suite.md'), 'utf8');
    const [json] = blocks(page, 'json');
    mkdirSync(join(dir, 'mine'));
    writeFileSync(join(dir, 'mine/suite.json'), json);
    const { openSuite, taskNames } = await import('../../src/tasks/index.ts');
    expect(taskNames(await openSuite(join(dir, 'mine')))).toEqual(['classification']);
  });
});
