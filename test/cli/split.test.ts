import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { addCuts } from '../../src/cli/cuts.ts';
import { addSplit } from '../../src/cli/split.ts';
import { buildGraph, mainGraph, node, readGraph, writeGraph } from '../../src/onnx/index.ts';
import { floats, names } from '../split/run.ts';

const feature = { name: 'feature', dtype: 'float32', shape: ['batch', 6] } as const;
const trunk = buildGraph({
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 4] }],
  outputs: [feature],
  nodes: [node('MatMul', ['x', 'w'], ['a,b']), node('Relu', ['a,b'], ['c']), node('MatMul', ['c', 'v'], ['feature'])],
  initializers: { w: floats(4, 5), v: floats(5, 6) },
});
const tail = buildGraph({
  opset: 17,
  inputs: [{ ...feature, name: 'features' }],
  outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
  nodes: [node('Relu', ['features'], ['h']), node('MatMul', ['h', 'w'], ['y'])],
  initializers: { w: floats(6, 2) },
});

let folder: string;
let out = '';
let err = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-split-'));
  await writeFile(join(folder, 'trunk.onnx'), writeGraph(trunk));
  await writeFile(join(folder, 'tail.onnx'), writeGraph(tail));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => {
  out = '';
  err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
  return () => vi.restoreAllMocks();
});

async function isthmus(...args: string[]): Promise<void> {
  const program = new Command('isthmus').exitOverride();
  addCuts(program);
  addSplit(program);
  for (const command of program.commands) command.exitOverride();
  await program.parseAsync(
    args.map((arg) => (arg.endsWith('.onnx') ? join(folder, arg) : arg)),
    { from: 'user' },
  );
}

describe('isthmus cuts', () => {
  test('a table without colour, and what was assumed beside it', async () => {
    await isthmus('cuts', 'trunk.onnx');
    expect(out).toContain('float32[batch,5]');
    expect(out).not.toContain('\u001b');
    expect(err).toMatch(/at batch = 1/);
  });

  test('JSON with the promised keys', async () => {
    await isthmus('cuts', 'trunk.onnx', '--json');
    expect(JSON.parse(out)).toEqual([
      expect.objectContaining({
        tensors: [{ name: 'c', dtype: 'float32', shape: ['batch', 5] }],
        bytes: 20,
        headMacs: 20,
        tailMacs: 30,
        headParams: 20,
        tailParams: 30,
        headShare: 0.4,
      }),
    ]);
    expect(err).toBe('');
  });

  test('models are chained, by --join where names differ', async () => {
    await isthmus('cuts', 'trunk.onnx', 'tail.onnx', '--join', 'feature=features', '--all', '--json');
    expect(JSON.parse(out).map((cut: { tensors: { name: string }[] }) => cut.tensors[0].name)).toEqual([
      'a,b',
      'c',
      'feature',
      'h',
    ]);
    await expect(isthmus('cuts', 'trunk.onnx', 'tail.onnx')).rejects.toThrow(/--join OUTPUT=INPUT/);
  });

  test('options that make no sense are refused', async () => {
    for (const args of [
      ['--max-tensors', '9'],
      ['--dim', 'batch'],
      ['--dim', 'batch=0'],
      ['--join', '=x'],
    ]) {
      await expect(isthmus('cuts', 'trunk.onnx', ...args)).rejects.toMatchObject({ code: 'commander.invalidArgument' });
    }
  });
});

describe('isthmus split', () => {
  test('writes both halves and tells the difference', async () => {
    const halves = join(folder, 'halves', 'deep');
    await isthmus(
      'split',
      'trunk.onnx',
      'tail.onnx',
      '--join',
      'feature=features',
      '--at',
      'feature',
      '--out',
      halves,
      '--json',
    );
    const report = JSON.parse(out);
    expect(report).toMatchObject({ tensors: ['feature'], difference: { absolute: 0, relative: 0, tolerance: 1e-5 } });
    expect((await readdir(halves)).sort()).toEqual(['head.onnx', 'tail.onnx']);
    const [head, rest] = await Promise.all(
      [report.head, report.tail].map(async (path) => mainGraph(readGraph(await readFile(path)))),
    );
    expect([names(head.input), names(head.output), names(rest.input), names(rest.output)]).toEqual([
      ['x'],
      ['feature'],
      ['feature'],
      ['y'],
    ]);
  });

  test('a name with a comma is taken as it stands', async () => {
    await isthmus('split', 'trunk.onnx', '--at', 'a,b', '--out', join(folder, 'comma'));
    expect(out).toMatch(/Largest difference: 0 .*\nCause: none/);
  });

  test('an error leaves nothing behind', async () => {
    const nowhere = join(folder, 'nowhere');
    await expect(isthmus('split', 'trunk.onnx', '--at', 'feature', '--out', nowhere)).rejects.toMatchObject({
      code: 'CUT_INVALID',
    });
    await expect(isthmus('split', 'trunk.onnx', '--at', 'd', '--out', nowhere)).rejects.toMatchObject({
      code: 'CUT_UNKNOWN',
    });
    await expect(isthmus('split', 'absent.onnx', '--at', 'c', '--out', nowhere)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
    await expect(readdir(nowhere)).rejects.toMatchObject({ code: 'ENOENT' });
    const file = join(folder, 'occupied');
    await writeFile(file, '');
    await expect(isthmus('split', 'trunk.onnx', '--at', 'c', '--out', file)).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
  });

  test('--at and --out are asked for, and --help shows an example', async () => {
    await expect(isthmus('split', 'trunk.onnx', '--out', folder)).rejects.toThrow(/--at/);
    for (const command of ['cuts', 'split']) {
      await expect(isthmus(command, '--help')).rejects.toMatchObject({ code: 'commander.helpDisplayed' });
    }
    expect(out).toMatch(/Example:\n {2}isthmus cuts .*[\s\S]*Example:\n {2}isthmus split /);
  });
});
