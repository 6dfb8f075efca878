import { describe, expect, it } from 'vitest';
import { differentiate, type Rule } from '../../src/autodiff/index.ts';
import { buildGraph, type ModelSpec, modelFunction, node, subgraph } from '../../src/onnx/build.ts';
import { checkGraph, type Graph, mainGraph, readGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { floatToHalf, type Tensor, tensor, toFloat32 } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';

const floats = (shape: number[], ...values: number[]) => tensor('float32', shape, Float32Array.from(values));
const scalarLoss = [{ name: 'loss', dtype: 'float32', shape: [] }] as const;
const vector = [{ name: 'x', dtype: 'float32', shape: ['n'] }] as const;

const graphOf = (spec: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>) =>
  buildGraph({ opset: 17, inputs: vector, outputs: scalarLoss, ...spec });
const total = (name: string) => node('ReduceSum', [name], ['loss'], { keepdims: 0 });

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, number[]>> {
  checkGraph(graph);
  const session = await openOnnxRuntimeNode(writeGraph(readGraph(writeGraph(graph))), { threads: 1 });
  const result = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, [...toFloat32(value)]]));
}

describe('the graph of gradients', () => {
  it('gives loss and gradients in order, for any batch', async () => {
    const graph = graphOf({ nodes: [node('Mul', ['x', 'w'], ['y']), total('y')], initializers: { w: floats([], 3) } });
    const backward = differentiate(graph, { of: 'loss', with: ['w', 'x', 'w'] });
    expect(mainGraph(backward).output.map(({ name }) => name)).toEqual(['loss', 'grad/w', 'grad/x']);
    expect(await run(backward, { x: floats([2], 1, 4) })).toEqual({ loss: [15], 'grad/w': [5], 'grad/x': [3, 3] });
    expect(await run(backward, { x: floats([3], 1, 1, 1) })).toEqual({ loss: [9], 'grad/w': [3], 'grad/x': [3, 3, 3] });
  });

  it('adds up what comes back along every way', async () => {
    const nodes = [
      node('Mul', ['x', 'x'], ['square']),
      node('Add', ['square', 'x'], ['a']),
      node('Sum', ['a', 'x', 'square'], ['b']),
      total('b'),
    ];
    // 2x² + 2x
    const result = await run(differentiate(graphOf({ nodes }), { of: 'loss', with: ['x', 'square'] }), {
      x: floats([2], 1, -3),
    });
    expect(result['grad/x']).toEqual([6, -10]);
    expect(result['grad/square']).toEqual([2, 2]);
  });

  it('has only what loss and gradients need', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [...vector, { name: 'other', dtype: 'float32', shape: [1] }],
      outputs: [...scalarLoss, { name: 'aside', dtype: 'float32', shape: [1] }],
      nodes: [node('Exp', ['x'], ['y']), total('y'), node('Mul', ['other', 'unused'], ['aside'])],
      initializers: { unused: floats([1], 1) },
    });
    const main = mainGraph(differentiate(graph, { of: 'loss', with: ['x'] }));
    expect(main.input.map(({ name }) => name)).toEqual(['x']);
    expect(main.initializer.some(({ name }) => name === 'unused')).toBe(false);
    expect(main.node.some(({ output }) => output.includes('aside'))).toBe(false);
  });

  it('is zero where the loss does not depend, or only on the shape', async () => {
    const nodes = [
      node('Shape', ['x'], ['shape']),
      node('Cast', ['shape'], ['length'], { to: 1 }),
      node('Mul', ['length', 'w'], ['y']),
      total('y'),
    ];
    const graph = graphOf({ nodes, initializers: { w: floats([1], 2) } });
    const result = await run(differentiate(graph, { of: 'loss', with: ['x', 'w'] }), { x: floats([3], 1, 2, 3) });
    expect(result).toEqual({ loss: [6], 'grad/x': [0, 0, 0], 'grad/w': [3] });
  });

  it('of a tensor that is no scalar is that of its sum', async () => {
    const graph = graphOf({ nodes: [node('Mul', ['x', 'x'], ['y']), total('y')] });
    const result = await run(differentiate(graph, { of: 'y', with: ['x', 'y'] }), { x: floats([2], 1, 4) });
    expect(result).toEqual({ y: [1, 16], 'grad/x': [2, 8], 'grad/y': [1, 1] });
  });

  it('can be differentiated again', async () => {
    const first = differentiate(
      graphOf({ nodes: [node('Exp', ['x'], ['e']), node('Mul', ['e', 'x'], ['y']), total('y')] }),
      {
        of: 'loss',
        with: ['x'],
      },
    );
    const second = differentiate(first, { of: 'grad/x', with: ['x'] });
    expect(mainGraph(second).output.map(({ name }) => name)).toEqual(['grad/x', 'grad/grad/x']);
    const result = await run(second, { x: floats([2], 0, 1) });
    // (x e^x)'' = (x + 2) e^x
    expect(result['grad/grad/x'][0]).toBeCloseTo(2, 5);
    expect(result['grad/grad/x'][1]).toBeCloseTo(3 * Math.E, 5);
  });

  it('sums over axes that turn out to be broadcast only at run time', async () => {
    const graph = buildGraph({
      opset: 13,
      inputs: [
        { name: 'a', dtype: 'float32', shape: ['p', 'q'] },
        { name: 'b', dtype: 'float32', shape: ['r'] },
      ],
      outputs: scalarLoss,
      nodes: [node('Mul', ['a', 'b'], ['y']), total('y')],
    });
    const backward = differentiate(graph, { of: 'loss', with: ['a', 'b'] });
    const wide = await run(backward, { a: floats([2, 1], 1, 2), b: floats([3], 1, 2, 3) });
    expect(wide).toEqual({ loss: [18], 'grad/a': [6, 6], 'grad/b': [3, 3, 3] });
    const narrow = await run(backward, { a: floats([1, 2], 1, 2), b: floats([1], 5) });
    expect(narrow).toEqual({ loss: [15], 'grad/a': [5, 5], 'grad/b': [3] });
  });

  it('takes half precision', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float16', shape: [1, 2] }],
      outputs: [{ name: 'loss', dtype: 'float16', shape: [] }],
      nodes: [node('MatMul', ['x', 'w'], ['h']), node('Tanh', ['h'], ['y']), total('y')],
      initializers: { w: tensor('float16', [2, 1], floatToHalf(Float32Array.of(0.5, -1))) },
    });
    const x = tensor('float16', [1, 2], floatToHalf(Float32Array.of(0.5, 0.25)));
    const result = await run(differentiate(graph, { of: 'loss', with: ['x', 'w'] }), { x });
    expect(result['grad/x']).toEqual([0.5, -1]);
    expect(result['grad/w']).toEqual([0.5, 0.25]);
  });

  it('lets through in training what dropout kept', async () => {
    const nodes = [node('Dropout', ['x', 'ratio', 'training'], ['y', 'mask']), total('y')];
    const initializers = { ratio: floats([], 0.75), training: tensor('bool', [], Uint8Array.of(1)) };
    const x = floats([64], ...Array.from({ length: 64 }, (_, i) => i + 1));
    const result = await run(differentiate(graphOf({ nodes, initializers }), { of: 'loss', with: ['x'] }), { x });
    expect(new Set(result['grad/x'])).toEqual(new Set([0, 4]));
    expect(result['grad/x'].reduce((sum, each, i) => sum + each * (i + 1), 0)).toBe(result.loss[0]);
  });
});

