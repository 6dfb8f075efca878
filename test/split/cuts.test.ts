import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildGraph, type Graph, mainGraph, node } from '../../src/onnx/index.ts';
import { assumedLengths, cutGraph, findCuts } from '../../src/split/index.ts';
import { cutsByDefinition, dataTensors, randomGraph } from './random-graphs.ts';
import { bothWays, floats, ints } from './run.ts';

function tensorsOf(graph: Graph, options: Parameters<typeof findCuts>[1] = { all: true }): string[] {
  return findCuts(graph, options).map(({ tensors }) => tensors.map(({ name }) => name).join(' '));
}

describe('random graphs', () => {
  test('every single tensor that cuts is found, and no other', () => {
    fc.assert(
      fc.property(randomGraph, (graph) => {
        const expected = dataTensors(graph).filter((name) => cutsByDefinition(graph, [name]));
        expect(new Set(tensorsOf(graph))).toEqual(new Set(expected));
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  test('every pair that cuts is found, and no other', () => {
    fc.assert(
      fc.property(randomGraph, (graph) => {
        const names = dataTensors(graph);
        const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b]));
        const expected = pairs
          .filter((pair) => {
            const inputs = cutsByDefinition(graph, pair);
            return inputs && !pair.some((name) => cutsByDefinition(graph, [name])?.join() === inputs.join());
          })
          .map((pair) => pair.join(' '));
        const found = tensorsOf(graph, { all: true, maxTensors: 2 }).filter((name) => name.includes(' '));
        expect(new Set(found)).toEqual(new Set(expected));
      }),
      { seed: 2, numRuns: 200 },
    );
  });

  test('what is found can be cut, what is not found cannot', () => {
    fc.assert(
      fc.property(randomGraph, (graph) => {
        const found = new Set(tensorsOf(graph));
        for (const name of dataTensors(graph)) {
          if (found.has(name)) cutGraph(graph, [name]);
          else expect(() => cutGraph(graph, [name])).toThrow(expect.objectContaining({ code: 'CUT_INVALID' }));
        }
      }),
      { seed: 3, numRuns: 100 },
    );
  });

  test('what a refusal says would complete the cut does', () => {
    fc.assert(
      fc.property(randomGraph, fc.nat(), (graph, at) => {
        const names = dataTensors(graph);
        const name = names[at % names.length];
        try {
          cutGraph(graph, [name]);
        } catch (error) {
          const added = /; with (.*) added it would separate/.exec((error as Error).message)?.[1];
          if (added === undefined) return;
          const more = [...added.matchAll(/'([^']+)'/g)].map((match) => match[1]);
          try {
            cutGraph(graph, [name, ...more]);
          } catch (second) {
            // The tensor named first may turn out to be one that the others make needless.
            expect((second as Error).message).toMatch(/is not needed after the cut|head empty|nothing is computed/);
          }
        }
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  test('head and tail compute the whole to the last bit', async () => {
    await fc.assert(
      fc.asyncProperty(randomGraph, fc.nat(), async (graph, at) => {
        const cuts = findCuts(graph, { all: true, maxTensors: 2 });
        fc.pre(cuts.length > 0);
        const names = cuts[at % cuts.length].tensors.map(({ name }) => name);
        const feeds = Object.fromEntries(mainGraph(graph).input.map(({ name }) => [name, floats(2, 3)]));
        const { whole, halves } = await bothWays(graph, names, feeds);
        expect(halves).toEqual(whole);
      }),
      { seed: 5, numRuns: 60 },
    );
  });
});

const x = { name: 'x', dtype: 'float32', shape: ['batch', 8] } as const;
const y = { ...x, name: 'y' };

/** Blocks of x + relu(x w1) w2, as a transformer's. */
function blocks(count: number): Graph {
  const nodes = Array.from({ length: count }, (_, i) => [
    node('MatMul', [`r${i}`, 'w1'], [`a${i}`]),
    node('Relu', [`a${i}`], [`b${i}`]),
    node('MatMul', [`b${i}`, 'w2'], [`c${i}`]),
    node('Add', [`c${i}`, `r${i}`], [`r${i + 1}`]),
  ]).flat();
  return buildGraph({
    opset: 17,
    inputs: [x],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
    nodes: [node('MatMul', ['x', 'w0'], ['r0']), ...nodes, node('MatMul', [`r${count}`, 'w3'], ['y'])],
    initializers: { w0: floats(8, 6), w1: floats(6, 24), w2: floats(24, 6), w3: floats(6, 2) },
  });
}

describe('findCuts', () => {
  test('bytes, parameters and multiply-accumulates of both sides', () => {
    const [cut] = findCuts(blocks(2)).filter(({ tensors }) => tensors[0].name === 'r1');
    const block = 2 * 6 * 24;
    expect(cut).toMatchObject({
      tensors: [{ name: 'r1', dtype: 'float32', shape: ['batch', 6] }],
      bytes: 24,
      headMacs: 48 + block,
      tailMacs: block + 12,
      headParams: 48 + block,
      tailParams: block + 12,
      headShare: (48 + block) / (60 + 2 * block),
      headInputs: ['x'],
      tailInputs: [],
      block: { index: 1, of: 2, part: 1, parts: 1 },
    });
  });

  test('repeated blocks are numbered in order', () => {
    const cuts = findCuts(blocks(5)).filter(({ block }) => block !== undefined);
    expect(cuts.map(({ tensors, block }) => [tensors[0].name, block?.index, block?.of])).toEqual(
      [1, 2, 3, 4, 5].map((i) => [`r${i}`, i, 5]),
    );
  });

  test('of tensors between which nothing is multiplied one is interesting: the smallest, and no mere change of layout', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3, 8, 8] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [1, 2] }],
      nodes: [
        node('Conv', ['x', 'k'], ['conv']),
        node('BatchNormalization', ['conv', 's', 's', 's', 'v'], ['norm']),
        node('Relu', ['norm'], ['relu']),
        node('MaxPool', ['relu'], ['pool'], { kernel_shape: [2, 2], strides: [2, 2] }),
        node('Sigmoid', ['pool'], ['last']),
        node('Reshape', ['last', 'flat'], ['flattened']),
        node('MatMul', ['flattened', 'w'], ['logits']),
        node('Softmax', ['logits'], ['y']),
      ],
      initializers: {
        k: floats(4, 3, 3, 3),
        s: floats(4),
        v: { dtype: 'float32', shape: [4], data: Float32Array.of(1, 2, 3, 4) },
        flat: ints([2], 1, -1),
        w: floats(36, 2),
      },
    });
    expect(tensorsOf(graph)).toEqual(['conv', 'norm', 'relu', 'pool', 'last', 'flattened', 'logits']);
    expect(tensorsOf(graph, {})).toEqual(['last']);
  });

  test('an output, a dead end, a constant and a size are no cuts', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y],
      nodes: [
        node('Exp', ['w'], ['constant']),
        node('Mul', ['x', 'constant'], ['a']),
        node('Shape', ['a'], ['size']),
        node('Neg', ['a'], ['nowhere']),
        node('Reshape', ['a', 'size'], ['y']),
      ],
      initializers: { w: floats(8) },
    });
    expect(tensorsOf(graph, { all: true, maxTensors: 3 })).toEqual(['a']);
  });

  test('inputs that join later go to the tail', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x, { ...x, name: 'late' }],
      outputs: [y],
      nodes: [
        node('Exp', ['x'], ['a']),
        node('Add', ['a', 'late'], ['b']),
        node('Neg', ['b'], ['c']),
        node('Abs', ['c'], ['y']),
      ],
    });
    const cuts = findCuts(graph, { all: true });
    expect(cuts.map(({ tensors, headInputs, tailInputs }) => [tensors[0].name, headInputs, tailInputs])).toEqual([
      ['a', ['x'], ['late']],
      ['b', ['x', 'late'], []],
      ['c', ['x', 'late'], []],
    ]);
  });

  test('pairs of two branches, and sets of three', () => {
    const branches = (count: number) =>
      buildGraph({
        opset: 17,
        inputs: [x],
        outputs: [y],
        nodes: [
          node('Exp', ['x'], ['stem']),
          ...Array.from({ length: count }, (_, i) => [
            node('Neg', ['stem'], [`a${i}`]),
            node('Tanh', [`a${i}`], [`b${i}`]),
          ]).flat(),
          node(
            'Sum',
            Array.from({ length: count }, (_, i) => `b${i}`),
            ['y'],
          ),
        ],
      });
    expect(tensorsOf(branches(2), { all: true, maxTensors: 2 })).toEqual(
      expect.arrayContaining(['stem', 'a0 a1', 'a0 b1', 'b0 a1', 'b0 b1']),
    );
    expect(tensorsOf(branches(3), { all: true, maxTensors: 2 })).toEqual(['stem']);
    expect(tensorsOf(branches(3), { all: true, maxTensors: 3 })).toHaveLength(9);
  });

  test('dimensions that are given, and those that are assumed', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 1, 'samples'] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Conv', ['x', 'k'], ['a'], { strides: [4] }), node('Conv', ['a', 'k'], ['y'])],
      initializers: { k: floats(1, 1, 5) },
    });
    expect(assumedLengths(graph)).toEqual({ batch: 1, samples: 32 });
    expect(findCuts(graph)[0].bytes).toBe(4 * 7);
    expect(findCuts(graph, { dims: { samples: 41 } })[0]).toMatchObject({ bytes: 40, headMacs: 50, tailMacs: 30 });
  });

  test('all cuts of a thousand blocks, numbered to the last', () => {
    const cuts = findCuts(blocks(1000), { all: true });
    expect(cuts).toHaveLength(1001);
    expect(cuts[1000].block).toMatchObject({ index: 1000, of: 1000 });
  });

  test('maxTensors outside 1 to 4 is refused', () => {
    for (const maxTensors of [0, 5, 1.5, Number.NaN]) {
      expect(() => findCuts(blocks(1), { maxTensors })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});
