import { clone, create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { buildGraph, int, type ModelSpec, node, subgraph } from '../../src/onnx/build.ts';
import { checkGraph } from '../../src/onnx/check.ts';
import { type Graph, mainGraph } from '../../src/onnx/graph.ts';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  FunctionProtoSchema,
  type GraphProto,
  ModelProtoSchema,
  SparseTensorProtoSchema,
  TensorProto_DataLocation,
  TensorProto_SegmentSchema,
} from '../../src/onnx/onnx_pb.ts';
import { protoOf } from '../../src/onnx/values.ts';
import { tensor } from '../../src/tensor.ts';

const value = (name: string) => ({ name, dtype: 'float32' as const, shape: [2] });
const two = tensor('float32', [2], Float32Array.of(1, 2));
const base: ModelSpec = {
  opset: 17,
  inputs: [value('x')],
  outputs: [value('y')],
  nodes: [node('Add', ['x', 'w'], ['h']), node('Relu', ['h'], ['y'])],
  initializers: { w: two },
};

const model = (change: Partial<ModelSpec>): Graph => buildGraph({ ...base, ...change });

/** The model after a change to its messages. */
function changed(change: (main: GraphProto, graph: Graph) => void): Graph {
  const graph = clone(ModelProtoSchema, model({}));
  change(mainGraph(graph), graph);
  return graph;
}

describe('valid', () => {
  const branch = (name: string, from: string) =>
    subgraph({ inputs: [], outputs: [value(name)], nodes: [node('Relu', [from], [name])] });
  const call = create(FunctionProtoSchema, {
    name: 'Twice',
    domain: 'local',
    input: ['a'],
    output: ['b'],
    attribute: ['axis'],
    opsetImport: [{ domain: '', version: 17n }],
    node: [node('Softmax', ['a'], ['b'])],
  });
  call.node[0].attribute.push(
    create(AttributeProtoSchema, { name: 'axis', refAttrName: 'axis', type: AttributeType.INT }),
  );

  test.each<[string, Graph]>([
    ['a plain model', model({})],
    ['initializers that are inputs too, as before IR 4', model({ inputs: [value('x'), value('w')], irVersion: 3 })],
    ['IR 1 without operator sets', changed((_, graph) => Object.assign(graph, { irVersion: 1n, opsetImport: [] }))],
    ['operators of another domain', model({ nodes: [node('Magic', ['x'], ['y'], {}, { domain: 'com.example' })] })],
    ['left-out inputs and outputs', model({ nodes: [node('Any', ['', 'x', ''], ['', 'y', ''])] })],
    [
      'subgraphs that see outer names, and branches with the same names',
      model({ nodes: [node('If', ['x'], ['y'], { then_branch: branch('b', 'w'), else_branch: branch('b', 'x') })] }),
    ],
    [
      'a subgraph that hides an outer name',
      model({ nodes: [node('If', ['x'], ['y'], { then_branch: branch('w', 'x') })] }),
    ],
    [
      'a function',
      model({ functions: [call], nodes: [node('Twice', ['x'], ['y'], { axis: 0 }, { domain: 'local' })] }),
    ],
    ['an input that is an output', model({ outputs: [value('x')] })],
    [
      'a sparse initializer',
      changed((main) => {
        const indices = protoOf('', tensor('int64', [2], BigInt64Array.of(1n, 3n)));
        main.sparseInitializer.push(
          create(SparseTensorProtoSchema, { values: protoOf('s', two), indices, dims: [4n] }),
        );
        main.node[1].input[0] = 's';
      }),
    ],
    ['a domain imported by both its names', model({ domains: { 'ai.onnx': 17 } })],
    [
      'a number left out, which is 0',
      changed((main) =>
        main.node[0].attribute.push(create(AttributeProtoSchema, { name: 'k', type: AttributeType.INT })),
      ),
    ],
  ])('%s', (_, graph) => {
    expect(() => checkGraph(graph)).not.toThrow();
  });
});