describe('rules of one’s own', () => {
  // y = sin(x) / x, a function that the model brings along.
  const sinc = modelFunction({
    domain: 'mine',
    name: 'Sinc',
    inputs: ['x'],
    outputs: ['y'],
    nodes: [node('Sin', ['x'], ['s']), node('Div', ['s', 'x'], ['y'])],
    opset: 17,
  });
  const Sinc: Rule = (n, g, [dy]) => {
    const [x] = n.input;
    return [g.mul(dy, g.div(g.sub(g.emit('Cos', [x]), n.output[0]), x))];
  };

  it('are used for operators without one', async () => {
    const nodes = [node('Sinc', ['x'], ['y'], {}, { domain: 'mine' }), total('y')];
    const graph = graphOf({ domains: { mine: 1 }, functions: [sinc], nodes });
    const backward = differentiate(graph, { of: 'loss', with: ['x'], rules: { 'mine.Sinc': Sinc } });
    const result = await run(backward, { x: floats([1], 2) });
    expect(result['grad/x'][0]).toBeCloseTo((Math.cos(2) - Math.sin(2) / 2) / 2, 5);
  });

  it('go before those of isthmus', async () => {
    const relu = graphOf({ nodes: [node('Relu', ['x'], ['y']), total('y')] });
    const rules = { Relu: ((_n, g, [dy]) => [g.mul(dy, 7)]) satisfies Rule };
    const result = await run(differentiate(relu, { of: 'loss', with: ['x'], rules }), { x: floats([2], -1, 1) });
    expect(result['grad/x']).toEqual([7, 7]);
  });
});

