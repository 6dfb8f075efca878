import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { crossEntropy, Extension, topOne, weightedChoices, weightedSum } from '../../src/train/index.ts';

/** Runs a graph of nothing but a loss on logits and labels. */
async function lossOf(
  write: (nodes: Extension) => string,
  feeds: Record<string, Tensor>,
  opset: number,
): Promise<number> {
  const { logits } = feeds;
  const nodes = new Extension(
    buildGraph({
      opset,
      inputs: [
        { name: 'logits', dtype: 'float32', shape: ['n', ...logits.shape.slice(1)] },
        { name: 'labels', dtype: 'int64', shape: ['n'] },
      ],
      outputs: [],
      nodes: [],
    }),
  );
  const name = write(nodes);
  const session = await openOnnxRuntimeNode(writeGraph(nodes.build([{ name, dtype: 'float32', shape: [] }])));
  const result = await session.run(feeds);
  await session.release();
  return (result[name].data as Float32Array)[0];
}

function feedsOf(rows: readonly (readonly number[])[], labels: readonly number[], trailing: number[] = []) {
  return {
    logits: tensor('float32', [rows.length, rows[0].length, ...trailing], Float32Array.from(rows.flat())),
    labels: tensor('int64', [labels.length], BigInt64Array.from(labels, BigInt)),
  };
}

/** From the definition, in float64: -Σ target log softmax. */
function reference(rows: readonly (readonly number[])[], labels: readonly number[], smoothing: number): number {
  const losses = rows.map((row, i) => {
    const most = Math.max(...row);
    const norm = most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
    return row.reduce((sum, x, j) => {
      const target = (j === labels[i] ? 1 - smoothing : 0) + smoothing / row.length;
      return sum - target * (x - norm);
    }, 0);
  });
  return losses.reduce((sum, each) => sum + each, 0) / rows.length;
}

describe('cross-entropy', () => {
  const row = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 4, maxLength: 4 });
  const batch = fc.array(fc.tuple(row, fc.nat(3)), { minLength: 1, maxLength: 5 });

  it('is that of the definition, with smoothing or without, at every operator set', async () => {
    await fc.assert(
      fc.asyncProperty(batch, fc.constantFrom(0, 0.1, 0.9), fc.constantFrom(13, 17, 18, 21), async (rows, s, opset) => {
        const [logits, labels] = [rows.map(([values]) => values), rows.map(([, label]) => label)];
        const loss = await lossOf((g) => crossEntropy(g, 'logits', 'labels', s), feedsOf(logits, labels), opset);
        expect(Math.abs(loss - reference(logits, labels, s))).toBeLessThan(2e-5 * Math.max(1, Math.abs(loss)));
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  it('takes logits with trailing lengths of 1, as convolutional networks give them', async () => {
    const rows = [
      [1, 2, 3],
      [0, -1, 4],
    ];
    const loss = await lossOf((g) => crossEntropy(g, 'logits', 'labels'), feedsOf(rows, [2, 0], [1, 1]), 17);
    expect(loss).toBeCloseTo(reference(rows, [2, 0], 0), 5);
  });

  it('fails on a label that is no class', async () => {
    const attempt = lossOf((g) => crossEntropy(g, 'logits', 'labels'), feedsOf([[1, 2, 3]], [3]), 17);
    await expect(attempt).rejects.toMatchObject({ code: 'RUNTIME_RUN' });
  });
});

it('top-1 is the share of rows whose largest logit is the label’s', async () => {
  const rows = [
    [1, 2, 3],
    [5, -1, 4],
    [0, 1, 0],
    [0, 1, 0],
  ];
  expect(await lossOf((g) => topOne(g, 'logits', 'labels'), feedsOf(rows, [2, 1, 1, 0]), 17)).toBe(0.5);
});

it('a weighted sum is of terms times weights', async () => {
  const feeds = feedsOf([[1, 2, 3]], [0]);
  const sum = (g: Extension) => {
    const loss = crossEntropy(g, 'logits', 'labels');
    return weightedSum(g, [
      [1, loss],
      [-0.5, loss],
      [2, loss],
    ]);
  };
  expect(await lossOf(sum, feeds, 17)).toBeCloseTo(2.5 * reference([[1, 2, 3]], [0], 0), 5);
});

it.each([0, 0.1])('weights choices, with a smoothing of %d', async (smoothing) => {
  const rows = [
    [1, 2, 0.5],
    [0, -1, 3],
    [2, 2.5, -1],
    [0.1, 0.2, 0.3],
  ];
  const labels = [0, 2, 1, 2];
  const weights = [0.5, 0.5, 1, 0];
  const feeds = {
    logits: tensor('float32', [4, 3], Float32Array.from(rows.flat())),
    labels: tensor('int64', [2, 2], BigInt64Array.from(labels, BigInt)),
    weights: tensor('float32', [2, 2], Float32Array.from(weights)),
  };
  const nodes = new Extension(
    buildGraph({
      opset: 17,
      inputs: [
        { name: 'logits', dtype: 'float32', shape: ['n', 3] },
        { name: 'labels', dtype: 'int64', shape: ['b', 'c'] },
        { name: 'weights', dtype: 'float32', shape: ['b', 'c'] },
      ],
      outputs: [],
      nodes: [],
    }),
  );
  const { loss, right } = weightedChoices(nodes, 'logits', 'labels', 'weights', 3, smoothing);
  const outputs = [loss, right].map((name) => ({ name, dtype: 'float32', shape: [] }) as const);
  const session = await openOnnxRuntimeNode(writeGraph(nodes.build(outputs)));
  const found = await session.run(feeds);
  await session.release();
  const wanted = rows.reduce((sum, row, i) => sum + weights[i] * reference([row], [labels[i]], smoothing), 0) / 2;
  expect(Number(found[loss].data[0])).toBeCloseTo(wanted, 5);
  expect(Number(found[right].data[0])).toBeCloseTo((0.5 + 1) / 2, 6);
});
