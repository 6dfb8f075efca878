import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildGraph, node, subgraph } from '../../src/onnx/build.ts';
import { type Graph, mainGraph } from '../../src/onnx/graph.ts';
import { readGraph, writeGraph } from '../../src/onnx/read.ts';
import { tensorOf } from '../../src/onnx/values.ts';
import { tensor } from '../../src/tensor.ts';
import { SHARED } from '../shared.ts';

const spec = {
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 3] }],
  nodes: [node('MatMul', ['x', 'w'], ['h']), node('LeakyRelu', ['h'], ['y'], { alpha: 0.25 })],
  initializers: { w: tensor('float32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)) },
} as const;

const files = SHARED
  ? ['graphs', 'photos/models'].flatMap((folder) =>
      readdirSync(join(SHARED!, folder))
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => join(folder, name)),
    )
  : [];

describe.skipIf(!SHARED)('graphs that others made', () => {
  test.each(files)('%s is valid and comes back byte for byte', (name) => {
    const bytes = readFileSync(join(SHARED!, name));
    const graph = readGraph(bytes);
    expect(Buffer.compare(writeGraph(graph), bytes)).toBe(0);
    // Every initializer can be had as a tensor.
    for (const proto of mainGraph(graph).initializer) {
      expect(tensorOf(proto).shape).toEqual(proto.dims.map(Number));
    }
  });
});

describe('a round trip', () => {
  test('keeps a graph built in code, and reads from any offset', () => {
    const graph = buildGraph(spec);
    const bytes = writeGraph(graph);
    for (let shift = 0; shift < 8; shift++) {
      const moved = new Uint8Array(bytes.length + shift);
      moved.set(bytes, shift);
      const back = readGraph(moved.subarray(shift));
      expect(tensorOf(mainGraph(back).initializer[0])).toEqual(spec.initializers.w);
      expect(writeGraph(back)).toEqual(bytes);
    }
  });

  test('keeps random graphs', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 200 });
    const number = fc.oneof(fc.double({ noNaN: true }).map(Math.fround), fc.integer());
    const names = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 150 }), {
      minLength: 3,
      maxLength: 9,
    });
    fc.assert(
      fc.property(names, text, number, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (chain, s, f, i) => {
        const graph = buildGraph({
          ...spec,
          inputs: [{ name: chain[0], dtype: 'float32' }],
          outputs: [{ name: chain.at(-1)!, dtype: 'float32' }],
          nodes: chain.slice(1).map((name, at) => node('Any', [chain[at]], [name], { s, f, i })),
        });
        graph.docString = s;
        const bytes = writeGraph(graph);
        const back = readGraph(bytes);
        expect(back).toEqual(graph);
        expect(writeGraph(back)).toEqual(bytes);
      }),
      { seed: 3, numRuns: 60 },
    );
  });

  test('keeps fields that isthmus does not know, in every message', () => {
    const inner = new BinaryWriter().tag(999, WireType.Bit64).fixed64(7n).finish();
    const nodeBytes = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .string('x')
      .tag(2, WireType.LengthDelimited)
      .string('y')
      .tag(4, WireType.LengthDelimited)
      .string('Relu')
      .tag(500, WireType.Varint)
      .uint64(2n ** 63n)
      .tag(501, WireType.LengthDelimited)
      .bytes(inner)
      .tag(502, WireType.StartGroup)
      .tag(1, WireType.Bit32)
      .fixed32(5)
      .tag(502, WireType.EndGroup)
      .finish();
    const base = buildGraph({ ...spec, nodes: [], initializers: {} });
    const graphBytes = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .bytes(nodeBytes)
      .raw(writeGraphOnly(base))
      .tag(77, WireType.Varint)
      .uint32(1)
      .finish();
    const bytes = new BinaryWriter()
      .tag(1, WireType.Varint)
      .int64(99)
      .tag(7, WireType.LengthDelimited)
      .bytes(graphBytes)
      .tag(8, WireType.LengthDelimited)
      .bytes(new BinaryWriter().tag(2, WireType.Varint).int64(17).finish())
      .tag(1000, WireType.LengthDelimited)
      .string('of a later version')
      .finish();
    const graph = readGraph(bytes);
    expect(mainGraph(graph).node[0].$unknown?.map(({ no }) => no)).toEqual([500, 501, 502]);
    expect(writeGraph(graph)).toEqual(bytes);
  });

  test('views the tensors of its input', () => {
    const bytes = writeGraph(buildGraph(spec));
    expect(mainGraph(readGraph(Buffer.from(bytes))).initializer[0].rawData.constructor).toBe(Uint8Array);
    expect(mainGraph(readGraph(bytes)).initializer[0].rawData.buffer).toBe(bytes.buffer);
  });
});

