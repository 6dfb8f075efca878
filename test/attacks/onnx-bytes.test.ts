import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { attribute, buildGraph, node, subgraph } from '../../src/onnx/build.ts';
import { mainGraph } from '../../src/onnx/graph.ts';
import { readGraph, writeGraph } from '../../src/onnx/read.ts';
import { tensorOf } from '../../src/onnx/values.ts';
import { tensor } from '../../src/tensor.ts';

const branch = subgraph({
  inputs: [],
  outputs: [{ name: 'b', dtype: 'float32', shape: ['n', 2] }],
  nodes: [node('Relu', ['h'], ['b'])],
});
const valid = writeGraph(
  buildGraph({
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 3] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('If', ['c'], ['v'], { then_branch: branch, else_branch: branch }),
      node(
        'Mystery',
        ['v'],
        ['y'],
        { alpha: 1, ints: [1, 2, -3], s: 'α', words: ['a', 'b'], w: tensor('int64', [1], BigInt64Array.of(5n)) },
        { domain: 'com.example' },
      ),
    ],
    initializers: {
      w: tensor('float32', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6)),
      c: tensor('bool', [], Uint8Array.of(1)),
      q: tensor('int4', [3], Int8Array.of(-8, 0, 7)),
      t: tensor('string', [2], ['one', 'two']),
    },
  }),
);

/** Reads bytes, looks at every tensor and writes the graph again. Anything but an IsthmusError fails the test. */
function survive(bytes: Uint8Array): 'read' | 'refused' {
  try {
    const graph = readGraph(bytes);
    for (const proto of mainGraph(graph).initializer) {
      try {
        tensorOf(proto);
      } catch (thrown) {
        if (!(thrown instanceof IsthmusError)) throw thrown;
      }
    }
    const again = writeGraph(graph);
    expect(writeGraph(readGraph(again))).toEqual(again);
    return 'read';
  } catch (thrown) {
    if (thrown instanceof IsthmusError) return 'refused';
    throw thrown;
  }
}

describe('damaged models', () => {
  test('the undamaged one reads', () => expect(survive(valid)).toBe('read'));

  test('every truncation is refused', () => {
    for (let length = 0; length < valid.length; length++) {
      // The last field is the operator set, which a model needs.
      expect(survive(valid.subarray(0, length)), `cut at ${length}`).toBe('refused');
    }
  });

  test('every flipped bit gives a model or an IsthmusError', () => {
    for (let bit = 0; bit < valid.length * 8; bit++) {
      const bytes = valid.slice();
      bytes[bit >> 3] ^= 1 << (bit & 7);
      survive(bytes);
    }
  });

  test('random edits', () => {
    const edit = fc.record({
      at: fc.nat(valid.length - 1),
      remove: fc.nat(4),
      insert: fc.uint8Array({ maxLength: 12 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), (edits) => {
        let bytes = [...valid];
        for (const { at, remove, insert } of edits) bytes.splice(Math.min(at, bytes.length), remove, ...insert);
        bytes = bytes.slice(0, 4096);
        survive(Uint8Array.from(bytes));
      }),
      { seed: 11, numRuns: 3000 },
    );
  });

  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(survive(bytes)).toBe('refused');
      }),
      { seed: 12, numRuns: 3000 },
    );
  });
});

/** A message in itself `depth` times: each level is the field `fields` in one another, the innermost empty. */
function nested(fields: readonly number[], depth: number): Uint8Array {
  // Lengths are laid out from the inside, into one buffer from its end, so that a deep bomb is made in linear time.
  const bytes = new Uint8Array(depth * fields.length * 6);
  let start = bytes.length;
  for (let level = 0; level < depth; level++) {
    for (const field of [...fields].reverse()) {
      const header = new BinaryWriter()
        .tag(field, WireType.LengthDelimited)
        .uint32(bytes.length - start)
        .finish();
      start -= header.length;
      bytes.set(header, start);
    }
  }
  return bytes.subarray(start);
}

/** The field, empty, many times. */
function repeated(field: number, times = 3_000_000): Uint8Array {
  const one = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(0).finish();
  const bytes = new Uint8Array(one.length * times);
  for (let at = 0; at < bytes.length; at += one.length) bytes.set(one, at);
  return bytes;
}

