import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { buildGraph, checkGraph, float, int, mainGraph, node, subgraph } from '../../src/onnx/index.ts';
import {
  FunctionProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorAnnotationSchema,
} from '../../src/onnx/onnx_pb.ts';
import { cutGraph } from '../../src/split/index.ts';
import { bothWays, floats, ints, names, ops, run } from './run.ts';

const x = { name: 'x', dtype: 'float32', shape: ['batch', 4] } as const;
const y = { name: 'y', dtype: 'float32', shape: ['batch', 4] } as const;

/** x -> a -> b -> c -> y with a skip from a to c. */
const skip = buildGraph({
  opset: 17,
  inputs: [x],
  outputs: [y],
  nodes: [
    node('Relu', ['x'], ['a']),
    node('Mul', ['a', 'w'], ['b']),
    node('Add', ['b', 'a'], ['c']),
    node('Mul', ['c', 'w'], ['y'], {}, { name: 'last' }),
  ],
  initializers: { w: floats(4), unused: floats(2) },
});

describe('cutGraph', () => {
  test('head and tail together compute the whole', async () => {
    const { whole, halves, head, tail } = await bothWays(skip, ['c'], { x: floats(2, 4) });
    expect(halves.y).toEqual(whole.y);
    expect(ops(head)).toEqual(['Relu', 'Mul', 'Add']);
    expect(ops(tail)).toEqual(['Mul']);
    checkGraph(head);
    checkGraph(tail);
  });

  test('an initializer that both halves use is in both, one that nothing uses in neither', () => {
    const { head, tail } = cutGraph(skip, ['c']);
    expect(names(mainGraph(head).initializer)).toEqual(['w']);
    expect(names(mainGraph(tail).initializer)).toEqual(['w']);
  });

  test('several tensors cross where one does not suffice', async () => {
    const { whole, halves, head } = await bothWays(skip, ['b', 'a'], { x: floats(3, 4) });
    expect(halves.y).toEqual(whole.y);
    expect(names(mainGraph(head).output)).toEqual(['b', 'a']);
  });

  test('the cut is typed by inference', () => {
    const { head, tail } = cutGraph(skip, ['c']);
    for (const info of [mainGraph(head).output[0], mainGraph(tail).input[0]]) {
      const value = info.type?.value;
      expect(value?.case === 'tensorType' && value.value.shape?.dim.map((dim) => dim.value.value)).toEqual([
        'batch',
        4n,
      ]);
    }
  });

  test('the given graph stays as it was', () => {
    const before = JSON.stringify(mainGraph(skip).node.map((each) => [each.input, each.output]));
    cutGraph(skip, ['c']);
    expect(JSON.stringify(mainGraph(skip).node.map((each) => [each.input, each.output]))).toBe(before);
    expect(names(mainGraph(skip).initializer)).toEqual(['w', 'unused']);
  });
});

describe('what does not cut', () => {
  const refused = (graph: typeof skip, tensors: string[], code: string, text: RegExp) =>
    expect(() => cutGraph(graph, tensors)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(text) }),
    );

  test('an unknown name suggests near ones', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y],
      nodes: [node('Relu', ['x'], ['/block/0/Add_output']), node('Relu', ['/block/0/Add_output'], ['y'])],
    });
    refused(graph, ['/block/0/Add'], 'CUT_UNKNOWN', /did you mean '\/block\/0\/Add_output'/);
    refused(graph, ['nothing alike at all'], 'CUT_UNKNOWN', /has no tensor/);
  });

  test('a way past the cut is named, and what would close it', () => {
    refused(skip, ['b'], 'CUT_INVALID', /x -> a -> c -> y goes past it; with 'a' added it would separate/);
  });

  test('an input, an output, a constant and nothing at all', () => {
    refused(skip, ['x'], 'CUT_INVALID', /head empty/);
    refused(skip, ['y'], 'CUT_INVALID', /tail empty/);
    refused(skip, ['w'], 'CUT_INVALID', /constant/);
    refused(skip, [], 'CUT_INVALID', /no tensor is named/);
  });

  test('a tensor that is not needed beside the others', () => {
    refused(skip, ['b', 'c'], 'CUT_INVALID', /'b' is not needed after the cut; cut at 'c' alone/);
  });

  test('a graph output that lies before the cut', () => {
    const early = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [{ ...y, name: 'a' }, y],
      nodes: [node('Relu', ['x'], ['a']), node('Neg', ['a'], ['b']), node('Exp', ['b'], ['y'])],
    });
    refused(early, ['b'], 'CUT_INVALID', /'a' is an output of the graph that lies before the cut; with 'a' added/);
  });

  test('a tensor whose type nobody knows', () => {
    const graph = buildGraph({
      opset: 17,
      domains: { custom: 1 },
      inputs: [x],
      outputs: [y],
      nodes: [node('Mystery', ['x'], ['a'], {}, { domain: 'custom' }), node('Relu', ['a'], ['y'])],
    });
    refused(graph, ['a'], 'ONNX_UNSUPPORTED', /element type of 'a' is not known/);
  });
});

