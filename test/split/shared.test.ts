import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Graph, mainGraph, readGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { chainGraphs, cutGraph, findCuts, hoistGraph, verifySplit } from '../../src/split/index.ts';
import { SHARED } from '../shared.ts';
import { dataTensors } from './random-graphs.ts';
import { floats, ints, run } from './run.ts';

const graphOf = (...path: string[]): Graph => readGraph(readFileSync(join(SHARED as string, ...path)));
const photos = (task: string): Graph =>
  chainGraphs(graphOf('photos', 'models', 'trunk.onnx'), graphOf('photos', 'models', `${task}.onnx`));

/** At least as many cuts, and at most this difference relative to the output's largest magnitude. */
const GRAPHS = [
  { file: 'light_densenet121.onnx', singles: 80, within: 1e-6, sampled: 2 },
  { file: 'light_inception_v1.onnx', singles: 20, within: 1e-6, sampled: 3 },
  { file: 'light_resnet50.onnx', singles: 35, within: 1e-6, sampled: 2 },
  { file: 'silero_vad_16k_op15.onnx', singles: 12, within: 1e-6, sampled: 8 },
  { file: 'ultraface_rfb_320_simplified.onnx', singles: 20, within: 1e-6, sampled: 4 },
  { file: 'vit_cifar_ibp_3_3_8.onnx', singles: 12, within: 1e-6, sampled: 8 },
  { file: 'winml_candy.onnx', singles: 20, within: 1e-6, sampled: 1 },
  { file: 'winml_mnist.onnx', singles: 8, within: 1e-6, sampled: 8 },
  { file: 'winml_squeezenet_fp16.onnx', singles: 30, within: 5e-3, sampled: 4 },
];

describe.skipIf(!SHARED)('graphs that others made', () => {
  test.each(GRAPHS)('$file', async ({ file, singles, within, sampled }) => {
    const graph = graphOf('graphs', file);
    const cuts = findCuts(graph, { all: true });
    expect(cuts.length).toBeGreaterThanOrEqual(singles);
    const chosen = Array.from({ length: sampled }, (_, i) => cuts[Math.floor(((i + 0.5) * cuts.length) / sampled)]);
    for (const { tensors } of chosen) {
      const halves = cutGraph(
        graph,
        tensors.map(({ name }) => name),
      );
      const { relative } = await verifySplit(graph, halves, { open: openOnnxRuntimeNode, runs: 1 });
      expect(relative).toBeLessThanOrEqual(within);
    }
  });

  test('what is listed can be cut, what is not listed cannot, sizes of a dynamic batch included', () => {
    for (const graph of [
      graphOf('graphs', 'vit_cifar_ibp_3_3_8.onnx'),
      graphOf('graphs', 'silero_vad_16k_op15.onnx'),
    ]) {
      const found = new Set(findCuts(graph, { all: true }).map(({ tensors }) => tensors[0].name));
      const accepted = dataTensors(graph).filter((name) => {
        // The rank of what silero's If gives depends on the branch, so nobody can tell its bytes.
        if (name === '/model/decoder/If_output_0') return false;
        try {
          cutGraph(graph, [name]);
          return true;
        } catch {
          return false;
        }
      });
      expect(new Set(accepted)).toEqual(found);
    }
  });

  test('a model with operators of others says so', async () => {
    const graph = graphOf('graphs', 'superres_prepost_op18.onnx');
    expect(findCuts(graph, { all: true })).toEqual([]);
    const [, first] = mainGraph(graph).node;
    expect(() => cutGraph(graph, [first.output[0]])).toThrow(expect.objectContaining({ name: 'IsthmusError' }));
  });
});

describe.skipIf(!SHARED)('photos: a trunk and its tails', () => {
  test.each(['classification', 'captioning', 'vqa'])('%s is cut as one', async (task) => {
    const graph = photos(task);
    const cuts = findCuts(graph);
    const ends = cuts.filter(({ block }) => block?.of === 12 && block.part === block.parts);
    expect(ends.map(({ block }) => block?.index)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(ends[5].tensors).toEqual([
      { name: '/blocks/blocks.5/Add_1_output_0', dtype: 'float32', shape: ['batch', 197, 192] },
    ]);
    expect(ends[5].bytes).toBe(197 * 192 * 4);
    expect(ends.map(({ headShare }) => headShare)).toEqual(
      ends.map(({ headShare }) => headShare).sort((a, b) => a - b),
    );
    for (const at of ['/blocks/blocks.2/Add_1_output_0', '/patch_embed/Transpose_output_0', 'features']) {
      const halves = cutGraph(graph, [at]);
      const options = { open: openOnnxRuntimeNode, runs: 1, dims: { batch: 2, length: 7 } };
      expect((await verifySplit(graph, halves, options)).relative).toBeLessThanOrEqual(1e-6);
    }
  });

  test.each(['captioning', 'vqa'])('%s: keys and values are computed once, batch first', async (task) => {
    const at = '/blocks/blocks.8/Add_1_output_0';
    const { tail } = cutGraph(photos(task), [at]);
    const { once, each, frontier } = hoistGraph(tail, [at]);
    expect(frontier).toHaveLength(4);
    const feeds = { [at]: floats(2, 197, 192), tokens: ints([2, 3], 1, 5, 9, 1, 7, 4) };
    const state = await run(once as Graph, feeds);
    expect(frontier.map((name) => state[name].shape[0])).toEqual([2, 2, 2, 2]);
    expect(await run(each, { ...state, ...feeds })).toEqual(await run(tail, feeds));
  });
});