describe('invalid', () => {
  const calling = (name: string, called: string) =>
    create(FunctionProtoSchema, { name, domain: 'd', node: [node(called, [], ['z'], {}, { domain: 'd' })] });
  const attribute = (fields: object) =>
    changed((main) => main.node[0].attribute.push(create(AttributeProtoSchema, fields)));

  test.each<[string, RegExp, Graph]>([
    ['no ir_version', /ir_version/, changed((_, graph) => Object.assign(graph, { irVersion: 0n }))],
    ['no operator set', /operator set/, changed((_, graph) => Object.assign(graph, { opsetImport: [] }))],
    [
      'no operator set of the default domain',
      /domain 'ai.onnx'/,
      changed((_, graph) => Object.assign(graph.opsetImport[0], { domain: 'd' })),
    ],
    ['two versions of an operator set', /version 17 and 16/, model({ domains: { 'ai.onnx': 16 } })],
    ['an operator set of version 0', /version 0/, model({ opset: 0 })],
    ['no graph', /no graph/, changed((_, graph) => Object.assign(graph, { graph: undefined }))],
    ['no outputs', /no outputs/, model({ outputs: [] })],
    ['an input without a type', /'x'.*no type/, changed((main) => Object.assign(main.input[0], { type: undefined }))],
    [
      'an input without an element type',
      /'x'.*no type/,
      changed((main) => Object.assign(main.input[0].type!.value.value!, { elemType: 0 })),
    ],
    ['an input without a name', /no name/, model({ inputs: [value('')] })],
    ['two inputs of one name', /'x'/, model({ inputs: [value('x'), value('x')] })],
    ['two outputs of one name', /'y'/, model({ outputs: [value('y'), value('y')] })],
    ['a name made twice', /'h'/, model({ nodes: [...base.nodes, node('Relu', ['x'], ['h'])] })],
    ['a node that makes an initializer', /'w'/, model({ nodes: [...base.nodes, node('Relu', ['x'], ['w'])] })],
    ['a node that makes an input', /'x'/, model({ nodes: [...base.nodes, node('Relu', ['y'], ['x'])] })],
    ['a node out of order', /only later.*order/, model({ nodes: [...base.nodes].reverse() })],
    ['a node that reads itself', /itself/, model({ nodes: [node('Add', ['x', 'y'], ['y'])] })],
    ['an undefined name', /'nowhere'/, model({ nodes: [node('Relu', ['nowhere'], ['y'])] })],
    ['an output that nothing makes', /output 'gone'/, model({ outputs: [value('gone')] })],
    ['a node without an operator', /node 0/, model({ nodes: [node('', ['x'], ['y'])] })],
    [
      'a name of a subgraph used outside',
      /'inside'/,
      model({
        nodes: [
          node('If', ['x'], ['h'], {
            then_branch: subgraph({ inputs: [], outputs: [value('inside')], nodes: [node('Relu', ['x'], ['inside'])] }),
          }),
          node('Relu', ['inside'], ['y']),
        ],
      }),
    ],
    ['two initializers of one name', /'w'/, changed((main) => main.initializer.push(protoOf('w', two)))],
    [
      'an initializer of too few bytes',
      /'w'.*8 bytes.*7/,
      changed((main) => Object.assign(main.initializer[0], { rawData: new Uint8Array(7) })),
    ],
    [
      'a tensor attribute of too few bytes',
      /'value'/,
      attribute({ name: 'value', type: AttributeType.TENSOR, t: { dataType: 1, dims: [1n] } }),
    ],
    ['an attribute without a name', /without a name/, attribute({ type: AttributeType.INT, i: 1n })],
    [
      'an attribute of another type than it states',
      /of type int.*float/,
      attribute({ name: 'k', type: AttributeType.INT, f: 1 }),
    ],
    [
      'an attribute with two values',
      /of type int.*float/,
      attribute({ name: 'k', type: AttributeType.INT, i: 1n, f: 1 }),
    ],
    ['a tensor attribute without a tensor', /no value/, attribute({ name: 'k', type: AttributeType.TENSOR })],
    ['an attribute without type and value', /no value/, attribute({ name: 'k' })],
    ['a reference outside a function', /function/, attribute({ name: 'k', refAttrName: 'k', type: AttributeType.INT })],
    [
      'an attribute twice',
      /twice/,
      changed((main) =>
        main.node[0].attribute.push(
          ...node('A', [], [], { k: int(1) }).attribute,
          ...node('A', [], [], { k: int(1) }).attribute,
        ),
      ),
    ],
    ['a function that calls itself', /calls itself/, model({ functions: [calling('F', 'F')] })],
    [
      'functions that call one another in a circle',
      /calls itself/,
      model({ functions: [calling('F', 'G'), calling('G', 'F')] }),
    ],
    ['a function twice', /twice/, model({ functions: [calling('F', 'Relu'), calling('F', 'Relu')] })],
    [
      'a function whose output nothing makes',
      /'q'/,
      model({ functions: [create(FunctionProtoSchema, { name: 'F', domain: 'd', output: ['q'] })] }),
    ],
    [
      'a function that reads a name of the graph',
      /'w'/,
      model({
        functions: [create(FunctionProtoSchema, { name: 'F', domain: 'd', node: [node('Relu', ['w'], ['q'])] })],
      }),
    ],
    [
      'a sparse initializer whose indices do not agree',
      /do not agree/,
      changed((main) => {
        const indices = protoOf('', tensor('int64', [1], BigInt64Array.of(1n)));
        main.sparseInitializer.push(
          create(SparseTensorProtoSchema, { values: protoOf('s', two), indices, dims: [4n] }),
        );
      }),
    ],
  ])('%s', (_, message, graph) => {
    expect(() => checkGraph(graph)).toThrow(
      expect.objectContaining({ code: 'ONNX_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

describe('refused', () => {
  test.each<[string, string, Graph]>([
    [
      'ONNX_UNSUPPORTED',
      'an unknown data type',
      changed((main) => Object.assign(main.initializer[0], { dataType: 77 })),
    ],
    [
      'ONNX_UNSUPPORTED',
      'segments',
      changed((main) => Object.assign(main.initializer[0], { segment: create(TensorProto_SegmentSchema) })),
    ],
    [
      'ONNX_EXTERNAL_DATA',
      'data that was not loaded',
      changed((main) => Object.assign(main.initializer[0], { dataLocation: TensorProto_DataLocation.EXTERNAL })),
    ],
    [
      'LIMIT_EXCEEDED',
      'a shape whose product overflows',
      changed((main) => Object.assign(main.initializer[0], { dims: [2n ** 62n, 2n ** 62n] })),
    ],
    [
      'LIMIT_EXCEEDED',
      'a graph that contains itself',
      changed((main) => main.node.unshift(node('If', ['x'], ['q'], { then_branch: main }))),
    ],
  ])('%s: %s', (code, _, graph) => {
    expect(() => checkGraph(graph)).toThrow(expect.objectContaining({ code }));
  });

  test('a graph that contains itself, with nesting allowed without end', () => {
    const graph = changed((main) => main.node.unshift(node('If', ['x'], ['q'], { then_branch: main })));
    const limits = { onnxNesting: Number.POSITIVE_INFINITY, onnxNodes: Number.POSITIVE_INFINITY };
    expect(() => checkGraph(graph, limits)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });
});