describe('inputs and outputs', () => {
  const two = buildGraph({
    opset: 17,
    inputs: [x, { name: 'tokens', dtype: 'int64', shape: ['batch', 'length'] }],
    outputs: [y, { name: 'seen', dtype: 'float32', shape: ['batch', 4] }],
    nodes: [
      node('Relu', ['x'], ['a']),
      node('Exp', ['a'], ['b']),
      node('Gather', ['table', 'tokens'], ['rows']),
      node('ReduceSum', ['rows', 'axis'], ['words'], { keepdims: 0 }),
      node('Add', ['b', 'words'], ['y']),
      node('Neg', ['b'], ['seen']),
    ],
    initializers: { table: floats(5, 4), axis: ints([1], 1) },
  });
  const feeds = { x: floats(2, 4), tokens: ints([2, 3], 0, 1, 2, 3, 4, 0) };

  test('an input that only the tail reads is an input of the tail', async () => {
    const { head, tail, whole, halves } = await bothWays(two, ['b'], feeds);
    expect(names(mainGraph(head).input)).toEqual(['x']);
    expect(names(mainGraph(tail).input)).toEqual(['b', 'tokens']);
    expect(halves).toEqual(whole);
  });

  test('a cut on the branch of one input leaves the other to the tail', async () => {
    const { tail, whole, halves } = await bothWays(two, ['words'], feeds);
    expect(names(mainGraph(tail).input)).toEqual(['words', 'x']);
    expect(halves).toEqual(whole);
  });

  test('an input that both sides read has to be named, and goes to both', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x, { name: 'mask', dtype: 'float32', shape: [4] }],
      outputs: [y],
      nodes: [node('Mul', ['x', 'mask'], ['a']), node('Exp', ['a'], ['b']), node('Mul', ['b', 'mask'], ['y'])],
    });
    expect(() => cutGraph(graph, ['b'])).toThrow(/'mask' added it would separate/);
    const { head, tail, whole, halves } = await bothWays(graph, ['b', 'mask'], { x: floats(1, 4), mask: floats(4) });
    expect(names(mainGraph(head).output)).toEqual(['b']);
    expect(names(mainGraph(tail).input)).toEqual(['b', 'mask']);
    expect(halves).toEqual(whole);
  });

  test('an early output that is part of the cut is passed on', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [{ ...y, name: 'a' }, y],
      nodes: [node('Relu', ['x'], ['a']), node('Exp', ['a'], ['b']), node('Add', ['a', 'b'], ['y'])],
    });
    const { whole, halves } = await bothWays(graph, ['a'], { x: floats(2, 4) });
    expect(halves).toEqual(whole);
  });

  test('an initializer that is an output, too, stays one', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y, { name: 'w', dtype: 'float32', shape: [4] }],
      nodes: [node('Relu', ['x'], ['a']), node('Mul', ['a', 'w'], ['y'])],
      initializers: { w: floats(4) },
    });
    const { whole, halves } = await bothWays(graph, ['a'], { x: floats(2, 4) });
    expect(halves).toEqual(whole);
  });

  test('an initializer that is an input by default (old files) keeps both declarations', async () => {
    const graph = buildGraph({
      opset: 8,
      irVersion: 3,
      inputs: [
        { ...x, shape: [1, 4] },
        { name: 'w', dtype: 'float32', shape: [4] },
      ],
      outputs: [{ ...y, shape: [1, 4] }],
      nodes: [node('Mul', ['x', 'w'], ['a']), node('Relu', ['a'], ['b']), node('Mul', ['b', 'w'], ['y'])],
      initializers: { w: floats(4) },
    });
    const { head, tail } = cutGraph(graph, ['b']);
    expect(names(mainGraph(head).input)).toEqual(['x', 'w']);
    expect(names(mainGraph(tail).input)).toEqual(['b', 'w']);
    const features = await run(head, { x: floats(1, 4), w: floats(4) });
    const halves = await run(tail, { ...features, w: floats(4) });
    expect(halves).toEqual(await run(graph, { x: floats(1, 4), w: floats(4) }));
  });

  test('optional inputs that are left out stay out', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y],
      nodes: [node('Exp', ['x'], ['a']), node('Clip', ['a', '', 'top'], ['y'])],
      initializers: { top: { dtype: 'float32', shape: [], data: Float32Array.of(1) } },
    });
    const { whole, halves, tail } = await bothWays(graph, ['a'], { x: floats(2, 4) });
    expect(halves).toEqual(whole);
    expect(mainGraph(tail).node[0].input).toEqual(['a', '', 'top']);
  });

  test('nodes that lead nowhere are dropped', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y],
      nodes: [node('Exp', ['x'], ['a']), node('Neg', ['a'], ['nowhere']), node('Relu', ['a'], ['y'])],
    });
    expect(ops(cutGraph(graph, ['a']).tail)).toEqual(['Relu']);
  });
});

