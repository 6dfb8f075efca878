import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { node, valueInfo } from '../../src/onnx/build.ts';
import { checkGraph, type Graph, mainGraph, openGraph, writeGraph } from '../../src/onnx/index.ts';
import { GraphProtoSchema, ModelProtoSchema } from '../../src/onnx/onnx_pb.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { chainGraphs, cutGraph } from '../../src/split/index.ts';
import { prepare } from '../../src/tasks/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { uniforms } from '../codec/features.ts';
import { SHARED } from '../shared.ts';

const PHOTOS = join(SHARED ?? '', 'photos');
const IMAGES = ['images/val/c0000.jpg', 'images/val/v0001.jpg'];
const TOKENS = tensor('int64', [2, 5], BigInt64Array.from([1, 17, 4, 9, 30, 1, 6, 52, 11, 7], BigInt));
const TRUNK_END = 'features';

let trunk: Graph;
let tails: Record<string, Graph>;
let pixels: Tensor;

const model = (name: string) => openGraph(join(PHOTOS, `models/${name}.onnx`));

describe.skipIf(!SHARED)('the tails of photos, along random directions', () => {
  beforeAll(async () => {
    trunk = await model('trunk');
    tails = {
      classification: await model('classification'),
      captioning: await model('captioning'),
      vqa: await model('vqa'),
    };
    const suite = JSON.parse(await readFile(join(PHOTOS, 'suite.json'), 'utf8'));
    const images = await Promise.all(IMAGES.map((path) => prepare(join(PHOTOS, path), suite.input)));
    const data = new Float32Array(images.flatMap((image) => [...(image.data as Float32Array)]));
    pixels = tensor('float32', [IMAGES.length, 3, 224, 224], data);
  });

  it.each<[task: string, cut: string, step?: number]>([
    ['classification', '/blocks/blocks.2/Add_1_output_0'],
    ['classification', '/blocks/blocks.5/Add_1_output_0'],
    ['classification', '/blocks/blocks.8/Add_1_output_0'],
    // The derivative by the picture is small beside the loss of all words: float32 rounding asks for wider steps.
    ['captioning', '/blocks/blocks.2/Add_1_output_0', 1.6e-2],
    ['captioning', '/blocks/blocks.5/Add_1_output_0', 1.6e-2],
    ['captioning', '/blocks/blocks.8/Add_1_output_0'],
    ['vqa', '/blocks/blocks.2/Add_1_output_0'],
    ['vqa', '/blocks/blocks.5/Add_1_output_0'],
    ['vqa', '/blocks/blocks.8/Add_1_output_0'],
  ])('%s after %s', async (task, cut, step = 4e-3) => {
    const { head, tail } = cutGraph(chainGraphs(trunk, tails[task]), [cut]);
    const feature = (await run(head, { pixels }))[cut];
    const feeds: Record<string, Tensor> = { [cut]: feature };
    if (task !== 'classification') feeds.tokens = TOKENS;
    expect(await worstAlong(tail, cut, feeds, step)).toBeLessThan(2e-3);
  });

  it('the whole trunk, by its pixels', async () => {
    const whole = chainGraphs(trunk, tails.classification);
    // 150,528 pixels through twelve blocks: float32 rounding is what is left of the difference.
    expect(await worstAlong(whole, 'pixels', { pixels }, 1e-3)).toBeLessThan(5e-3);
  });

  it('names of weights give gradients of weights', async () => {
    const tail = tails.classification;
    const weights = mainGraph(tail)
      .initializer.filter(({ dims }) => dims.length > 0)
      .map(({ name, dims }) => ({ name, shape: dims.map(Number) }));
    const features = (await run(trunk, { pixels }))[TRUNK_END];
    const { graph, labels } = await withLoss(tail, { features });
    const gradients = await run(differentiate(graph, { of: 'loss', with: weights.map(({ name }) => name) }), {
      features,
      labels,
    });
    for (const { name, shape } of weights) expect(gradients[`grad/${name}`].shape).toEqual(shape);
  });
});

