import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import {
  floatAttribute,
  floatsAttribute,
  graphAttribute,
  hasAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  stringsAttribute,
  tensorAttribute,
} from '../../src/onnx/attributes.ts';
import { attribute, float, int, node, subgraph } from '../../src/onnx/build.ts';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  NodeProtoSchema,
} from '../../src/onnx/onnx_pb.ts';
import { tensor } from '../../src/tensor.ts';

const branch = subgraph({ inputs: [], outputs: [], nodes: [] });
const ones = tensor('float32', [2], Float32Array.of(1, 1));

describe('what the builder writes, the getters read', () => {
  const sample = node('Any', ['x'], ['y'], {
    axis: -1,
    alpha: 1,
    mode: 'linear',
    pads: [0, 1, 2, 3],
    scales: [1, 2],
    half: [0.5, 1],
    equations: ['a', 'b'],
    value: ones,
    body: branch,
    end: 2n ** 63n - 1n,
    low: float(3),
    keepdims: int(0),
    none: int([]),
  });

  test('each of its type', () => {
    expect(intAttribute(sample, 'axis')).toBe(-1);
    expect(floatAttribute(sample, 'alpha')).toBe(1);
    expect(stringAttribute(sample, 'mode')).toBe('linear');
    expect(intsAttribute(sample, 'pads')).toEqual([0, 1, 2, 3]);
    expect(floatsAttribute(sample, 'scales')).toEqual([1, 2]);
    expect(floatsAttribute(sample, 'half')).toEqual([0.5, 1]);
    expect(stringsAttribute(sample, 'equations')).toEqual(['a', 'b']);
    expect(tensorAttribute(sample, 'value')).toEqual(ones);
    expect(graphAttribute(sample, 'body')).toBe(branch);
    expect(intAttribute(sample, 'end')).toBe(Number.MAX_SAFE_INTEGER);
    expect(floatAttribute(sample, 'low')).toBe(3);
    expect(intAttribute(sample, 'keepdims')).toBe(0);
    expect(intsAttribute(sample, 'none')).toEqual([]);
    expect(hasAttribute(sample, 'axis')).toBe(true);
    expect(hasAttribute(sample, 'axes')).toBe(false);
  });

  test('an absent one is its fallback, and without one an error that names the node', () => {
    expect(intAttribute(sample, 'group', 1)).toBe(1);
    expect(intsAttribute(sample, 'perm', undefined)).toBeUndefined();
    expect(() => intAttribute(sample, 'group')).toThrow(/node that makes 'y' \(Any\).*'group'/);
  });

  test('one of another type is ONNX_INVALID and names the node', () => {
    expect(() => floatAttribute(sample, 'axis')).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
    expect(() => intAttribute(node('Any', [], [], { mode: 'a' }, { name: 'n7' }), 'mode')).toThrow(
      /node 'n7' \(Any\).*INT.*STRING/,
    );
  });
});

test('an attribute of IR version 1, which states no type, has that of its value', () => {
  const old = create(NodeProtoSchema, {
    opType: 'Old',
    attribute: [create(AttributeProtoSchema, { name: 'k', i: 3n })],
  });
  expect(intAttribute(old, 'k')).toBe(3);
});

test('a value of no clear type is refused', () => {
  const code = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
  expect(() => attribute('pads', [])).toThrow(code);
  expect(() => attribute('pads', int(0.5))).toThrow(code);
  expect(() => attribute('pads', ['a', 1] as unknown as string[])).toThrow(code);
  expect(attribute('pads', float([])).type).toBe(AttributeType.FLOATS);
});