describe('sizes and constants', () => {
  /** As PyTorch writes a reshape under a dynamic batch: the batch is read from the input, far before the cut. */
  const dynamic = buildGraph({
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2, 4] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 9] }],
    nodes: [
      node('Shape', ['x'], ['size']),
      node('Gather', ['size', 'zero'], ['n'], { axis: 0 }),
      node('Unsqueeze', ['n', 'first'], ['n1']),
      node('Concat', ['n1', 'eight'], ['flat'], { axis: 0 }),
      node('Concat', ['n1', 'one'], ['column'], { axis: 0 }),
      node('ConstantOfShape', ['column'], ['padding']),
      node('Relu', ['x'], ['a']),
      node('Reshape', ['a', 'flat'], ['b']),
      node('Concat', ['b', 'padding'], ['y'], { axis: 1 }),
    ],
    initializers: { zero: ints([], 0), first: ints([1], 0), eight: ints([1], 8), one: ints([1], 1) },
  });

  test('the batch is taken from the cut where the input is not in the tail', async () => {
    for (const batch of [1, 3]) {
      for (const at of ['a', 'b']) {
        const { tail, whole, halves } = await bothWays(dynamic, [at], { x: floats(batch, 2, 4) });
        expect(names(mainGraph(tail).input)).toEqual([at]);
        expect(halves).toEqual(whole);
      }
    }
  });

  test('a tail with sizes taken from its cut can be cut again', async () => {
    const longer = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2, 4] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 8] }],
      nodes: [
        node('Shape', ['x'], ['size']),
        node('Gather', ['size', 'first'], ['n'], { axis: 0 }),
        node('Concat', ['n', 'eight'], ['flat'], { axis: 0 }),
        node('Relu', ['x'], ['a']),
        node('Exp', ['a'], ['b']),
        node('Neg', ['b'], ['c']),
        node('Reshape', ['c', 'flat'], ['y']),
      ],
      initializers: { first: ints([1], 0), eight: ints([1], 8) },
    });
    const feeds = { x: floats(3, 2, 4) };
    const once = cutGraph(longer, ['a']);
    const twice = cutGraph(once.tail, ['b']);
    const feature = await run(twice.head, await run(once.head, feeds));
    expect(await run(twice.tail, feature)).toEqual(await run(longer, feeds));
  });

  test('a size that the cut does not tell has to cross', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 'm'] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 'm'] }],
      nodes: [
        node('Shape', ['x'], ['size']),
        node('ReduceMax', ['x'], ['a'], { axes: int([1]), keepdims: 1 }),
        node('Exp', ['a'], ['b']),
        node('Expand', ['b', 'size'], ['y']),
      ],
    });
    expect(() => cutGraph(graph, ['b'])).toThrow(/does not separate/);
    const { whole, halves } = await bothWays(graph, ['b', 'size'], { x: floats(2, 3) });
    expect(halves).toEqual(whole);
  });

  test('nodes that depend on no input are copied to both sides, those that draw at random are not', async () => {
    const folded = (maker: ReturnType<typeof node>) =>
      buildGraph({
        opset: 17,
        inputs: [x],
        outputs: [y],
        nodes: [maker, node('Mul', ['x', 'k'], ['a']), node('Relu', ['a'], ['b']), node('Mul', ['b', 'k'], ['y'])],
        initializers: { w: floats(4) },
      });
    const { head, tail, whole, halves } = await bothWays(folded(node('Exp', ['w'], ['k'])), ['b'], { x: floats(2, 4) });
    expect([ops(head), ops(tail)]).toEqual([
      ['Exp', 'Mul', 'Relu'],
      ['Exp', 'Mul'],
    ]);
    expect(halves).toEqual(whole);
    const random = folded(node('RandomNormal', [], ['k'], { shape: [4], seed: float(1) }));
    expect(() => cutGraph(random, ['b'])).toThrow(/'k' added it would separate/);
    expect(ops(cutGraph(random, ['b', 'k']).tail)).toEqual(['Mul']);
  });
});

