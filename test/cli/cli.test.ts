import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNpy, writeNpy } from '../../src/cli/npy.ts';
import { openTransforms, readCodec } from '../../src/codec/index.ts';
import { mainGraph, openGraph, saveGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { tinyLearned } from '../tasks/tiny-learned.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';
import { isthmus, MAIN } from './run.ts';

let dir: string;
const run = (...args: string[]) => isthmus(args, dir);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-cli-'));
  await makeTinySuite(join(dir, 'tiny'), 3);
  const photos = join(dir, 'tiny/images/val');
  cpSync(join(photos, readdirSync(photos)[0]), join(dir, 'photo.jpg'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const COMMANDS = ['cuts', 'split', 'fit', 'finetune', 'encode', 'decode', 'inspect', 'bench', 'demo'];

describe('the command line', () => {
  it('lists its commands, and each shows an example', () => {
    const { out, status } = run('--help');
    expect(status).toBe(0);
    for (const command of COMMANDS) {
      expect(out).toContain(`  ${command} `);
      const help = run(command, '--help');
      expect(help.status).toBe(0);
      expect(help.out).toMatch(new RegExp(`Examples?:\\n  isthmus ${command}\\b`));
    }
    expect(run('--version').out.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('ends with 2 for wrong usage and 1 for an error, in one line without a stack', () => {
    expect(run('fit').status).toBe(2);
    expect(run('nothing').status).toBe(2);
    expect(run('encode', 'photo.jpg', '--wrong').status).toBe(2);
    const missing = run('cuts', 'nowhere.onnx');
    expect(missing.status).toBe(1);
    expect(missing.out).toBe('');
    expect(missing.err.trim().split('\n')).toHaveLength(1);
    expect(missing.err).toMatch(/^isthmus: .*nowhere\.onnx.* \(FILE_NOT_FOUND\)\n$/);
  });

  it('ends quietly when whoever reads its output has seen enough', () => {
    const command = `"${process.execPath}" "${MAIN}" cuts tiny/models/trunk.onnx --all --json | true`;
    const { status, stdout, stderr } = spawnSync(command, { cwd: dir, shell: true, encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('writes no colours and no bars where it is piped', () => {
    const { out, err, status } = run('cuts', 'tiny/models/trunk.onnx');
    expect(status).toBe(0);
    expect(out).toContain(TINY_CUT);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character starts a colour
    expect(out + err).not.toMatch(/\u001b|[│┌└]/);
  });
});

describe('fit, encode, inspect, decode', () => {
  it('carry a picture and a feature through files', async () => {
    const made = run(
      'fit',
      'tiny',
      '--at',
      'after block 1',
      '--step',
      '0.1',
      '--limit',
      '12',
      '--out',
      'a.codec',
      '--json',
    );
    expect(made.err).toBe('');
    const { kind, id, bytes, features } = JSON.parse(made.out);
    expect(kind).toBe('klt');
    expect(features[0].name).toBe(TINY_CUT);
    expect(readFileSync(join(dir, 'a.codec')).length).toBe(bytes);

    const models = ['tiny/models/trunk.onnx', 'tiny/models/classification.onnx'];
    expect(run('split', ...models, '--at', TINY_CUT, '--out', 'parts').status).toBe(0);
    const encoded = run(
      'encode',
      'photo.jpg',
      '--head',
      'parts/head.onnx',
      '--codec',
      'a.codec',
      '--out',
      'a.packet',
      '--json',
    );
    expect(encoded.err).toBe('');
    const size = JSON.parse(encoded.out).bytes;

    const items = JSON.parse(run('inspect', 'a.packet', '--codec', 'a.codec', '--json').out);
    expect(items).toMatchObject({ kind: 'packet', bytes: size, facts: { codec: id, kind: 'klt' } });
    expect(items.items.reduce((sum: number, item: { bytes: number }) => sum + item.bytes, 0)).toBeCloseTo(size, 6);

    const [written] = JSON.parse(run('decode', 'a.packet', '--codec', 'a.codec', '--out', 'a.npy', '--json').out);
    expect(written).toEqual({ name: TINY_CUT, shape: features[0].shape, file: 'a.npy' });
    const feature = await readNpy(join(dir, 'a.npy'));
    const codec = readCodec(readFileSync(join(dir, 'a.codec')));
    expect([...(feature.data as Float32Array)]).toEqual([
      ...(codec.decode(readFileSync(join(dir, 'a.packet')))[0].data as Float32Array),
    ]);

    expect(run('encode', 'a.npy', '--codec', 'a.codec', '--out', 'b.packet').out).toMatch(/^b\.packet: \d+ bytes\n$/);
    expect(run('inspect', 'a.codec').out).toMatch(/codec, \d+ bytes[\s\S]*basis-0\.f32[\s\S]*card and directory/);
    expect(run('inspect', 'tiny/models/trunk.onnx').out).toMatch(/model, \d+ bytes[\s\S]*multiply-accumulates/);
  });

  it('carry them through the networks of a learned codec', async () => {
    const codec = tinyLearned();
    writeFileSync(join(dir, 'learned.codec'), codec.toBytes('# Learned\n'));
    const packet = (name: string) => new Uint8Array(readFileSync(join(dir, name)));
    const carry = ['--codec', 'learned.codec', '--out'];
    expect(run('split', 'tiny/models/trunk.onnx', '--at', TINY_CUT, '--out', 'halves').status).toBe(0);
    expect(run('encode', 'photo.jpg', '--head', 'halves/head.onnx', ...carry, 'l.packet').err).toBe('');
    const [written] = JSON.parse(run('decode', 'l.packet', ...carry, 'l.npy', '--json').out);
    expect(written).toEqual({ name: TINY_CUT, shape: codec.features[0].shape, file: 'l.npy' });

    const transforms = await openTransforms(codec, openOnnxRuntimeNode);
    const [wanted] = await transforms.synthesize(codec.decode(packet('l.packet')));
    const feature = await readNpy(join(dir, 'l.npy'));
    expect(feature.data).toEqual(wanted.data);
    expect(run('encode', 'l.npy', ...carry, 'again.packet').err).toBe('');
    expect(packet('again.packet')).toEqual(codec.encode(await transforms.analyze([feature])));
    await transforms.release();

    const ofPacket = JSON.parse(run('inspect', 'l.packet', '--codec', 'learned.codec', '--json').out);
    expect(ofPacket.items.map(({ what }: { what: string }) => what)).toContain('latent, components 0 to 7');
    const { facts, items } = JSON.parse(run('inspect', 'learned.codec', '--json').out);
    expect(facts).toMatchObject({
      kind: 'learned',
      latents: ['latent float32 [1, 17, 16]'],
      analysis: '256 parameters, 4352 multiply-accumulates',
    });
    expect(items.map(({ what }: { what: string }) => what)).toContain('analysis.onnx');
    expect(run('fit', 'tiny', '--at', TINY_CUT, '--kind', 'learned', '--out', 'x.codec').status).toBe(2);
  });

  it('fits on models and a folder of pictures without a suite, for every kind', () => {
    for (const kind of ['raw-f32', 'raw-f16', 'int8-deflate', 'klt']) {
      const args = ['fit', 'tiny/models/trunk.onnx', '--at', TINY_CUT, '--images', 'tiny/images/train', '--kind', kind];
      const made = run(...args, '--out', `${kind}.codec`, '--quiet');
      expect(made.err).toBe('');
      expect(made.out).toContain(kind);
      expect(readCodec(readFileSync(join(dir, `${kind}.codec`))).kind).toBe(kind);
    }
  });

  it('fits at a tensor of one task alone, on the tasks that have the split', async () => {
    cpSync(join(dir, 'tiny'), join(dir, 'part'), { recursive: true });
    rmSync(join(dir, 'part/vqa/train.json'));
    const model = join(dir, 'part/models/captioning.onnx');
    const graph = await openGraph(model);
    const { node } = mainGraph(graph);
    const normed = node.find(({ opType, input }) => opType === 'LayerNormalization' && input[0] === 'features');
    const name = normed?.output[0] as string;
    for (const each of node) {
      each.input = each.input.map((other) => (other === name ? 'own' : other));
      each.output = each.output.map((other) => (other === name ? 'own' : other));
    }
    await saveGraph(graph, model);
    const { out, err } = run('fit', 'part', '--at', 'own', '--limit', '8', '--out', 'own.codec');
    expect(out).toMatch(/for own, identity/);
    expect(err).toMatch(/^note: pictures of other tasks only, since .*vqa\/train\.json: the file does not exist\n$/);
    expect(run('fit', 'part', '--at', 'own', '--split', 'none', '--out', 'x.codec').err).toContain('(SUITE_INVALID)');
  });

  it('leave nothing half-written and say what is wrong', async () => {
    writeFileSync(join(dir, 'text.packet'), 'no packet');
    writeFileSync(join(dir, 'text.npy'), 'no array');
    const cases: [string, string[]][] = [
      ['PACKET_VERSION', ['decode', 'text.packet', '--codec', 'raw-f32.codec', '--out', 'x.npy']],
      ['FILE_UNWRITABLE', ['split', 'tiny/models/trunk.onnx', '--at', TINY_CUT, '--out', '/proc/isthmus/parts']],
      [
        'INVALID_ARGUMENT',
        ['encode', 'photo.jpg', '--head', 'tiny/models/trunk.onnx', '--codec', 'a.codec', '--out', 'x.packet'],
      ],
      ['CODEC_INVALID', ['decode', 'a.packet', '--codec', 'photo.jpg', '--out', 'x.npy']],
      ['PACKET_FOREIGN', ['decode', 'a.packet', '--codec', 'raw-f32.codec', '--out', 'x.npy']],
      ['TENSOR_INVALID', ['encode', 'text.npy', '--codec', 'a.codec', '--out', 'x.packet']],
      ['INVALID_ARGUMENT', ['encode', 'photo.jpg', '--codec', 'a.codec', '--out', 'x.packet']],
      [
        'IMAGE_UNREADABLE',
        ['encode', 'text.packet', '--head', 'parts/head.onnx', '--codec', 'a.codec', '--out', 'x.packet'],
      ],
      ['FILE_UNWRITABLE', ['decode', 'a.packet', '--codec', 'a.codec', '--out', 'no/such/x.npy']],
      ['CUT_UNKNOWN', ['fit', 'tiny', '--at', 'nowhere', '--bits', '1', '--out', 'x.codec']],
      ['INVALID_ARGUMENT', ['fit', 'tiny', '--at', TINY_CUT, '--bits', '1', '--step', '1', '--out', 'x.codec']],
      ['INVALID_ARGUMENT', ['fit', 'tiny/models/trunk.onnx', '--at', TINY_CUT, '--bits', '1', '--out', 'x.codec']],
      ['ONNX_INVALID', ['inspect', 'photo.jpg']],
    ];
    for (const [code, args] of cases) {
      const { status, err } = run(...args);
      expect(status, args.join(' ')).toBe(1);
      expect(err, args.join(' ')).toContain(`(${code})`);
    }
    for (const name of ['x.npy', 'x.packet', 'x.codec']) expect(existsSync(join(dir, name))).toBe(false);
    expect(readdirSync(dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('.npy', () => {
  it('keeps shape and values', async () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => i / 7);
    await writeNpy(join(dir, 'kept.npy'), { dtype: 'float32', shape: [2, 3, 4], data });
    expect(await readNpy(join(dir, 'kept.npy'))).toEqual({ dtype: 'float32', shape: [2, 3, 4], data });
  });
});
