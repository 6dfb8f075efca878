import { expect, it } from 'vitest';
import { checkGraph, writeGraph } from '../../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../../src/runtime/index.ts';
import { asFloat, elements, tensor, toFloat32 } from '../../../src/tensor.ts';
import { groupCount, groupingOf, tokenGrid } from '../../../src/train/codec/grid.ts';
import { scaled, weightedKlt } from '../../../src/train/codec/start.ts';
import { initialWeights, latentsOf, type TokenTransform, transformGraphs } from '../../../src/train/codec/transform.ts';
import { normals, randomOf } from '../../../src/train/random.ts';

/** Moments of correlated vectors around a mean of their own. */
function moments(vectors: number, length: number) {
  const random = randomOf('moments', vectors, length);
  const square = () => {
    const mix = normals(random, length * length, 1);
    return Float64Array.from({ length: length * length }, (_, i) => {
      let sum = i % (length + 1) === 0 ? 0.5 : 0;
      for (let k = 0; k < length; k++) sum += mix[Math.floor(i / length) * length + k] * mix[(i % length) * length + k];
      return sum;
    });
  };
  return {
    mean: Float64Array.from(normals(random, vectors * length, 3)),
    covariance: square(),
    sensitivity: square(),
  };
}

it.each([
  { shape: [1, 17, 8], dtype: 'float32' },
  { shape: [1, 4, 4, 4], dtype: 'float32' },
  { shape: [1, 17, 8], dtype: 'float16' },
] as const)(
  '$shape of $dtype: all components give the feature back, whatever the blocks, which change nothing at first',
  async ({ shape, dtype }) => {
    const grid = tokenGrid(shape);
    const grouping = groupingOf(grid, 2);
    const transform: TokenTransform = {
      grid,
      grouping,
      components: grouping.length,
      prefixComponents: grid.length,
      analysisBlocks: 1,
      synthesisBlocks: 2,
    };
    const start = {
      groups: scaled(weightedKlt(moments(groupCount(grouping), grouping.length), grouping.length), 0.1),
      prefix: grid.prefix === 0 ? null : scaled(weightedKlt(moments(1, grid.length), grid.length), 0.1),
    };
    const feature = { name: 'x', dtype, shape };
    const graphs = transformGraphs(transform, feature, initialWeights(transform, start, 1));
    checkGraph(graphs.analysis);
    checkGraph(graphs.synthesis);
    const analysis = await openOnnxRuntimeNode(writeGraph(graphs.analysis), { threads: 1 });
    const synthesis = await openOnnxRuntimeNode(writeGraph(graphs.synthesis), { threads: 1 });
    const values = normals(randomOf('feature', 1), 2 * elements(shape), 2);
    const [, ...lengths] = shape;
    const x = asFloat(tensor('float32', [2, ...lengths], values), dtype);
    const latents = await analysis.run({ x });
    expect(Object.keys(latents)).toEqual(latentsOf(transform).map(({ name }) => name));
    const back = (await synthesis.run(latents)).x;
    await Promise.all([analysis.release(), synthesis.release()]);
    expect(back.dtype).toBe(dtype);
    const got = toFloat32(back);
    const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i])), 0);
    // Weights are float16.
    expect(worst).toBeLessThan(0.15);
  },
);