describe('subgraphs', () => {
  const scalar = { name: 'flag', dtype: 'bool', shape: [] } as const;
  const branch = (op: string) =>
    subgraph({
      inputs: [],
      outputs: [{ name: `${op}_out`, dtype: 'float32' }],
      nodes: [node(op, ['a'], [`${op}_in`]), node('Mul', [`${op}_in`, 'w'], [`${op}_out`])],
    });
  const conditional = buildGraph({
    opset: 17,
    inputs: [x, scalar],
    outputs: [y],
    nodes: [
      node('Relu', ['x'], ['a']),
      node('Exp', ['a'], ['b']),
      node('If', ['flag'], ['c'], { then_branch: branch('Neg'), else_branch: branch('Abs') }, { name: 'choose' }),
      node('Add', ['b', 'c'], ['d']),
      node('Mul', ['d', 'w'], ['y']),
    ],
    initializers: { w: floats(4) },
  });
  const feeds = { x: floats(2, 4), flag: { dtype: 'bool', shape: [], data: Uint8Array.of(1) } } as const;

  test('what a subgraph captures is read by its node', async () => {
    expect(() => cutGraph(conditional, ['b'])).toThrow(/'a' added it would separate/);
    const { tail, whole, halves } = await bothWays(conditional, ['b', 'a'], feeds);
    expect(names(mainGraph(tail).input)).toEqual(['b', 'a', 'flag']);
    expect(names(mainGraph(tail).initializer)).toEqual(['w']);
    expect(halves).toEqual(whole);
    expect((await bothWays(conditional, ['d'], feeds)).halves).toEqual(whole);
  });

  test('a cut inside a subgraph is refused, with its node and where to cut', () => {
    expect(() => cutGraph(conditional, ['Neg_in'])).toThrow(
      expect.objectContaining({ code: 'CUT_SUBGRAPH', message: expect.stringMatching(/'choose' \(If\).*'c'/) }),
    );
  });

  const body = subgraph({
    inputs: [
      { name: 'i', dtype: 'int64', shape: [] },
      { name: 'go', dtype: 'bool', shape: [] },
      { name: 'before', dtype: 'float32' },
    ],
    outputs: [
      { name: 'on', dtype: 'bool', shape: [] },
      { name: 'after', dtype: 'float32' },
    ],
    nodes: [node('Identity', ['go'], ['on']), node('Add', ['before', 'a'], ['after'])],
  });

  test('Loop: its captures cross, its inside does not', async () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y],
      nodes: [
        node('Relu', ['x'], ['a']),
        node('Exp', ['a'], ['b']),
        node('Loop', ['rounds', '', 'b'], ['c'], { body }, { name: 'sum' }),
        node('Neg', ['c'], ['y']),
      ],
      initializers: { rounds: ints([], 3) },
    });
    for (const at of [['a'], ['b', 'a'], ['c']]) {
      const { whole, halves } = await bothWays(graph, at, { x: floats(2, 4) });
      expect(halves).toEqual(whole);
    }
    expect(() => cutGraph(graph, ['after'])).toThrow(expect.objectContaining({ code: 'CUT_SUBGRAPH' }));
    expect(() => cutGraph(graph, ['before'])).toThrow(expect.objectContaining({ code: 'CUT_SUBGRAPH' }));
  });

  test('Scan: its captures cross, its inside does not', async () => {
    const scan = subgraph({
      inputs: [
        { name: 'sum', dtype: 'float32', shape: [4] },
        { name: 'row', dtype: 'float32', shape: [4] },
      ],
      outputs: [
        { name: 'next', dtype: 'float32', shape: [4] },
        { name: 'row_out', dtype: 'float32', shape: [4] },
      ],
      nodes: [node('Add', ['sum', 'row'], ['next']), node('Add', ['next', 'bias'], ['row_out'])],
    });
    const graph = buildGraph({
      opset: 17,
      inputs: [x],
      outputs: [y],
      nodes: [
        node('Relu', ['x'], ['a']),
        node('ReduceMax', ['a'], ['bias'], { axes: int([0]), keepdims: 0 }),
        node('Scan', ['bias', 'a'], ['last', 'rows'], { body: scan, num_scan_inputs: 1 }, { name: 'scan' }),
        node('Neg', ['rows'], ['y']),
      ],
    });
    for (const at of [['a'], ['a', 'bias'], ['rows']]) {
      const { whole, halves } = await bothWays(graph, at, { x: floats(3, 4) });
      expect(halves).toEqual(whole);
    }
    expect(() => cutGraph(graph, ['next'])).toThrow(expect.objectContaining({ code: 'CUT_SUBGRAPH' }));
  });
});