describe('what cannot be differentiated', () => {
  const failing =
    (graph: Graph, names = ['x'], of = 'loss') =>
    () =>
      differentiate(graph, { of, with: names });

  it('names operator, node and path where a rule is missing', () => {
    const nodes = [
      node('Exp', ['x'], ['a']),
      node('Neg', ['a'], ['b']),
      node('Whiten', ['b'], ['c'], {}, { name: 'odd', domain: 'mine' }),
      total('c'),
    ];
    const attempt = failing(graphOf({ nodes }));
    expect(codeOf(attempt)).toBe('ONNX_UNSUPPORTED');
    expect(attempt).toThrow(
      /'odd' \(mine\.Whiten\).*operator mine\.Whiten.*'x' -> 'a' -> 'b' -> 'c'.*rules: { 'mine.Whiten'/,
    );
  });

  it('does not ask for rules off the way', async () => {
    const nodes = [node('Det', ['w'], ['c']), node('Mul', ['c', 'x'], ['y']), total('y')];
    const graph = graphOf({ nodes, initializers: { w: floats([1, 1], 0) } });
    expect((await run(differentiate(graph, { of: 'loss', with: ['x'] }), { x: floats([1], 2) }))['grad/x']).toEqual([
      0,
    ]);
  });

  it('says which attribute a rule does not cover', () => {
    const nodes = [node('Pad', ['x', 'pads'], ['y'], { mode: 'reflect' }), total('y')];
    const initializers = { pads: tensor('int64', [2], BigInt64Array.of(1n, 0n)) };
    const attempt = failing(graphOf({ opset: 15, nodes, initializers }));
    expect(codeOf(attempt)).toBe('ONNX_UNSUPPORTED');
    expect(attempt).toThrow(/Pad.*'reflect'.*operator set 16.*'x' -> 'y'/);
  });

  it('stops at a subgraph that reads what is differentiated', () => {
    const branch = (op: string) =>
      subgraph({ inputs: [], outputs: [{ name: op, dtype: 'float32' }], nodes: [node(op, ['x'], [op])] });
    const nodes = [node('If', ['flag'], ['y'], { then_branch: branch('Exp'), else_branch: branch('Neg') }), total('y')];
    const initializers = { flag: tensor('bool', [], Uint8Array.of(1)) };
    const attempt = failing(graphOf({ nodes, initializers }));
    expect(codeOf(attempt)).toBe('ONNX_UNSUPPORTED');
    expect(attempt).toThrow(/operator If/);
  });

  it('refuses names that are no float tensors, and old operator sets', () => {
    const nodes = [node('Gather', ['x', 'i'], ['y']), total('y')];
    const graph = graphOf({ nodes, initializers: { i: tensor('int64', [1], BigInt64Array.of(0n)) } });
    for (const names of [['nothing'], [''], ['i'], []]) expect(codeOf(failing(graph, names))).toBe('INVALID_ARGUMENT');
    expect(codeOf(failing(graph, ['x'], 'toString'))).toBe('INVALID_ARGUMENT');
    expect(failing(graph, ['nothing'])).toThrow(/'nothing'/);
    const old = failing(graphOf({ opset: 9, nodes: [node('Exp', ['x'], ['loss'])] }));
    expect(codeOf(old)).toBe('ONNX_UNSUPPORTED');
    expect(old).toThrow(/operator set 13/);
  });
});
