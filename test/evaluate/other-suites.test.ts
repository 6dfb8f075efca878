import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCodec } from '../../src/codec/index.ts';
import { type BenchOptions, type BenchResult, bench, Cache } from '../../src/evaluate/index.ts';
import { openHalves } from '../../src/halves.ts';
import { openNetwork } from '../../src/network.ts';
import {
  buildGraph,
  type Graph,
  mainGraph,
  node,
  openGraph,
  saveGraph,
  tensorTypeOf,
  valueInfo,
} from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { chainGraphs } from '../../src/split/index.ts';
import { fitCodec, parseRecipe } from '../../src/train/index.ts';
import { TINY } from '../tasks/tiny-graphs.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';

/** Suites laid out in other ways than the photos, all from the same seed: the models compute the same. */

const TASKS = ['classification', 'captioning', 'vqa'] as const;
const IMAGES = 6;

let root: string;
let dirs = 0;
let plain: BenchResult;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-other-'));
  plain = await run(await newSuite());
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function newSuite(name = `suite-${dirs++}`, splits?: readonly string[]): Promise<string> {
  const dir = join(root, name);
  await makeTinySuite(dir, 1, { images: IMAGES, splits });
  return dir;
}

function run(dir: string, options: Partial<BenchOptions> = {}): Promise<BenchResult> {
  const cache = new Cache(join(root, `cache-${dirs++}`));
  const ways = ['reference', 'raw-f32', 'klt'] as const;
  return bench({ dir, open: openOnnxRuntimeNode, cache, ways, cuts: [TINY_CUT], ...options });
}

type Json = ReturnType<typeof JSON.parse>;

async function edit(dir: string, file: string, change: (value: Json) => Json): Promise<void> {
  const path = join(dir, file);
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))));
}

/** Writes the model anew, changed. */
async function remake(dir: string, name: string, change: (graph: Graph) => Graph | Promise<Graph>): Promise<void> {
  const path = join(dir, 'models', `${name}.onnx`);
  await saveGraph(await change(await openGraph(path)), path);
}

/** A network of its own for each task: what is left of the trunk is its name. */
async function wholeModels(dir: string): Promise<void> {
  for (const task of TASKS) {
    await remake(dir, task, async (tail) => chainGraphs(await openGraph(join(dir, 'models/trunk.onnx')), tail));
  }
  await rm(join(dir, 'models/trunk.onnx'));
  await edit(dir, 'suite.json', ({ trunk: _, ...suite }) => ({
    ...suite,
    tasks: Object.fromEntries(
      TASKS.map((task) => [task, { ...suite.tasks[task], tail: undefined, model: suite.tasks[task].tail }]),
    ),
  }));
}

/** One row at a time, as many exporters fix it. */
function single(graph: Graph): Graph {
  const main = mainGraph(graph);
  const fixed = (info: (typeof main.input)[number]) => {
    const { dtype = 'float32', shape = [] } = tensorTypeOf(info.type) ?? {};
    return valueInfo(
      info.name,
      dtype,
      shape.map((length) => (length === 'batch' ? 1 : length)),
    );
  };
  main.input = main.input.map(fixed);
  main.output = main.output.map(fixed);
  return graph;
}

const scores = ({ points }: BenchResult) =>
  points.filter(({ way }) => way !== 'klt').map(({ task, way, score, agreement }) => ({ task, way, score, agreement }));