describe('what a model carries besides its nodes', () => {
  test('functions, operator sets, metadata and annotations go where they are used', async () => {
    const gelu = create(FunctionProtoSchema, {
      name: 'Twice',
      domain: 'local',
      input: ['in'],
      output: ['out'],
      node: [node('Add', ['in', 'in'], ['out'])],
      opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })],
    });
    const graph = buildGraph({
      opset: 17,
      domains: { local: 1 },
      inputs: [x],
      outputs: [y],
      nodes: [
        node('Twice', ['x'], ['a'], {}, { domain: 'local' }),
        node('QuantizeLinear', ['a', 'scale'], ['q']),
        node('DequantizeLinear', ['q', 'scale'], ['b']),
        node('Relu', ['b'], ['y']),
      ],
      initializers: { scale: { dtype: 'float32', shape: [], data: Float32Array.of(0.1) } },
      functions: [gelu],
      values: [{ name: 'a', dtype: 'float32', shape: ['batch', 4] }],
    });
    graph.metadataProps.push(create(StringStringEntryProtoSchema, { key: 'author', value: 'me' }));
    mainGraph(graph).quantizationAnnotation.push(
      create(TensorAnnotationSchema, {
        tensorName: 'a',
        quantParameterTensorNames: [create(StringStringEntryProtoSchema, { key: 'SCALE_TENSOR', value: 'scale' })],
      }),
    );
    const { head, tail, whole, halves } = await bothWays(graph, ['q'], { x: floats(2, 4) });
    expect(halves).toEqual(whole);
    expect(names(head.functions)).toEqual(['Twice']);
    expect(names(tail.functions)).toEqual([]);
    expect(head.opsetImport.map(({ domain }) => domain)).toEqual(['', 'local']);
    expect(tail.opsetImport.map(({ domain }) => domain)).toEqual(['']);
    expect([head, tail].map((half) => half.metadataProps[0].value)).toEqual(['me', 'me']);
    expect(mainGraph(head).quantizationAnnotation).toHaveLength(1);
    expect(mainGraph(tail).quantizationAnnotation).toHaveLength(0);
    expect(names(mainGraph(head).valueInfo)).toEqual(['a']);
  });

  test('float16 and int8 tensors cross as what they are', () => {
    const graph = buildGraph({
      opset: 17,
      inputs: [{ ...x, dtype: 'float16' }],
      outputs: [{ ...y, dtype: 'float16' }],
      nodes: [node('Relu', ['x'], ['a']), node('Neg', ['a'], ['y'])],
    });
    const value = mainGraph(cutGraph(graph, ['a']).tail).input[0].type?.value;
    expect(value?.case === 'tensorType' && value.value.elemType).toBe(10);
  });
});