/** The fields of the main graph without the message around them. */
function writeGraphOnly(graph: Graph): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, name] of [
    [11, 'x'],
    [12, 'y'],
  ] as const) {
    const { value } = mainGraph(graph)[field === 11 ? 'input' : 'output'][0].type!;
    expect(value.case).toBe('tensorType');
    const tensorType = new BinaryWriter().tag(1, WireType.Varint).int32(1).finish();
    const type = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(tensorType).finish();
    const info = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .string(name)
      .tag(2, WireType.LengthDelimited)
      .bytes(type);
    writer.tag(field, WireType.LengthDelimited).bytes(info.finish());
  }
  return writer.finish();
}

describe('caps', () => {
  const limit = (name: string) =>
    expect.objectContaining({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining(name) });
  const bytes = writeGraph(buildGraph(spec));

  test('bytes, nodes, heap, tensor bytes, rank', () => {
    expect(() => readGraph(bytes, { limits: { onnxBytes: bytes.length - 1 } })).toThrow(limit('onnxBytes'));
    expect(() => readGraph(bytes, { limits: { onnxNodes: 1 } })).toThrow(limit('onnxNodes'));
    expect(() => readGraph(bytes, { limits: { onnxHeapBytes: 1000 } })).toThrow(limit('onnxHeapBytes'));
    expect(() => readGraph(bytes, { limits: { tensorBytes: 23 } })).toThrow(limit('tensorBytes'));
    expect(() => readGraph(bytes, { limits: { tensorRank: 1 } })).toThrow(limit('tensorRank'));
    expect(readGraph(bytes, { limits: { onnxNodes: 2, tensorBytes: 24, tensorRank: 2 } })).toBeDefined();
  });

  test('nesting of subgraphs', () => {
    const nested = (depth: number): Uint8Array => {
      let body = subgraph({ inputs: [], outputs: [{ name: 'x', dtype: 'float32' }], nodes: [] });
      for (let i = 1; i < depth; i++) {
        const branch = node('If', ['x'], ['b'], { then_branch: body, else_branch: body });
        body = subgraph({ inputs: [], outputs: [{ name: 'b', dtype: 'float32' }], nodes: [branch] });
      }
      const outer = node('Loop', ['', '', 'x'], ['y'], { body });
      return writeGraph(buildGraph({ ...spec, nodes: [outer], initializers: {} }));
    };
    expect(readGraph(nested(3), { limits: { onnxNesting: 3 } })).toBeDefined();
    expect(() => readGraph(nested(4), { limits: { onnxNesting: 3 } })).toThrow(limit('onnxNesting'));
  });
});

test('a graph that cannot be written is ONNX_INVALID', () => {
  const graph = buildGraph(spec);
  const loop = node('Loop', [], ['z'], { body: mainGraph(graph) });
  mainGraph(graph).node.push(loop);
  expect(() => writeGraph(graph)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
  mainGraph(graph).node.pop();
  mainGraph(graph).initializer[0].dims = [2n ** 70n];
  expect(() => writeGraph(graph)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
});