/**
 * Largest error of the derivative along three random directions, relative to the largest such derivative. `step` is in
 * root mean squares of the tensor.
 */
async function worstAlong(network: Graph, name: string, feeds: Record<string, Tensor>, step: number): Promise<number> {
  const { graph, labels, logits } = await withLoss(network, feeds);
  const backward = differentiate(graph, { of: 'loss', with: [name] });
  checkGraph(backward);
  const result = await run(backward, { ...feeds, labels });
  const gradient = result[`grad/${name}`].data as Float32Array;
  const session = await openOnnxRuntimeNode(writeGraph(network), { threads: 2 });
  const loss = async (x: Float32Array) => {
    const moved = tensor('float32', feeds[name].shape, x);
    return crossEntropy((await session.run({ ...feeds, [name]: moved }))[logits], labels);
  };
  const x = feeds[name].data as Float32Array;
  const rms = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
  const random = uniforms(9);
  let error = 0;
  let scale = 0;
  for (let i = 0; i < 3; i++) {
    const direction = Float32Array.from(x, () => rms * (2 * random() - 1));
    const at = (step: number) => loss(x.map((value, k) => value + step * direction[k]));
    const [a, b, c, d] = [await at(-2 * step), await at(-step), await at(step), await at(2 * step)];
    const numeric = (8 * (c - b) - (d - a)) / (12 * step);
    const analytic = direction.reduce((sum, value, k) => sum + value * gradient[k], 0);
    error = Math.max(error, Math.abs(analytic - numeric));
    scale = Math.max(scale, Math.abs(numeric));
  }
  expect((result.loss.data as Float32Array)[0]).toBeCloseTo(await loss(x), 4);
  await session.release();
  return error / scale;
}

/** The network with the mean cross-entropy of its logits against labels of our own, and these labels. */
async function withLoss(network: Graph, feeds: Record<string, Tensor>) {
  const main = mainGraph(network);
  const logits = main.output[0].name;
  const { shape } = (await run(network, feeds))[logits];
  const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const labels = tensor(
    'int64',
    [...shape.slice(0, -1), 1],
    BigInt64Array.from({ length: rows }, (_, i) => BigInt((i * 37 + 3) % shape[shape.length - 1])),
  );
  const graph = create(ModelProtoSchema, {
    irVersion: network.irVersion,
    opsetImport: network.opsetImport,
    graph: create(GraphProtoSchema, {
      name: main.name,
      initializer: main.initializer,
      input: [
        ...main.input,
        valueInfo(
          'labels',
          'int64',
          shape.map(() => '?'),
        ),
      ],
      output: [valueInfo('loss', 'float32', [])],
      node: [
        ...main.node,
        node('LogSoftmax', [logits], ['log_p'], { axis: -1 }),
        node('GatherElements', ['log_p', 'labels'], ['log_likelihoods'], { axis: shape.length - 1 }),
        node('ReduceMean', ['log_likelihoods'], ['log_likelihood'], { keepdims: 0 }),
        node('Neg', ['log_likelihood'], ['loss']),
      ],
    }),
  });
  return { graph, labels, logits };
}

/** In float64, so that differences are not lost in its rounding. */
function crossEntropy(logits: Tensor, labels: Tensor): number {
  const classes = logits.shape[logits.shape.length - 1];
  const values = logits.data as Float32Array;
  const rows = values.length / classes;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const own = Float64Array.from(values.subarray(row * classes, (row + 1) * classes));
    const largest = own.reduce((a, b) => Math.max(a, b));
    const log = largest + Math.log(own.reduce((total, value) => total + Math.exp(value - largest), 0));
    sum += log - own[Number(labels.data[row])];
  }
  return sum / rows;
}

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openOnnxRuntimeNode(writeGraph(graph), { threads: 2 });
  const result = await session.run(feeds);
  await session.release();
  return result;
}
