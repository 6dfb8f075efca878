import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bench, Cache } from '../../src/evaluate/index.ts';
import { openNetwork } from '../../src/network.ts';
import { mainGraph, node, openGraph, saveGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { tensor } from '../../src/tensor.ts';
import { fitCodec, parseRecipe } from '../../src/train/index.ts';
import { TINY } from '../tasks/tiny-graphs.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';

/** Cuts whose axis 0 is not the batch: tokens before it, as CLIP's towers have them, and windows of an image. */

let root: string;
let dir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-rows-'));
  dir = join(root, 'suite');
  await makeTinySuite(dir, 1, { images: 6 });
  const path = join(dir, 'models/trunk.onnx');
  const graph = await openGraph(path);
  const main = mainGraph(graph);
  const at = main.node.findIndex(({ output }) => output.includes(TINY_CUT));
  for (const each of main.node) each.input = each.input.map((name) => (name === TINY_CUT ? 'after' : name));
  const shape = (...lengths: number[]) => ({
    value: tensor('int64', [lengths.length], BigInt64Array.from(lengths, BigInt)),
  });
  const { tokens, width } = TINY;
  main.node.splice(
    at + 1,
    0,
    node('Transpose', [TINY_CUT], ['tokens first'], { perm: [1, 0, 2] }),
    node('Transpose', ['tokens first'], ['before'], { perm: [1, 0, 2] }),
    node('Constant', [], ['windowed'], shape(-1, 1, width)),
    node('Reshape', ['before', 'windowed'], ['windows']),
    node('Constant', [], ['whole'], shape(-1, tokens, width)),
    node('Reshape', ['windows', 'whole'], ['after']),
  );
  await saveGraph(graph, path);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe.each(['tokens first', 'windows'])('a cut at %s', (cut) => {
  it('gives the answers of the uncut model', async () => {
    const cache = new Cache(join(root, `cache of ${cut}`));
    const ways = ['reference', 'raw-f32', 'klt'] as const;
    const tasks = ['classification', 'captioning', 'vqa'] as const;
    const { points } = await bench({ dir, open: openOnnxRuntimeNode, cache, ways, cuts: [cut], tasks });
    const raw = points.filter(({ way }) => way === 'raw-f32');
    expect(raw.map(({ agreement }) => agreement)).toEqual([100, 100, 100]);
    expect(new Set(raw.map(({ bytes }) => bytes))).toEqual(new Set([9 + 4 * TINY.tokens * TINY.width]));
    expect(points.some(({ way }) => way === 'klt')).toBe(true);
  });

  it('has codecs fitted to it', async () => {
    const { graph, input, hash } = await openNetwork(dir, 'classification');
    const images = [0, 2, 4].map((i) => join(dir, `images/train/000${i}.png`));
    const recipe = parseRecipe({ kind: 'klt', cut: [cut], bits: 3 });
    const cache = new Cache(join(root, `fit of ${cut}`));
    const { codec } = await fitCodec({ recipe, graph, input, images, name: hash, cache, open: openOnnxRuntimeNode });
    const { tokens, width } = TINY;
    expect(codec.features[0].shape).toEqual([tokens, 1, width]);
  });
});
