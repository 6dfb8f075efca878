import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildGraph, writeGraph } from '../../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../../src/runtime/index.ts';
import { tensor } from '../../../src/tensor.ts';
import { gatherGroups, groupCount, groupingOf, tokenGrid } from '../../../src/train/codec/grid.ts';
import { latentsOf, type TokenTransform, writeAnalysis } from '../../../src/train/codec/transform.ts';
import { Extension } from '../../../src/train/extension.ts';

describe('tokenGrid', () => {
  it.each([
    [[1, 197, 192], undefined, { prefix: 1, height: 14, width: 14, length: 192, channelsFirst: false }],
    [[1, 198, 192], undefined, { prefix: 2, height: 14, width: 14, length: 192, channelsFirst: false }],
    [[1, 201, 384], undefined, { prefix: 5, height: 14, width: 14, length: 384, channelsFirst: false }],
    [[1, 49, 768], undefined, { prefix: 0, height: 7, width: 7, length: 768, channelsFirst: false }],
    [[1, 15, 8], undefined, { prefix: 0, height: 1, width: 15, length: 8, channelsFirst: false }],
    [[1, 13, 8], [3, 4], { prefix: 1, height: 3, width: 4, length: 8, channelsFirst: false }],
    [[1, 64, 7, 9], undefined, { prefix: 0, height: 7, width: 9, length: 64, channelsFirst: true }],
    [[1, 512], undefined, { prefix: 0, height: 1, width: 1, length: 512, channelsFirst: false }],
  ] as const)('reads %j with %j', (shape, size, grid) => {
    expect(tokenGrid(shape, size)).toEqual(grid);
  });

  it.each([
    [[2, 4, 8], undefined],
    [[1], undefined],
    [[1, 2, 3, 4, 5], undefined],
    [
      [1, 5, 8],
      [3, 2],
    ],
    [
      [1, 64, 7, 7],
      [7, 7],
    ],
  ] as const)('refuses %j with %j', (shape, size) => {
    expect(() => tokenGrid(shape, size)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('tells which groups fit', () => {
    expect(() => groupingOf(tokenGrid([1, 197, 192]), 4)).toThrow(/choose from 1, 2, 7, 14/);
    expect(groupingOf(tokenGrid([1, 15, 8]), 3)).toEqual({ sides: [1, 3], groups: [1, 5], length: 24 });
  });
});

describe('groups', () => {
  const features = fc.constantFrom<{ shape: number[]; group: number }[]>(
    { shape: [1, 17, 3], group: 2 },
    { shape: [1, 36, 2], group: 3 },
    { shape: [1, 8, 2], group: 4 },
    { shape: [1, 3, 4, 6], group: 2 },
    { shape: [1, 5], group: 1 },
  );

  it('are those that the analysis graph multiplies', async () => {
    await fc.assert(
      fc.asyncProperty(features, fc.integer({ min: 1, max: 3 }), async ({ shape, group }, batch) => {
        const grid = tokenGrid(shape);
        const grouping = groupingOf(grid, group);
        const transform: TokenTransform = {
          grid,
          grouping,
          components: grouping.length,
          prefixComponents: grid.length,
          analysisBlocks: 0,
          synthesisBlocks: 0,
        };
        const nodes = new Extension(
          buildGraph({
            opset: 17,
            inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', ...shape.slice(1)] }],
            outputs: [],
            nodes: [],
          }),
        );
        const weight = (name: string) => {
          const length = name.includes('prefix') ? grid.length : grouping.length;
          if (name.endsWith('bias')) return nodes.number(0);
          return nodes.constant(tensor('float32', [length, length], identity(length)));
        };
        const names = writeAnalysis(nodes, transform, 'x', weight);
        const graph = nodes.build(names.map((name) => ({ name, dtype: 'float32' })));
        const session = await openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
        const values = Float32Array.from({ length: batch * shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 1);
        const made = await session.run({ x: tensor('float32', [batch, ...shape.slice(1)], values) });
        await session.release();
        const { groups, prefix } = gatherGroups(grid, grouping, values, batch);
        expect(made[names[0]].shape).toEqual([batch, groupCount(grouping), grouping.length]);
        expect(made[names[0]].data).toEqual(groups);
        if (grid.prefix > 0) expect(made[names[1]].data).toEqual(prefix);
        expect(latentsOf(transform).length).toBe(names.length);
      }),
      { numRuns: 15, seed: 1 },
    );
  });
});

function identity(length: number): Float32Array {
  return Float32Array.from({ length: length * length }, (_, i) => (i % (length + 1) === 0 ? 1 : 0));
}
