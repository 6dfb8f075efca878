import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { type DifferentiateOptions, differentiate } from '../../src/autodiff/index.ts';
import { buildGraph, node } from '../../src/onnx/build.ts';
import { checkGraph, type Graph, mainGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';
import { uniforms } from '../codec/features.ts';

const WIDTH = 5;
const LAYERS = 6;

/** Layers h = tanh(h w) + h, and the sum of squares of the last. */
function layers(): Graph {
  const random = uniforms(3);
  const matrix = () =>
    tensor(
      'float32',
      [WIDTH, WIDTH],
      Float32Array.from({ length: WIDTH ** 2 }, () => random() - 0.5),
    );
  const each = Array.from({ length: LAYERS }, (_, i) => [
    node('MatMul', [`h${i}`, `w${i}`], [`product${i}`]),
    node('Tanh', [`product${i}`], [`tanh${i}`]),
    node('Add', [`tanh${i}`, `h${i}`], [`h${i + 1}`]),
  ]);
  return buildGraph({
    opset: 17,
    inputs: [{ name: 'h0', dtype: 'float32', shape: ['batch', WIDTH] }],
    outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
    nodes: [...each.flat(), node('ReduceSumSquare', [`h${LAYERS}`], ['loss'], { keepdims: 0 })],
    initializers: Object.fromEntries(Array.from({ length: LAYERS }, (_, i) => [`w${i}`, matrix()])),
  });
}

const WEIGHTS = Array.from({ length: LAYERS }, (_, i) => `w${i}`);
const X = tensor(
  'float32',
  [2, WIDTH],
  Float32Array.from({ length: 2 * WIDTH }, (_, i) => Math.sin(i)),
);

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  checkGraph(graph);
  const session = await openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
  const result = await session.run(feeds);
  await session.release();
  return result;
}

const backward = (options: Partial<DifferentiateOptions> = {}) =>
  differentiate(layers(), { of: 'loss', with: WEIGHTS, ...options });
const again = (graph: Graph) =>
  mainGraph(graph)
    .node.flatMap(({ output }) => output)
    .flatMap((name) => /^again\/([a-z]+\d)/.exec(name)?.[1] ?? []);

describe('recomputation', () => {
  it.each([[['h2', 'h4']], [['h1', 'h2', 'h3', 'h4', 'h5', 'h6']], [['tanh3']], [['h0', 'h6']]])(
    'from %j gives the same gradients',
    async (checkpoint) => {
      expect(await run(backward({ checkpoint }), { h0: X })).toEqual(await run(backward(), { h0: X }));
    },
  );

  it('is of what lies before the last checkpoint, and is read', () => {
    expect(again(backward({ checkpoint: ['h2', 'h4'] })).sort()).toEqual(
      // The sums behind a checkpoint are checkpoints themselves.
      ['h1', 'h3', 'product0', 'product1', 'product2', 'product3', 'tanh0', 'tanh1', 'tanh2', 'tanh3'],
    );
    expect(again(backward())).toEqual([]);
    expect(again(backward({ checkpoint: [] }))).toEqual([]);
  });

  it('happens at run time, segment by segment, each after the gradients behind it', async () => {
    const order = await executed(backward({ checkpoint: ['h2', 'h4'] }));
    const at = (pattern: RegExp) => order.flatMap((name, i) => (pattern.test(name) ? [i] : []));
    const first = at(/^again\/tanh[01]/);
    const second = at(/^again\/tanh[23]/);
    expect([first.length, second.length]).toEqual([2, 2]);
    const products = at(/^backward\/(Gemm|MatMul)/);
    expect(Math.min(...second)).toBeGreaterThan(products[0]);
    expect(Math.min(...first)).toBeGreaterThan(Math.max(...second));
    // Two products a layer, of the weights and of the input: those of layers 2 to 5 come before what lies before h2.
    expect(products.filter((i) => i < first[0]).length).toBeGreaterThanOrEqual(8);
  });

  it('keeps what is drawn at random, integers, and what subgraphs make', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: [4] }],
      outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
      nodes: [
        node('RandomUniformLike', ['x'], ['noise'], {}),
        node('Mul', ['x', 'noise'], ['noisy']),
        node('Exp', ['noisy'], ['e']),
        node('Mul', ['e', 'w'], ['y']),
        node('ReduceSum', ['y'], ['loss'], { keepdims: 0 }),
      ],
      initializers: { w: tensor('float32', [4], Float32Array.of(1, 2, 3, 4)) },
    });
    const names = mainGraph(
      differentiate(graph, { of: 'loss', with: ['x', 'w', 'noise'], checkpoint: ['y'] }),
    ).node.flatMap(({ output }) => output);
    expect(names.some((name) => name.startsWith('again/noisy'))).toBe(true);
    expect(names.some((name) => name.startsWith('again/noise_'))).toBe(false);
  });

  it('names tensors that there are', () => {
    expect(codeOf(() => backward({ checkpoint: ['h7'] }))).toBe('INVALID_ARGUMENT');
  });
});

/** Names of nodes in the order in which ONNX Runtime runs them, after its own optimization. */
async function executed(graph: Graph): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-profile-'));
  try {
    const session = await InferenceSession.create(writeGraph(graph), {
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
      intraOpNumThreads: 1,
    });
    await session.run({ h0: new OrtTensor('float32', X.data as Float32Array, [...X.shape]) });
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    const events: { name: string; cat: string; ts: number }[] = JSON.parse(await readFile(join(folder, file), 'utf8'));
    return events
      .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
      .sort((a, b) => a.ts - b.ts)
      .map(({ name }) => name);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