describe('bench on other suites', () => {
  it('takes a model for each task, and cuts that only some of them have', async () => {
    const dir = await newSuite('Ganze Modelle für 写真');
    await wholeModels(dir);
    expect(scores(await run(dir))).toEqual(scores(plain));

    await remake(dir, 'vqa', (graph) => {
      for (const each of mainGraph(graph).node) {
        each.input = each.input.map((name) => (name === TINY_CUT ? 'own' : name));
        each.output = each.output.map((name) => (name === TINY_CUT ? 'own' : name));
      }
      return graph;
    });
    const { points, run: info } = await run(dir, { cuts: [TINY_CUT, 'own'], ways: ['raw-f32'] });
    expect(points.map(({ task, cut }) => [task, cut])).toEqual([
      ['classification', TINY_CUT],
      ['captioning', TINY_CUT],
      ['vqa', 'own'],
    ]);
    expect(info.notes.filter((note) => /is not measured at/.test(note))).toHaveLength(3);

    // Without a single cut in common each task is cut in its own middle.
    await remake(dir, 'vqa', (graph) => {
      for (const each of mainGraph(graph).node) {
        each.input = each.input.map((name) => (name.startsWith('/') || name === 'features' ? `vqa${name}` : name));
        each.output = each.output.map((name) => (name.startsWith('/') || name === 'features' ? `vqa${name}` : name));
      }
      return graph;
    });
    await edit(dir, 'suite.json', (suite) => ({ ...suite, cuts: {} }));
    const middle = await run(dir, { cuts: undefined, ways: ['raw-f32'] });
    expect(middle.points.map(({ task }) => task).sort()).toEqual([...TASKS].sort());
    expect(new Set(middle.points.map(({ cut }) => cut)).size).toBeGreaterThan(1);
    await expect(run(dir, { cuts: ['nowhere'] })).rejects.toMatchObject({ code: 'CUT_UNKNOWN' });
  });

  it('takes models made for one row at a time, decoders among them', async () => {
    const dir = await newSuite();
    for (const name of ['trunk', ...TASKS]) await remake(dir, name, single);
    expect(scores(await run(dir))).toEqual(scores(plain));

    const network = await openNetwork(dir, 'vqa');
    const { graph, input, hash } = network;
    const job = { graph, input, name: hash, images: [0, 1, 2].map((i) => join(dir, `images/train/000${2 * i}.png`)) };
    const recipe = parseRecipe({ kind: 'klt', cut: [TINY_CUT], bits: 3 });
    const { codec } = await fitCodec({
      ...job,
      recipe,
      cache: new Cache(join(root, 'fit')),
      open: openOnnxRuntimeNode,
    });
    const { device, edge } = await openHalves(network, readCodec(codec.toBytes()), openOnnxRuntimeNode);
    const packet = await device.encode(join(dir, 'images/val/0001.jpg'));
    expect((await edge.answer(packet, 'how many')).answer).toEqual(expect.any(String));
    await expect(edge.answer(packet, undefined as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await Promise.all([device.release(), edge.release()]);
  });

  it('takes models of 16-bit floats', async () => {
    const dir = await newSuite();
    const cast = (from: string, to: string, dtype: 'float16' | 'float32', shape: (string | number)[]) =>
      buildGraph({
        opset: 17,
        inputs: [{ name: from, dtype: dtype === 'float16' ? 'float32' : 'float16', shape }],
        outputs: [{ name: to, dtype, shape }],
        nodes: [node('Cast', [from], [to], { to: dtype === 'float16' ? 10 : 1 })],
        initializers: {},
      });
    const [pixels, features] = [
      ['batch', 3, TINY.side, TINY.side],
      ['batch', TINY.tokens, TINY.width],
    ];
    await remake(dir, 'trunk', (graph) => {
      const wide = chainGraphs(cast('pixels', 'wide', 'float32', pixels), graph, { rename: { wide: 'pixels' } });
      return chainGraphs(wide, cast('features', 'narrow', 'float16', features));
    });
    for (const task of TASKS) {
      await remake(dir, task, (tail) =>
        chainGraphs(cast('narrow', 'wide', 'float32', features), tail, { rename: { wide: 'features' } }),
      );
    }
    const { points } = await run(dir, { cuts: ['narrow'], ways: ['reference', 'raw-f16', 'klt'] });
    for (const point of points.filter(({ way }) => way === 'raw-f16')) {
      expect(point).toMatchObject({ loss: 0, agreement: 100 });
    }
    expect(new Set(points.map(({ way }) => way)).size).toBe(3);
    const scoreOf = (of: BenchResult['points'], task: string) => of.find((point) => point.task === task)?.score;
    expect(scoreOf(points, 'classification')).toBe(scoreOf(plain.points, 'classification'));
  });

  it('takes channels last, and blue first', async () => {
    const dir = await newSuite();
    await remake(dir, 'trunk', (graph) => {
      const { side } = TINY;
      const nodes = [
        node('Transpose', ['x'], ['planes'], { perm: [0, 3, 1, 2] }),
        // The suite is told BGR: RGB again for the trunk.
        node('Gather', ['planes', 'order'], ['rgb'], { axis: 1 }),
      ];
      const first = buildGraph({
        opset: 17,
        inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', side, side, 3] }],
        outputs: [{ name: 'rgb', dtype: 'float32', shape: ['batch', 3, side, side] }],
        nodes,
        initializers: { order: { dtype: 'int64', shape: [3], data: BigInt64Array.of(2n, 1n, 0n) } },
      });
      return chainGraphs(first, graph, { rename: { rgb: 'pixels' } });
    });
    const input = { name: 'x', layout: 'NHWC', order: 'BGR' };
    await edit(dir, 'suite.json', (suite) => ({ ...suite, input: { ...suite.input, ...input } }));
    expect(scores(await run(dir))).toEqual(scores(plain));
  });

  it('takes other splits and one task, and goes without klt where nothing is left to fit it on', async () => {
    const dir = await newSuite('only test-2', ['test-2']);
    await edit(dir, 'suite.json', (suite) => ({ ...suite, tasks: { vqa: suite.tasks.vqa } }));
    const { points, run: info } = await run(dir, { split: 'test-2', limit: 1, seed: 0 });
    expect(points.map(({ way, images }) => [way, images])).toEqual([
      ['reference', 1],
      ['raw-f32', 1],
    ]);
    expect(info.notes.join()).toMatch(/no train split .*klt is left out/s);
  });

  it('leaves out images of which nothing is asked', async () => {
    const dir = await newSuite();
    await edit(dir, 'vqa/val.json', ([first, ...others]) => [{ ...first, questions: [] }, ...others]);
    const { points } = await run(dir, { tasks: ['vqa'], ways: ['reference'] });
    expect(points[0].images).toBe(IMAGES - 1);
    await edit(dir, 'vqa/val.json', (items) => items.map((item: Json) => ({ ...item, questions: [] })));
    await expect(run(dir, { tasks: ['vqa'] })).rejects.toMatchObject({ code: 'SUITE_INVALID' });
  });

  it('takes cuts of several tensors, and refuses one after the tokens came in', async () => {
    const dir = await newSuite();
    const block = mainGraph(await openGraph(join(dir, 'models/trunk.onnx'))).node.map(({ output }) => output[0]);
    const within = block.slice(block.indexOf(TINY_CUT) + 1);
    const { points } = await run(dir, { cuts: [`${TINY_CUT},${within[0]}`], ways: ['raw-f32', 'klt'], limit: 2 });
    expect(points.length).toBeGreaterThan(3);
    for (const { way, agreement } of points) if (way === 'raw-f32') expect(agreement).toBe(100);

    const tail = mainGraph(await openGraph(join(dir, 'models/captioning.onnx'))).node;
    const late = tail[tail.length - 2].output[0];
    await expect(run(dir, { tasks: ['captioning'], cuts: [late] })).rejects.toMatchObject({
      code: 'CUT_INVALID',
      message: expect.stringContaining("'tokens' is needed"),
    });
  });

  it('times the head where all of its features are kept', async () => {
    const dir = await newSuite();
    const cache = new Cache(join(root, 'warm'));
    await run(dir, { cache, ways: ['raw-f32'] });
    const { points } = await run(dir, { cache, ways: ['raw-f16'] });
    for (const { headMs } of points) expect(headMs).toBeGreaterThan(0);
  });
});
