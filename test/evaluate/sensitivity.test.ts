import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CodecSource } from '../../src/codec/index.ts';
import {
  Cache,
  type Features,
  type Input,
  modelLoss,
  type SensitivityOptions,
  SuiteLosses,
  sensitivityOf,
  type TaskLoss,
} from '../../src/evaluate/index.ts';
import { buildGraph, type Graph, node } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { openSuite, teachImages } from '../../src/tasks/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';
import { uniforms } from '../codec/features.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-sensitivity-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

let caches = 0;
const options = (more: Partial<SensitivityOptions> = {}): SensitivityOptions => ({
  open: openOnnxRuntimeNode,
  cache: new Cache(join(root, `cache-${caches++}`)),
  seed: 1,
  batch: 8,
  ...more,
});

/** Features that are there, in place of a head that makes them. */
const featuresOf = (make: (i: number) => Tensor[]): Features =>
  ({ identity: ['made'], of: async ({ path }: Input) => make(Number(path)) }) as unknown as Features;
const inputsOf = (count: number): Input[] =>
  Array.from({ length: count }, (_, i) => ({ path: `${i}`, hash: `${i}`, fileBytes: 0, asks: [], truths: [] }));

/** logits [batch, 3] = x [batch, 2] W, W = [[1, -1, 0.5], [0.25, 2, -1]]. */
const W = [
  [1, -1, 0.5],
  [0.25, 2, -1],
];
const linear: Graph = buildGraph({
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
  outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 3] }],
  initializers: { W: tensor('float32', [2, 3], Float32Array.from(W.flat())) },
  nodes: [node('MatMul', ['x', 'W'], ['logits'])],
});
const x: CodecSource = { features: [{ name: 'x', dtype: 'float32', shape: [1, 2] }] };
const lossOf = (tail: Graph, name = 'a'): TaskLoss => ({ name, tail, teach: teachImages, asks: new Map() });

/** W (diag(p) - p pᵀ) Wᵀ: the Fisher information of softmax regression at x. */
function fisher(at: readonly number[]): number[] {
  const logits = [0, 1, 2].map((c) => at[0] * W[0][c] + at[1] * W[1][c]);
  const total = logits.reduce((sum, z) => sum + Math.exp(z), 0);
  const p = logits.map((z) => Math.exp(z) / total);
  const mean = W.map((row) => row.reduce((sum, w, c) => sum + p[c] * w, 0));
  return [0, 1].flatMap((a) =>
    [0, 1].map((b) => p.reduce((sum, pc, c) => sum + pc * (W[a][c] - mean[a]) * (W[b][c] - mean[b]), 0)),
  );
}