describe('bombs', () => {
  const modelOf = (graph: Uint8Array) =>
    new BinaryWriter().tag(1, WireType.Varint).int64(8).tag(7, WireType.LengthDelimited).bytes(graph).finish();

  test('subgraphs in subgraphs', () => {
    // node 1, attribute 5, graph 6
    const bytes = modelOf(nested([1, 5, 6], 100_000));
    expect(() => readGraph(bytes)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', message: expect.stringMatching(/onnxNesting/) }),
    );
  });

  test('types in types', () => {
    // output 12, type 2, then sequence 4 of element type 1
    const type = nested([4, 1], 100_000);
    const info = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(type).finish();
    const bytes = modelOf(new BinaryWriter().tag(12, WireType.LengthDelimited).bytes(info).finish());
    expect(() => readGraph(bytes)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });

  test('groups in groups, in a field that nobody knows', () => {
    const writer = new BinaryWriter();
    for (let i = 0; i < 200_000; i++) writer.tag(900, WireType.StartGroup);
    const bytes = writer.finish();
    expect(() => readGraph(bytes)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
    const limits = { onnxNesting: Number.POSITIVE_INFINITY };
    expect(() => readGraph(bytes, { limits })).toThrow(IsthmusError);
    expect(() => readGraph(modelOf(nested([1, 5, 6], 100_000)), { limits })).toThrow(IsthmusError);
  });

  test.each([
    ['empty nodes', modelOf(repeated(1)), 'onnxNodes'],
    ['empty initializers', modelOf(repeated(5)), 'onnxHeapBytes'],
    ['empty functions of a model', repeated(25), 'onnxHeapBytes'],
    ['fields that nobody knows', modelOf(repeated(3000, 8_000_000)), 'onnxHeapBytes'],
  ])('millions of %s, of two or three bytes each', (_, bytes, cap) => {
    expect(() => readGraph(bytes)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining(cap) }),
    );
  });

  test('a list of integers that would take gigabytes as bigints', () => {
    const ints = new Uint8Array(40_000_000);
    const bytes = modelOf(nodeWith(new BinaryWriter().tag(8, WireType.LengthDelimited).bytes(ints).finish()));
    expect(() => readGraph(bytes)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', message: expect.stringMatching(/onnxHeapBytes/) }),
    );
  });

  test('a length of 4 GiB', () => {
    const bytes = Uint8Array.from([0x08, 0x08, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    expect(() => readGraph(bytes)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
  });

  function nodeWith(attributeFields: Uint8Array): Uint8Array {
    const inner = new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(attributeFields).finish();
    return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(inner).finish();
  }
});

describe('a field that runs past the message around it', () => {
  test('is refused where a parser would read on into the next field', () => {
    // A node of 2 bytes whose input claims 1 byte more than the node has.
    const graph = Uint8Array.from([0x0a, 0x02, 0x0a, 0x01, 0x78]);
    const bytes = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(graph).finish();
    expect(() => readGraph(bytes)).toThrow(/runs past the end of its NodeProto/);
  });

  test('a packed list that ends within an entry', () => {
    const { ints } = attribute('k', [1]);
    expect(ints).toEqual([1n]);
    // ints = field 8: a packed list of one byte that says another follows.
    const list = new BinaryWriter().tag(8, WireType.LengthDelimited).bytes(Uint8Array.of(0x81)).finish();
    const inner = new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(list).finish();
    const graph = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(inner).finish();
    const bytes = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(graph).finish();
    expect(() => readGraph(bytes)).toThrow(/'ints'.*within an entry/);
  });

  test('a known field of another wire type', () => {
    expect(() => readGraph(Uint8Array.of(0x0a, 0x01, 0x08))).toThrow(/'ir_version'.*wire type/);
  });

  test('a name that is not UTF-8, which would change on the way', () => {
    const bytes = Uint8Array.of(0x12, 0x02, 0xc3, 0x28);
    expect(() => readGraph(bytes)).toThrow(/'producer_name'.*UTF-8/);
  });
});

describe('files that are taken for models', () => {
  const latin = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
  test.each([
    ['', /empty/],
    ['PK\x03\x04\x14\0\0\0', /zip.*PyTorch/],
    ['\x80\x02}q\0', /pickle.*torch\.onnx\.export/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:00', /git lfs pull/],
    ['\xff\xd8\xff\xe0\0\x10JFIF', /JPEG/],
    ['\x89PNG\r\n\x1a\n', /PNG/],
    ['<!DOCTYPE html><html></html>', /HTML/],
    ['\n <html lang="en">', /HTML/],
    ['{"format": "layers-model"}', /JSON/],
    ['\x1c\0\0\0TFL3', /TensorFlow Lite/],
    ['\x89HDF\r\n\x1a\n', /HDF5/],
    ['GGUF\x03\0\0\0', /GGUF/],
    ['\x40\0\0\0\0\0\0\0{"a":', /safetensors/],
    ['\x1f\x8b\x08\0', /gzip/],
    ['ir_version: 8\ngraph {\n}', /text format/],
    ['hello world', /text/],
    ['\0'.repeat(100), /zeros/],
  ])('%j', (text, message) => {
    expect(() => readGraph(latin(text))).toThrow(
      expect.objectContaining({ code: 'ONNX_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('what is not bytes', () => {
    for (const wrong of ['model.onnx', undefined, null, new ArrayBuffer(8), [1, 2]]) {
      expect(() => readGraph(wrong as unknown as Uint8Array)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
  });
});
