import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCard, readCodec } from '../../src/codec/index.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';
import { isthmus } from './run.ts';

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-weight-'));
  await makeTinySuite(join(dir, 'tiny'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const fitted = (...args: string[]) =>
  isthmus(['fit', ...args, '--bits', '0.8', '--limit', '12', '--quiet', '--out', 'a.codec'], dir);

describe('fit --weight task', () => {
  it('makes a codec of two parts, whose card tells the tasks', async () => {
    const { err, status } = fitted(
      'tiny',
      '--at',
      'after block 1',
      '--weight',
      'task',
      '--tasks',
      'classification,vqa',
    );
    expect(err).toBe('');
    expect(status).toBe(0);
    const file = await readFile(join(dir, 'a.codec'));
    const codec = readCodec(file);
    const names = [...codec.entries.keys()];
    expect(names).toContain('synthesis-0.f32');
    expect(names).toContain('synthesis-1.f32');
    const card = readCard(file) as string;
    expect(card).toContain('the loss of classification, vqa');
    expect(card).toMatch(/"weight": "task"/);
  });

  it('takes what a model answers where there is no suite', () => {
    const models = ['tiny/models/trunk.onnx', 'tiny/models/classification.onnx'];
    const { err, status } = fitted(...models, '--at', TINY_CUT, '--weight', 'task', '--images', 'tiny/images');
    expect(err).toBe('');
    expect(status).toBe(0);
  });

  it('says what is wrong with what cannot be weighted', () => {
    rmSync(join(dir, 'a.codec'), { force: true });
    const models = ['tiny/models/trunk.onnx', 'tiny/models/vqa.onnx'];
    const cases: [string[], RegExp][] = [
      [['tiny', '--at', 'after block 1', '--weight', 'task', '--tasks', 'ocr'], /no task 'ocr'; it has classification/],
      [['tiny', '--at', 'after block 1', '--tasks', 'vqa'], /tasks are those of a weight/],
      [['tiny', '--at', 'after block 1', '--kind', 'raw-f32', '--weight', 'task'], /weight are for klt codecs/],
      [[...models, '--at', TINY_CUT, '--weight', 'task', '--images', 'tiny/images'], /'tokens' beside pictures/],
    ];
    for (const [args, message] of cases) {
      const { err, status } = fitted(...args);
      expect(err).toMatch(message);
      expect(status).not.toBe(0);
    }
    expect(existsSync(join(dir, 'a.codec'))).toBe(false);
  });
});