describe('the sensitivity of softmax regression', () => {
  it('is its Fisher information, scaled to a mean of 1', async () => {
    const at = [0.3, -0.4];
    const features = featuresOf(() => [tensor('float32', [1, 2], Float32Array.from(at))]);
    const [{ moments }] = await sensitivityOf(x, [lossOf(linear)], features, inputsOf(4000), options());
    const wanted = fisher(at);
    const scale = 2 / (wanted[0] + wanted[3]);
    expect(moments[0] + moments[3]).toBeCloseTo(2, 9);
    // The standard error of 4,000 draws is below 0.03.
    for (const [i, value] of wanted.entries()) expect(Math.abs(moments[i] - scale * value)).toBeLessThan(0.1);
    expect(moments[1]).toBe(moments[2]);
  });

  it('averages tasks of which each counts the same, however large its gradients are', async () => {
    const random = uniforms(3);
    const values = Array.from({ length: 64 }, () => Float32Array.of(random() - 0.5, random() - 0.5));
    const features = featuresOf((i) => [tensor('float32', [1, 2], values[i])]);
    // The second task sees x[1] alone, a thousandfold.
    const second = buildGraph({
      opset: 13,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
      outputs: [{ name: 'out', dtype: 'float32', shape: ['batch', 2, 1, 1] }],
      initializers: {
        M: tensor('float32', [2, 2], Float32Array.of(0, 0, 1000, -1000)),
        shape: tensor('int64', [4], BigInt64Array.of(0n, 2n, 1n, 1n)),
        small: tensor('float32', [], Float32Array.of(1e-6)),
      },
      nodes: [
        node('Mul', ['x', 'small'], ['near']),
        node('MatMul', ['near', 'M'], ['pair']),
        node('Reshape', ['pair', 'shape'], ['out']),
      ],
    });
    const run = (losses: TaskLoss[]) => sensitivityOf(x, losses, features, inputsOf(64), options());
    const [one] = await run([lossOf(linear)]);
    const [other] = await run([lossOf(second)]);
    const [both] = await run([lossOf(linear), lossOf(second, 'b')]);
    expect([...other.moments].map((value) => Math.round(1e6 * value) / 1e6)).toEqual([0, 0, 0, 2]);
    for (let i = 0; i < 4; i++) expect(both.moments[i]).toBeCloseTo((one.moments[i] + other.moments[i]) / 2, 12);
  });

  it('is the same by seed, another by another one, and kept', async () => {
    const features = featuresOf((i) => [tensor('float32', [1, 2], Float32Array.of(i / 32, 0.5 - i / 40))]);
    const cache = new Cache(join(root, 'kept'));
    const run = (more: Partial<SensitivityOptions> = {}) =>
      sensitivityOf(x, [lossOf(linear)], features, inputsOf(32), options({ cache, ...more }));
    const first = await run();
    let seen = 0;
    const nothing = async () => {
      throw new Error('what is kept needs no model');
    };
    expect(await run({ open: nothing, onImages: (count) => (seen += count) })).toEqual(first);
    expect(seen).toBe(32);
    expect(await run({ cache: new Cache(join(root, 'again')), batch: 8 })).toEqual(first);
    expect((await run({ seed: 2 }))[0].moments).not.toEqual(first[0].moments);
  });

  it('is refused where there is none: other logits, tokens, a loss that does not depend on the feature', async () => {
    const features = featuresOf(() => [tensor('float32', [1, 2], Float32Array.of(1, 2))]);
    const run = (tail: Graph, more: Partial<SensitivityOptions> = {}) =>
      sensitivityOf(x, [lossOf(tail)], features, inputsOf(2), options(more)).catch(({ code, message }) => [
        code,
        message,
      ]);
    const tailOf = (shape: (string | number)[], nodes: ReturnType<typeof node>[]) =>
      buildGraph({
        opset: 17,
        inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
        outputs: [{ name: 'logits', dtype: 'float32', shape }],
        initializers: {
          zero: tensor('float32', [], Float32Array.of(0)),
          axis: tensor('int64', [1], BigInt64Array.of(1n)),
        },
        nodes,
      });
    expect(await run(tailOf(['batch', 1, 2], [node('Unsqueeze', ['x', 'axis'], ['logits'])]))).toEqual([
      'INVALID_ARGUMENT',
      expect.stringMatching(/logits \[batch, classes\]; 'logits' is float32 \[\?,1,2\]/),
    ]);
    expect(await run(tailOf(['batch', 2], [node('Mul', ['x', 'zero'], ['logits'])]))).toEqual([
      'INVALID_ARGUMENT',
      expect.stringContaining('does not depend on the feature'),
    ]);
    const stop = new AbortController();
    stop.abort();
    expect((await run(linear, { signal: stop.signal }))[0]).toBe('ABORTED');
    const tokens = buildGraph({
      opset: 17,
      inputs: [
        { name: 'x', dtype: 'float32', shape: ['batch', 2] },
        { name: 'tokens', dtype: 'int64', shape: ['batch', 2] },
      ],
      outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 2] }],
      nodes: [
        node('Identity', ['x'], ['cut']),
        node('Cast', ['tokens'], ['float'], { to: 1 }),
        node('Add', ['cut', 'float'], ['logits']),
      ],
    });
    expect(codeOf(() => modelLoss(tokens, ['cut'], 'x'))).toBe('INVALID_ARGUMENT');
  });
});

describe('the sensitivity of a suite', () => {
  it('takes the class token apart, and captions and questions are taught', async () => {
    const dir = join(root, 'tiny');
    await makeTinySuite(dir);
    const suite = await openSuite(dir);
    const source: CodecSource = { features: [{ name: TINY_CUT, dtype: 'float32', shape: [1, 17, 16] }] };
    const random = uniforms(5);
    const values = Array.from({ length: 12 }, () => Float32Array.from({ length: 272 }, () => 2 * random() - 1));
    const features = featuresOf((i) => [tensor('float32', [1, 17, 16], values[i])]);
    const losses = await new SuiteLosses(suite).at([TINY_CUT]);
    expect(losses.map(({ name }) => name)).toEqual(['classification', 'captioning', 'vqa']);
    for (const loss of losses) {
      const found = await sensitivityOf(source, [loss], features, inputsOf(12), options());
      expect(found.map(({ first, vectors }) => [first, vectors])).toEqual([
        [0, 1],
        [1, 16],
      ]);
      let squares = 0;
      for (const { vectors, moments } of found) {
        for (let a = 0; a < 16; a++) {
          squares += vectors * moments[17 * a];
          for (let b = 0; b < a; b++) expect(moments[16 * a + b]).toBe(moments[16 * b + a]);
        }
      }
      expect(squares / 272, loss.name).toBeCloseTo(1, 9);
      // Captions are padded to the longest of a batch, so that draws differ there.
      if (loss.name === 'captioning') continue;
      const alone = await sensitivityOf(source, [loss], features, inputsOf(12), options({ batch: 1 }));
      for (const [r, { moments }] of alone.entries()) {
        const largest = Math.max(...found[r].moments.map(Math.abs));
        for (const [i, value] of moments.entries()) {
          expect(Math.abs(value - found[r].moments[i]) / largest).toBeLessThan(1e-4);
        }
      }
    }
    await expect(new SuiteLosses(suite).at(['nowhere'])).rejects.toMatchObject({
      code: expect.stringMatching(/^CUT_/),
    });
  });
});
