import { type AttributeValue, buildGraph, type Graph, node, type ValueSpec } from '../../src/onnx/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';

/** A vision transformer and its tails with random weights, small enough to be written and run in milliseconds. */
export const TINY = { side: 32, patch: 8, tokens: 17, width: 16 } as const;

const HEADS = 2;
const POSITIONS = 32;

/** Numbers in [0, 1) from a seed (mulberry32). */
export type Random = () => number;

export function generator(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** `[batch, 3, 32, 32]` to `[batch, 17, 16]`; names inside as PyTorch's exporter gives them. */
export function tinyTrunk(random: Random): Graph {
  const g = drawing(random);
  const { side, patch, tokens, width } = TINY;
  const patches = g.op('Conv', ['pixels', g.weight([width, 3, patch, patch], 3 * patch * patch, 3)], {
    kernel_shape: [patch, patch],
    strides: [patch, patch],
  });
  const flat = g.op('Transpose', [g.op('Reshape', [patches, g.ints([0, width, -1])])], { perm: [0, 2, 1] });
  const batch = g.op('Gather', [g.op('Shape', ['pixels']), g.ints([0])], { axis: 0 });
  const shape = g.op('Concat', [batch, g.ints([1, width])], { axis: 0 });
  const first = g.op('Expand', [g.weight([1, 1, width], 4), shape]);
  const placed = g.op('Add', [g.op('Concat', [first, flat], { axis: 1 }), g.weight([1, tokens, width], 4)]);
  const one = block(g, placed, '/blocks/blocks.0/Add_1_output_0');
  block(g, one, 'features');
  return g.graph([{ name: 'pixels', dtype: 'float32', shape: ['batch', 3, side, side] }], {
    name: 'features',
    dtype: 'float32',
    shape: ['batch', tokens, width],
  });
}

export function tinyClassification(random: Random, classes: number): Graph {
  const g = drawing(random);
  const first = g.op('Gather', [norm(g, 'features'), g.scalar(0)], { axis: 1 });
  g.op('MatMul', [first, g.weight([TINY.width, classes], TINY.width, 4)], {}, 'logits');
  return g.graph([FEATURES], { name: 'logits', dtype: 'float32', shape: ['batch', classes] });
}

/** Causal self-attention, cross-attention on the features, logits for every position. */
export function tinyCaptioning(random: Random, words: number): Graph {
  const g = drawing(random);
  const length = g.op('Gather', [g.op('Shape', ['tokens']), g.ints([1])], { axis: 0 });
  const places = g.op('Slice', [g.weight([POSITIONS, TINY.width], 1), g.ints([0]), length, g.ints([0])]);
  const embedded = g.op('Add', [g.op('Gather', [g.weight([words, TINY.width], 1), 'tokens'], { axis: 0 }), places]);
  const square = g.op('Concat', [length, length], { axis: 0 });
  const mask = g.op('Trilu', [g.op('Expand', [g.floats([-1e9]), square]), g.scalar(1)], { upper: 1 });
  const own = norm(g, embedded);
  const heard = g.op('Add', [embedded, attention(g, own, own, mask)]);
  const seen = g.op('Add', [heard, attention(g, norm(g, heard), norm(g, 'features'), undefined, 3)]);
  const scores = g.op('MatMul', [norm(g, seen), g.weight([TINY.width, words], TINY.width, 3)]);
  // Token 2 ends a caption: held back, so that captions have several words.
  g.op('Add', [scores, g.floats(Array.from({ length: words }, (_, id) => (id === 2 ? -4 : 0)))], {}, 'logits');
  return g.graph([TOKENS, FEATURES], { name: 'logits', dtype: 'float32', shape: ['batch', 'length', words] });
}

/** Cross-attention from the question's words, which are then averaged; token 0 is padding. */
export function tinyVqa(random: Random, words: number, answers: number): Graph {
  const g = drawing(random);
  const embedded = g.op('Gather', [g.weight([words, TINY.width], 1), 'tokens'], { axis: 0 });
  const seen = g.op('Add', [embedded, attention(g, norm(g, embedded), norm(g, 'features'), undefined, 3)]);
  const isWord = g.op('Cast', [g.op('Not', [g.op('Equal', ['tokens', g.scalar(0)])])], { to: 1 });
  const share = g.op('Div', [isWord, g.op('ReduceSum', [isWord, g.ints([1])])]);
  const weighted = g.op('Mul', [norm(g, seen), g.op('Unsqueeze', [share, g.ints([2])])]);
  const mean = g.op('ReduceSum', [weighted, g.ints([1])], { keepdims: 0 });
  g.op('MatMul', [mean, g.weight([TINY.width, answers], TINY.width, 4)], {}, 'logits');
  return g.graph([TOKENS, FEATURES], { name: 'logits', dtype: 'float32', shape: ['batch', answers] });
}

const FEATURES: ValueSpec = { name: 'features', dtype: 'float32', shape: ['batch', TINY.tokens, TINY.width] };
const TOKENS: ValueSpec = { name: 'tokens', dtype: 'int64', shape: ['batch', 'length'] };

/** Collects nodes and initializers; every call gives the name of what it added. */
function drawing(random: Random) {
  const nodes: ReturnType<typeof node>[] = [];
  const initializers: Record<string, Tensor> = {};
  const keep = (value: Tensor): string => {
    const name = `constant_${Object.keys(initializers).length}`;
    initializers[name] = value;
    return name;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return {
    op(
      type: string,
      inputs: readonly string[],
      attributes: Record<string, AttributeValue> = {},
      output = `/${type}_${nodes.length}_output_0`,
    ): string {
      nodes.push(node(type, inputs, [output], attributes, { name: output.replace(/_output_0$/, '') }));
      return output;
    },
    /** Normal numbers of standard deviation `gain / sqrt(fanIn)`. */
    weight(shape: readonly number[], fanIn: number, gain = 1): string {
      const length = shape.reduce((product, side) => product * side, 1);
      return keep(
        tensor(
          'float32',
          shape,
          Float32Array.from({ length }, () => (normal() * gain) / Math.sqrt(fanIn)),
        ),
      );
    },
    floats: (values: readonly number[]) => keep(tensor('float32', [values.length], Float32Array.from(values))),
    ints: (values: readonly number[]) => keep(tensor('int64', [values.length], BigInt64Array.from(values, BigInt))),
    scalar: (value: number) => keep(tensor('int64', [], BigInt64Array.of(BigInt(value)))),
    graph: (inputs: readonly ValueSpec[], output: ValueSpec): Graph =>
      buildGraph({ opset: 17, inputs, outputs: [output], nodes, initializers }),
  };
}

type Drawing = ReturnType<typeof drawing>;

function norm(g: Drawing, x: string): string {
  const ones = g.floats(new Array(TINY.width).fill(1));
  return g.op('LayerNormalization', [x, ones, g.weight([TINY.width], 100)], { axis: -1, epsilon: 1e-6 });
}

function attention(g: Drawing, queries: string, keys: string, mask?: string, gain = 1): string {
  const { width } = TINY;
  const heads = (x: string, perm: number[]) => {
    const projected = g.op('MatMul', [x, g.weight([width, width], width)]);
    return g.op('Transpose', [g.op('Reshape', [projected, g.ints([0, 0, HEADS, width / HEADS])])], { perm });
  };
  const products = g.op('MatMul', [heads(queries, [0, 2, 1, 3]), heads(keys, [0, 2, 3, 1])]);
  const masked = mask === undefined ? products : g.op('Add', [products, mask]);
  const mixed = g.op('MatMul', [g.op('Softmax', [masked], { axis: -1 }), heads(keys, [0, 2, 1, 3])]);
  const joined = g.op('Reshape', [g.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }), g.ints([0, 0, width])]);
  return g.op('MatMul', [joined, g.weight([width, width], width, gain)]);
}

function block(g: Drawing, x: string, output: string): string {
  const { width } = TINY;
  const own = norm(g, x);
  const attended = g.op('Add', [x, attention(g, own, own, undefined, 3)]);
  const wide = g.op('Relu', [g.op('MatMul', [norm(g, attended), g.weight([width, 2 * width], width)])]);
  return g.op('Add', [attended, g.op('MatMul', [wide, g.weight([2 * width, width], 2 * width)])], {}, output);
}
