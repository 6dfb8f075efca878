import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { addBench } from '../../src/cli/bench.ts';
import { type Codec, fitLatentModel, int8DeflateCodec, learnedCodec } from '../../src/codec/index.ts';
import {
  type BenchOptions,
  type BenchResult,
  bench,
  Cache,
  POINT_KEYS,
  type Point,
  WAYS,
} from '../../src/evaluate/index.ts';
import { openNetwork } from '../../src/network.ts';
import { buildGraph, count, node } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { tensor } from '../../src/tensor.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';

let root: string;
let dir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  dir = join(root, 'tiny');
  await makeTinySuite(dir);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

let caches = 0;
const newCache = () => new Cache(join(root, `cache-${caches++}`));

function run(options: Partial<BenchOptions> = {}): Promise<BenchResult> {
  return bench({ dir, open: openOnnxRuntimeNode, cuts: [TINY_CUT], cache: newCache(), ...options });
}

/** A point without what a clock decides. */
function timeless(point: Point) {
  const { headMs: _head, encodeMs: _encode, decodeMs: _decode, tailMs: _tail, ...rest } = point;
  return rest;
}

describe('bench', () => {
  const cache = { current: undefined as Cache | undefined };
  let result: BenchResult;
  beforeAll(async () => {
    cache.current = newCache();
    result = await run({ cache: cache.current });
  });
  const of = (task: string, way: string) => result.points.filter((p) => p.task === task && p.way === way);

  it.each(['classification', 'captioning', 'vqa'])('measures every way for %s', (task) => {
    expect(new Set(result.points.filter((point) => point.task === task).map(({ way }) => way))).toEqual(new Set(WAYS));
    for (const way of ['jpeg', 'avif']) {
      for (const chroma of ['4:2:0', '4:4:4']) {
        const ladder = of(task, way).filter(({ setting }) => setting.endsWith(chroma));
        expect(ladder.length).toBeGreaterThanOrEqual(4);
      }
    }
    expect(of(task, 'klt').length).toBeGreaterThanOrEqual(5);
  });

  it('gives points of exactly the keys that are promised', () => {
    for (const point of result.points) {
      expect(Object.keys(point).sort()).toEqual([...POINT_KEYS].sort());
      expect(point.images).toBe(24);
      expect(point.scoreLow).toBeLessThanOrEqual(point.score);
      expect(point.scoreHigh).toBeGreaterThanOrEqual(point.score);
      expect(point.bytesP50).toBeLessThanOrEqual(point.bytesP95);
      expect(point.bytesP95).toBeLessThanOrEqual(point.bytesMax);
      expect(point.bytes).toBeLessThanOrEqual(point.bytesMax);
    }
  });

  it.each(['classification', 'captioning', 'vqa'])('has controls that lose nothing for %s', (task) => {
    const [reference] = of(task, 'reference');
    const [device] = of(task, 'device');
    const [png] = of(task, 'png');
    expect(reference).toMatchObject({ loss: 0, lossLow: 0, lossHigh: 0, agreement: 100, headShare: 0, cut: null });
    expect(device).toMatchObject({ loss: 0, agreement: 100, headShare: 1, cut: null, tailMs: null });
    expect(device.bytes).toBeLessThan(100);
    expect(png).toMatchObject({ loss: 0, agreement: 100, headShare: 0, idealBytes: null });
    const [raw] = of(task, 'raw-f32');
    expect(raw).toMatchObject({ loss: 0, agreement: 100, cut: TINY_CUT, bytes: raw.bytesMax, idealBytes: null });
    expect(raw.headShare).toBeGreaterThan(0);
    expect(raw.headShare).toBeLessThan(1);
    expect(reference.score).toBeLessThan(100);
    expect(result.run.reference[task][result.run.metric[task]]).toBe(reference.score);
  });

  it('loses nothing by a fine step and something by a coarse one', () => {
    const klt = of('classification', 'klt');
    const finest = klt.reduce((a, b) => (a.bytes > b.bytes ? a : b));
    const coarsest = klt.reduce((a, b) => (a.bytes < b.bytes ? a : b));
    expect(finest.agreement).toBeGreaterThanOrEqual(coarsest.agreement);
    expect(Math.abs(finest.loss)).toBeLessThan(10);
    for (const { bytes, idealBytes } of klt) {
      expect(idealBytes).not.toBeNull();
      // Half a percent, and whole bytes of a few that a state and a frame end in.
      expect(bytes).toBeLessThanOrEqual((idealBytes as number) * 1.005 + 6);
      expect(bytes).toBeGreaterThanOrEqual((idealBytes as number) * 0.995 - 1);
    }
  });

  it('is the same again by seed, and other by another seed', async () => {
    const ways = ['reference', 'jpeg', 'klt'] as const;
    const options = { ways, tasks: ['vqa'] as const, limit: 12 };
    const first = await run(options);
    const second = await run({ ...options, parallel: 2 });
    expect(second.points.map(timeless)).toEqual(first.points.map(timeless));
    const other = await run({ ...options, seed: 2 });
    expect(other.points.map(timeless)).not.toEqual(first.points.map(timeless));
    expect(other.points[0].images).toBe(12);
  });

  it('measures nothing again that is kept, and everything when asked', async () => {
    const kept = cache.current as Cache;
    const writes = vi.spyOn(kept, 'write');
    const again = await run({ cache: kept });
    expect(writes).not.toHaveBeenCalled();
    expect(again.points).toEqual(result.points);
    expect(again.summary).toEqual(result.summary);
    const fresh = await run({ cache: kept, fresh: true, tasks: ['classification'], ways: ['reference', 'raw-f16'] });
    expect(writes.mock.calls.map(([kind]) => kind)).toEqual(['points', 'points']);
    expect(fresh.points.map(timeless)).toEqual(
      result.points
        .filter(({ task, way }) => task === 'classification' && (way === 'reference' || way === 'raw-f16'))
        .map(timeless),
    );
    writes.mockRestore();
  });

  it('gives samples with all their answers, the same ones from what is kept', async () => {
    const own = newCache();
    const options = { cache: own, tasks: ['vqa', 'captioning'] as const, ways: ['reference', 'jpeg', 'klt'] as const };
    const first = await run({ ...options, samples: 4 });
    const writes = vi.spyOn(own, 'write');
    const again = await run({ ...options, samples: 4 });
    expect(writes).not.toHaveBeenCalled();
    expect(again.samples).toEqual(first.samples);
    expect(again.spent).toEqual(first.spent);
    expect((await run(options)).samples).toEqual([]);

    for (const task of options.tasks) {
      const samples = first.samples.filter((sample) => sample.task === task);
      expect(samples.filter(({ chosen }) => chosen === 'drawn')).toHaveLength(2);
      expect(new Set(samples.map(({ image }) => image)).size).toBe(samples.length);
      const points = first.points.flatMap((point, at) => (point.task === task ? [at] : []));
      for (const { image, picture, asked } of samples) {
        expect(image).toMatch(/^images\/val\/.+/);
        expect(Buffer.from(picture.subarray(8, 12)).toString()).toBe('WEBP');
        expect(asked.length).toBeGreaterThan(0);
        for (const { ask, truths, reference, answers } of asked) {
          expect(typeof ask).toBe(task === 'vqa' ? 'string' : 'object');
          expect(truths.length).toBeGreaterThan(0);
          expect(answers.map(({ point }) => point)).toEqual(points);
          for (const { text, same } of answers) expect(same).toBe(text === reference.text);
        }
      }
    }
  });

  it('knows what the packets of codecs are spent on', () => {
    for (const [i, { way, bytes, bytesMax }] of result.points.entries()) {
      const total = result.spent[i].reduce((sum, item) => sum + item.bytes, 0);
      expect(total > 0, way).toBe(['raw-f32', 'raw-f16', 'int8-deflate', 'klt', 'klt-task'].includes(way));
      if (total === 0) continue;
      expect(result.spent[i][0]).toEqual({ what: 'frame', bytes: 9 });
      // Of the first images, where the point is of all.
      expect(total).toBeGreaterThan(bytes / 2);
      expect(total).toBeLessThanOrEqual(bytesMax);
    }
  });

  it('goes on where it was stopped', async () => {
    const own = newCache();
    const stop = new AbortController();
    const options = {
      cache: own,
      tasks: ['classification', 'captioning'] as const,
      ways: ['reference', 'jpeg', 'klt'] as const,
    };
    const part = await run({
      ...options,
      signal: stop.signal,
      onPoint: ({ way }) => {
        if (way === 'klt') stop.abort();
      },
    });
    expect(part.run.complete).toBe(false);
    expect(part.points.length).toBeGreaterThan(5);
    expect(new Set(part.points.map(({ task }) => task))).toEqual(new Set(['classification']));
    const writes = vi.spyOn(own, 'write');
    const whole = await run(options);
    expect(whole.run.complete).toBe(true);
    const measured = writes.mock.calls.filter(([kind]) => kind === 'points');
    expect(measured).toHaveLength(whole.points.length - part.points.length);
    expect(whole.points.slice(0, part.points.length)).toEqual(part.points);
    expect(whole.points.map(timeless)).toEqual((await run({ ...options, cache: newCache() })).points.map(timeless));
  });

  it('counts the bytes of the packets themselves', async () => {
    const inner = int8DeflateCodec({ features: [{ name: TINY_CUT, dtype: 'float32', shape: [1, 17, 16] }] }, 31);
    const sizes: number[] = [];
    const codec: Codec = {
      ...inner,
      encode(feature) {
        const packet = inner.encode(feature);
        sizes.push(packet.length);
        return packet;
      },
    };
    const { points } = await run({
      codecs: [{ name: 'my codec', codec }],
      cuts: undefined,
      ways: ['png'],
      tasks: ['vqa'],
    });
    const [, point] = points;
    expect(point).toMatchObject({ way: 'int8-deflate', setting: 'my_codec (file)', cut: TINY_CUT });
    expect(sizes).toHaveLength(24);
    expect(point.bytes).toBeCloseTo(sizes.reduce((a, b) => a + b, 0) / 24, 9);
    expect(point.bytesMax).toBe(Math.max(...sizes));
    expect(sizes.sort((a, b) => a - b)[11]).toBe(point.bytesP50);
  });

  it('runs the networks of a learned codec, and counts its analysis on the side of the device', async () => {
    const port = (name: string) => ({ name, dtype: 'float32', shape: ['batch', 17, 16] }) as const;
    const one = tensor(
      'float32',
      [16, 16],
      Float32Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? 1 : 0)),
    );
    const graph = (from: string, to: string, nodes: ReturnType<typeof node>[]) =>
      buildGraph({ opset: 17, inputs: [port(from)], outputs: [port(to)], nodes, initializers: { one } });
    const features = [{ name: TINY_CUT, dtype: 'float32', shape: [1, 17, 16] }] as const;
    const codec = learnedCodec(
      { features },
      {
        analysis: graph(TINY_CUT, 'latent', [node('MatMul', [TINY_CUT, 'one'], ['latent'])]),
        synthesis: graph('latent', TINY_CUT, [node('Identity', ['latent'], [TINY_CUT])]),
        latents: [
          {
            name: 'latent',
            vectors: 17,
            components: 16,
            step: 2 ** -10,
            model: fitLatentModel([Int32Array.from({ length: 17 * 16 }, (_, i) => (i * 997) % 2048)], 16),
          },
        ],
      },
    );
    const { points, summary } = await run({
      codecs: ['fine', 'same'].map((name) => ({ name, codec })),
      ways: ['raw-f32'],
      tasks: ['classification'],
      limit: 8,
    });
    const [raw, fine] = points;
    expect(fine).toMatchObject({ way: 'learned', setting: 'fine (file)', cut: TINY_CUT, loss: 0, agreement: 100 });
    expect(fine.bytes).toBeLessThan(raw.bytes);
    expect(fine.bytes).toBeLessThanOrEqual((fine.idealBytes as number) * 1.005 + 5);
    const { totalMacs } = count((await openNetwork(dir, 'classification')).graph);
    const macs = 17 * 16 * 16;
    expect(fine.headShare).toBeCloseTo((raw.headShare * totalMacs + macs) / (totalMacs + macs), 9);
    expect(summary.filter(({ way }) => way === 'learned')).toHaveLength(1);
  });

  it('takes a middle cut where the suite names none', async () => {
    const plain = join(root, 'uncut');
    await cp(dir, plain, { recursive: true });
    const suite = JSON.parse(await readFile(join(plain, 'suite.json'), 'utf8'));
    await writeFile(join(plain, 'suite.json'), JSON.stringify({ ...suite, cuts: {} }));
    const { points } = await run({ dir: plain, cuts: undefined, ways: ['raw-f32'] });
    expect(points).toHaveLength(3);
    expect(new Set(points.map(({ cut }) => cut)).size).toBe(1);
    for (const { loss, agreement } of points) expect({ loss, agreement }).toEqual({ loss: 0, agreement: 100 });
  });

  it('refuses what it cannot measure', async () => {
    await expect(run({ limit: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(run({ cuts: ['no such tensor'], ways: ['raw-f32'] })).rejects.toMatchObject({ code: 'CUT_UNKNOWN' });
    await expect(run({ dir: join(root, 'absent') })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(run({ split: 'absent' })).rejects.toMatchObject({ code: 'SUITE_INVALID' });
    await expect(run({ ways: [] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(run({ tasks: [] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('bad images', () => {
  /** The tiny suite with its val images listed several times over, and bad ones among them. */
  async function withBad(
    name: string,
    copies: number,
    bad: Readonly<Record<string, Uint8Array | null>>,
  ): Promise<string> {
    const broken = join(root, name);
    await cp(dir, broken, { recursive: true });
    const file = join(broken, 'classification/val.json');
    const items = JSON.parse(await readFile(file, 'utf8'));
    for (const [image, bytes] of Object.entries(bad)) {
      if (bytes) await writeFile(join(broken, image), bytes);
    }
    const all = Array.from({ length: copies }, () => items).flat();
    const extra = Object.keys(bad).map((image) => ({ image, label: 0 }));
    await writeFile(file, JSON.stringify([...extra, ...all]));
    return broken;
  }
  const only = { tasks: ['classification'] as const, ways: ['reference', 'device'] as const };

  it('are reported, counted and skipped', async () => {
    const broken = await withBad('one-bad', 9, {
      'images/val/text.jpg': Buffer.from('no image'),
      'images/none.png': null,
    });
    const seen: string[] = [];
    const { run: info, points } = await run({ dir: broken, ...only, onBad: ({ code }) => seen.push(code) });
    expect(seen.sort()).toEqual(['FILE_NOT_FOUND', 'IMAGE_UNREADABLE']);
    expect(info.skipped.map(({ path }) => path)).toHaveLength(2);
    expect(points[0].images).toBe(216);
  });

  it('fail the run above one in a hundred', async () => {
    const broken = await withBad('bad', 4, { 'images/val/text.jpg': Buffer.from('no image'), 'images/none.png': null });
    await expect(run({ dir: broken, ...only })).rejects.toMatchObject({ code: 'TOO_MANY_BAD_INPUTS' });
  });
});

describe('isthmus bench', () => {
  const number = z.number();
  const nullable = number.nullable();
  const POINTS_JSON = z.object({
    run: z.object({ command: z.array(z.string()), suite: z.literal('tiny'), seed: number, complete: z.literal(true) }),
    points: z.array(
      z.strictObject({
        task: z.enum(['classification', 'captioning', 'vqa']),
        way: z.enum(WAYS),
        setting: z.string().min(1),
        cut: z.string().nullable(),
        images: z.int(),
        score: number,
        scoreLow: number,
        scoreHigh: number,
        loss: number,
        lossLow: number,
        lossHigh: number,
        bytes: number,
        bytesP50: z.int(),
        bytesP95: z.int(),
        bytesMax: z.int(),
        idealBytes: nullable,
        agreement: number.min(0).max(100),
        headShare: number.min(0).max(1),
        headMs: nullable,
        encodeMs: nullable,
        decodeMs: nullable,
        tailMs: nullable,
      }),
    ),
    summary: z.array(
      z.object({ ladder: z.string(), headShare: number, at: z.array(z.object({ loss: number })).length(3) }),
    ),
  });

  async function cli(...args: string[]): Promise<{ out: string; err: string }> {
    const texts = { out: '', err: '' };
    const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      texts.out += String(text);
      return true;
    });
    const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      texts.err += String(text);
      return true;
    });
    const program = new Command().exitOverride();
    addBench(program);
    try {
      await program.parseAsync(['bench', ...args], { from: 'user' });
    } finally {
      stdout.mockRestore();
      stderr.mockRestore();
    }
    return texts;
  }

  it('prints tables with the head share and the control, and writes points.json, points.csv and a report', async () => {
    const out = join(root, 'results');
    const cache = join(root, 'cli-cache');
    const args = [
      dir,
      '--limit',
      '8',
      '--cut',
      'after block 1',
      '--ways',
      'reference,device,webp,klt',
      '--cache',
      cache,
    ];
    const named = join(root, 'new folder', 'named.html');
    const { out: text, err } = await cli(...args, '--out', out, '--report', named);
    expect(text).toMatch(/classification, top1, 8 images/);
    expect(text).toMatch(/head share/);
    expect(text).toMatch(/answering on the device sends .* head share of 100 %/);
    expect(err).toMatch(/cache: /);
    const document = POINTS_JSON.parse(JSON.parse(await readFile(join(out, 'points.json'), 'utf8')));
    const lines = (await readFile(join(out, 'points.csv'), 'utf8')).trimEnd().split('\r\n');
    expect(lines[0]).toBe(POINT_KEYS.join(','));
    expect(lines).toHaveLength(document.points.length + 1);
    const report = await readFile(join(out, 'report.html'), 'utf8');
    expect(report).toContain('<h1>tiny: bytes against score</h1>');
    expect(report.match(/<img src="data:/g)?.length).toBeGreaterThanOrEqual(9);
    expect(await readFile(named, 'utf8')).toBe(report);
    const { out: json } = await cli(...args, '--json', '--quiet');
    expect(POINTS_JSON.parse(JSON.parse(json)).points).toEqual(document.points);
  });

  it('takes several cuts after one --cut, or one each, and names that come twice once', async () => {
    const args = ['--limit', '2', '--seed', '0', '--task', 'vqa,vqa', '--ways', 'raw-f32,raw-f32', '--json', '--quiet'];
    const cache = ['--cache', join(root, 'cuts-cache')];
    const once = await cli(dir, ...args, ...cache, '--cut', 'after block 1', 'features');
    const each = await cli(dir, '--cut', 'after block 1', ...args, ...cache, '--cut', 'features');
    const pointsOf = (text: string) => POINTS_JSON.parse(JSON.parse(text)).points;
    expect(pointsOf(once.out).map(({ cut }) => cut)).toEqual([TINY_CUT, 'features']);
    expect(pointsOf(each.out)).toEqual(pointsOf(once.out));
  });

  it('says what is wrong with its options', async () => {
    await expect(cli(dir, '--ways', 'jpg')).rejects.toThrow(/no way of sending/);
    await expect(cli(dir, '--task', 'detection')).rejects.toThrow(/no task 'detection'/);
    for (const limit of ['many', '0', '-5', '1.5', '']) {
      await expect(cli(dir, '--limit', limit)).rejects.toThrow(/whole number of at least 1/);
    }
    await expect(cli(dir, '--task', ',')).rejects.toThrow(/no task is named/);
    const out = join(root, 'never');
    await expect(cli(join(root, 'absent'), '--out', out)).rejects.toThrow(/is no folder/);
    await expect(readdir(out)).rejects.toThrow(/ENOENT/);
  });
});
