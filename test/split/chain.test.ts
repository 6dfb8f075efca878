import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { buildGraph, checkGraph, type Graph, inferShapes, mainGraph, node, subgraph } from '../../src/onnx/index.ts';
import { FunctionProtoSchema, OperatorSetIdProtoSchema, StringStringEntryProtoSchema } from '../../src/onnx/onnx_pb.ts';
import { chainGraphs, cutGraph } from '../../src/split/index.ts';
import { floats, names, run } from './run.ts';

const feature = { name: 'feature', dtype: 'float32', shape: ['n', 4] } as const;
const pixels = { name: 'pixels', dtype: 'float32', shape: ['n', 4] } as const;

const trunk = buildGraph({
  opset: 17,
  inputs: [pixels],
  outputs: [feature, { name: 'pooled', dtype: 'float32', shape: ['n', 1] }],
  nodes: [
    node('Mul', ['pixels', 'w'], ['h'], {}, { name: 'first' }),
    node('Relu', ['h'], ['feature']),
    node('ReduceMax', ['feature'], ['pooled'], { axes: [1] }),
  ],
  initializers: { w: floats(4) },
});

/** Its inner names are the trunk's. */
const tail = buildGraph({
  opset: 17,
  inputs: [{ name: 'feature', dtype: 'float32', shape: ['batch', 4] }],
  outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 2] }],
  nodes: [node('Exp', ['feature'], ['h'], {}, { name: 'first' }), node('MatMul', ['h', 'w'], ['logits'])],
  initializers: { w: floats(4, 2) },
});

async function inTurn(first: Graph, second: Graph, feeds: Parameters<typeof run>[1]) {
  return run(second, { ...feeds, ...(await run(first, feeds)) });
}

describe('chainGraphs', () => {
  test('computes the second of the first; names of the first stay, clashes are renamed', async () => {
    const chain = chainGraphs(trunk, tail);
    checkGraph(chain);
    expect(await run(chain, { pixels: floats(2, 4) })).toEqual(await inTurn(trunk, tail, { pixels: floats(2, 4) }));
    expect(names(mainGraph(chain).node)).toEqual(['first', '', 'second/first', '']);
    expect(mainGraph(chain).node.map(({ output }) => output[0])).toEqual(['h', 'feature', 'second/h', 'logits']);
    expect(names(mainGraph(chain).initializer)).toEqual(['w', 'second/w']);
    expect(names(mainGraph(chain).output)).toEqual(['logits']);
  });

  test('neither model is changed', () => {
    chainGraphs(trunk, tail);
    expect(mainGraph(tail).node[1].input).toEqual(['h', 'w']);
    expect(names(mainGraph(trunk).output)).toEqual(['feature', 'pooled']);
  });

  test('a dimension that the joint shows to be the same gets one name, one that only has the name another', () => {
    const graph = chainGraphs(
      buildGraph({ ...spec(['n', 'length']), inputs: [{ name: 'pixels', dtype: 'float32', shape: ['n', 'length'] }] }),
      buildGraph({
        opset: 17,
        inputs: [
          { name: 'feature', dtype: 'float32', shape: ['batch', 'width'] },
          { name: 'tokens', dtype: 'float32', shape: ['batch', 'length', 'width'] },
        ],
        outputs: [{ name: 'y', dtype: 'float32' }],
        nodes: [node('Add', ['feature', 'tokens'], ['y'])],
      }),
    );
    const shapes = mainGraph(graph).input.map(({ type }) =>
      type?.value.case === 'tensorType' ? type.value.value.shape?.dim.map((dim) => dim.value.value) : [],
    );
    expect(shapes).toEqual([
      ['n', 'length'],
      ['n', 'second.length', 'length'],
    ]);
    expect(inferShapes(graph).unknown).toEqual([]);
  });

  const spec = (shape: (string | number)[]) => ({
    opset: 17,
    inputs: [pixels],
    outputs: [{ name: 'feature', dtype: 'float32' as const, shape }],
    nodes: [node('Relu', ['pixels'], ['feature'])],
  });

  test('outputs and inputs of other names are joined by rename', async () => {
    const other = buildGraph({
      opset: 17,
      inputs: [{ ...feature, name: 'features' }],
      outputs: [{ name: 'feature', dtype: 'float32' }],
      nodes: [node('Neg', ['features'], ['feature'])],
    });
    expect(() => chainGraphs(trunk, other)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/gives 'feature', 'pooled'.*takes 'features'/),
      }),
    );
    const chain = chainGraphs(trunk, other, { rename: { feature: 'features' } });
    checkGraph(chain);
    const [result] = Object.values(await run(chain, { pixels: floats(2, 4) }));
    const first = await run(trunk, { pixels: floats(2, 4) });
    expect(result).toEqual((await run(other, { features: first.feature })).feature);
    const wrong: Record<string, string>[] = [{ nothing: 'features' }, { feature: 'nothing' }, { pooled: 'features' }];
    for (const rename of wrong) {
      expect(() => chainGraphs(trunk, other, { rename })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
  });

  test('types that do not agree are refused', () => {
    const half = buildGraph({
      opset: 17,
      inputs: [{ ...feature, dtype: 'float16' }],
      outputs: [{ name: 'y', dtype: 'float16' }],
      nodes: [node('Neg', ['feature'], ['y'])],
    });
    expect(() => chainGraphs(trunk, half)).toThrow(/float32 is not float16/);
  });

  test('an input that both take is one input', async () => {
    const masked = buildGraph({
      opset: 17,
      inputs: [feature, { ...pixels, shape: ['m', 4] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Add', ['feature', 'pixels'], ['y'])],
    });
    const chain = chainGraphs(trunk, masked);
    expect(names(mainGraph(chain).input)).toEqual(['pixels']);
    const feeds = { pixels: floats(2, 4) };
    expect(await run(chain, feeds)).toEqual(await inTurn(trunk, masked, feeds));
  });

  test('captures of subgraphs follow the new names', async () => {
    const branch = (op: string) =>
      subgraph({
        inputs: [],
        outputs: [{ name: 'h', dtype: 'float32' }],
        nodes: [node(op, ['inner'], ['h'])],
      });
    const conditional = buildGraph({
      opset: 17,
      inputs: [feature],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [
        node('Mul', ['feature', 'w'], ['inner']),
        node('If', ['flag'], ['y'], { then_branch: branch('Neg'), else_branch: branch('Abs') }),
      ],
      initializers: { w: floats(4), flag: { dtype: 'bool', shape: [], data: Uint8Array.of(1) } },
    });
    const first = buildGraph({
      opset: 17,
      inputs: [pixels],
      outputs: [feature],
      nodes: [node('Mul', ['pixels', 'w'], ['inner']), node('Neg', ['inner'], ['h']), node('Abs', ['h'], ['feature'])],
      initializers: { w: floats(4) },
    });
    const chain = chainGraphs(first, conditional);
    checkGraph(chain);
    const feeds = { pixels: floats(2, 4) };
    expect(await run(chain, feeds)).toEqual(await inTurn(first, conditional, feeds));
  });

  test('an output of the second keeps its name, an inner tensor of the first gives way', async () => {
    const clash = buildGraph({
      opset: 17,
      inputs: [feature],
      outputs: [{ name: 'h', dtype: 'float32' }],
      nodes: [node('Neg', ['feature'], ['h'])],
    });
    const chain = chainGraphs(trunk, clash);
    const feeds = { pixels: floats(2, 4) };
    expect(await run(chain, feeds)).toEqual(await inTurn(trunk, clash, feeds));
    expect(mainGraph(chain).node[0].output).toEqual(['first/h']);
  });

  test('a chain is cut in either model', async () => {
    const chain = chainGraphs(trunk, tail);
    const whole = await run(chain, { pixels: floats(2, 4) });
    for (const at of ['h', 'feature', 'second/h']) {
      const halves = cutGraph(chain, [at]);
      expect(await run(halves.tail, await run(halves.head, { pixels: floats(2, 4) }))).toEqual(whole);
    }
  });

  test('metadata and functions of both are kept, functions that contradict refused', () => {
    const calling = (op: string, io: [string, string]) => {
      const graph = buildGraph({
        opset: 17,
        domains: { local: 1 },
        inputs: [{ ...feature, name: io[0] }],
        outputs: [{ ...feature, name: io[1] }],
        nodes: [node('F', [io[0]], [io[1]], {}, { domain: 'local' })],
        functions: [
          create(FunctionProtoSchema, {
            name: 'F',
            domain: 'local',
            input: ['in'],
            output: ['out'],
            node: [node(op, ['in'], ['out'])],
            opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })],
          }),
        ],
      });
      graph.metadataProps.push(create(StringStringEntryProtoSchema, { key: io[0], value: op }));
      return graph;
    };
    const chain = chainGraphs(calling('Exp', ['x', 'feature']), calling('Exp', ['feature', 'y']));
    expect(names(chain.functions)).toEqual(['F']);
    expect(chain.metadataProps.map(({ key }) => key)).toEqual(['x', 'feature']);
    expect(() => chainGraphs(calling('Exp', ['x', 'feature']), calling('Neg', ['feature', 'y']))).toThrow(
      /other bodies/,
    );
  });
});

describe('operator sets', () => {
  const at = (opset: number, op: string, io: [string, string], irVersion = 8) =>
    buildGraph({
      opset,
      irVersion,
      inputs: [{ ...feature, name: io[0] }],
      outputs: [{ ...feature, name: io[1] }],
      nodes: [node(op, [io[0]], [io[1]])],
    });

  test('the higher version holds where no operator of the older model changed its meaning', async () => {
    const chain = chainGraphs(at(11, 'Relu', ['x', 'feature'], 6), at(17, 'Exp', ['feature', 'y']));
    expect(chain.opsetImport.map(({ version }) => version)).toEqual([17n]);
    expect(chain.irVersion).toBe(8n);
    expect((await run(chain, { x: floats(2, 4) })).y.shape).toEqual([2, 4]);
  });

  test('an operator that changed is named', () => {
    for (const [older, newer] of [
      [at(11, 'Softmax', ['x', 'feature']), at(17, 'Exp', ['feature', 'y'])],
      [at(17, 'Exp', ['x', 'feature']), at(11, 'Softmax', ['feature', 'y'])],
    ]) {
      expect(() => chainGraphs(older, newer)).toThrow(
        expect.objectContaining({
          code: 'ONNX_UNSUPPORTED',
          message: expect.stringMatching(/Softmax changed its meaning in 13/),
        }),
      );
    }
    expect(() => chainGraphs(at(5, 'Relu', ['x', 'feature']), at(17, 'Exp', ['feature', 'y']))).toThrow(/known from 7/);
  });

  test('a domain that one model alone imports is taken over', () => {
    const custom = buildGraph({
      opset: 17,
      domains: { 'com.microsoft': 1 },
      inputs: [feature],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [node('Gelu', ['feature'], ['y'], {}, { domain: 'com.microsoft' })],
    });
    const chain = chainGraphs(trunk, custom);
    expect(chain.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 17n],
      ['com.microsoft', 1n],
    ]);
  });
});
