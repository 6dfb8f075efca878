import { buildGraph, type Graph, type ValueSpec } from '../../src/onnx/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { Extension } from '../../src/train/index.ts';

/**
 * The networks of the scenes: a vision transformer (Dosovitskiy et al., An Image is Worth 16x16 Words, 2021) with norms before each
 * layer, and a tail for each task. Weights are zeros until they are trained; see `randomWeights`.
 */

const OPSET = 17;

/** Sides, in pixels, of the picture and of a token's patch. */
const PICTURE = 128;
const PATCH = 16;
const TOKENS = (PICTURE / PATCH) ** 2;

/** Numbers of a token and of the attention's heads. */
const WIDTH = 160;
const TRUNK_BLOCKS = 6;
const HEADS = 5;
/** Convolutions of 3 x 3 before the blocks: their strides and channels. */
const STEM = [
  { stride: 2, to: 24 },
  { stride: 2, to: 48 },
  { stride: 2, to: 96 },
  { stride: 2, to: WIDTH },
  { stride: 1, to: WIDTH },
];
const INNER = 4;

/** The slowest of the waves that tell a token's place turns by so much from one token to the next. */
const LOWEST = 0.05;

/** Numbers of a word in the tails of captioning and VQA. */
const WORD_WIDTH = 128;
const WORD_HEADS = 4;
const CAPTION_LAYERS = 2;
const QUESTION_LAYERS = 3;

const FEATURES: ValueSpec = { name: 'features', dtype: 'float32', shape: ['batch', TOKENS, WIDTH] };

/** What a masked score is lowered by: nothing is left of it after Softmax. */
const MASKED = -1e4;

/** `pixels` float32 [batch, 3, 128, 128] to `features` float32 [batch, 64, 160]. */
export function trunk(): Graph {
  const layers = new Layers('trunk', [{ name: 'pixels', dtype: 'float32', shape: ['batch', 3, PICTURE, PICTURE] }]);
  let x = layers.patches('pixels');
  for (let i = 0; i < TRUNK_BLOCKS; i++) {
    x = layers.attend(x, null, `block${i + 1}/attention`, WIDTH, HEADS);
    x = layers.inner(x, `block${i + 1}`, WIDTH, i === TRUNK_BLOCKS - 1 ? FEATURES.name : `block${i + 1}/output`);
  }
  return layers.build([FEATURES]);
}

/** `features` to `logits` [batch, classes]: the mean of the tokens, and a hidden layer, since classes compare counts. */
export function classificationTail(classes: number): Graph {
  const layers = new Layers('classification', [FEATURES]);
  const normed = layers.norm(FEATURES.name, 'norm', WIDTH);
  const mean = layers.emit('ReduceMean', [normed], { axes: [1], keepdims: 0 });
  const hidden = layers.emit('Relu', [layers.affine(mean, 'hidden', WIDTH, 2 * WIDTH)]);
  layers.affine(hidden, 'head', 2 * WIDTH, classes, 'logits');
  return layers.build([{ name: 'logits', dtype: 'float32', shape: ['batch', classes] }]);
}

/** `tokens` int64 [batch, length] and `features` to `logits` [batch, length, words]: a causal decoder with cross-attention. */
export function captioningTail(words: number, maxTokens: number): Graph {
  const layers = new Layers('captioning', [tokensSpec(), FEATURES]);
  const features = layers.norm(FEATURES.name, 'norm/features', WIDTH);
  let x = layers.embed('tokens', words, maxTokens);
  const length = layers.emit('Slice', [layers.emit('Shape', ['tokens']), layers.ints([1]), layers.ints([2])]);
  const square = layers.emit('Concat', [length, length], { axis: 0 });
  const ones = layers.emit('Expand', [layers.number(MASKED), square]);
  const causal = layers.emit('Trilu', [ones, layers.constant(tensor('int64', [], BigInt64Array.of(1n)))], { upper: 1 });
  for (let i = 0; i < CAPTION_LAYERS; i++) {
    x = layers.attend(x, null, `layer${i + 1}/self`, WORD_WIDTH, WORD_HEADS, causal);
    x = layers.attend(x, features, `layer${i + 1}/cross`, WORD_WIDTH, WORD_HEADS);
    x = layers.inner(x, `layer${i + 1}`, WORD_WIDTH);
  }
  layers.affine(layers.norm(x, 'norm/words', WORD_WIDTH), 'head', WORD_WIDTH, words, 'logits');
  return layers.build([{ name: 'logits', dtype: 'float32', shape: ['batch', 'length', words] }]);
}

/** `tokens` int64 [batch, length], padded with 0, and `features` to `logits` [batch, answers]. */
export function vqaTail(words: number, answers: number, maxTokens: number): Graph {
  const layers = new Layers('vqa', [tokensSpec(), FEATURES]);
  const features = layers.norm(FEATURES.name, 'norm/features', WIDTH);
  let x = layers.embed('tokens', words, maxTokens);
  const zero = layers.constant(tensor('int64', [], BigInt64Array.of(0n)));
  const padding = layers.emit('Cast', [layers.emit('Equal', ['tokens', zero])], { to: FLOAT });
  const mask = layers.emit('Unsqueeze', [layers.emit('Mul', [padding, layers.number(MASKED)]), layers.ints([1, 2])]);
  for (let i = 0; i < QUESTION_LAYERS; i++) {
    x = layers.attend(x, null, `layer${i + 1}/self`, WORD_WIDTH, WORD_HEADS, mask);
    x = layers.attend(x, features, `layer${i + 1}/cross`, WORD_WIDTH, WORD_HEADS);
    x = layers.inner(x, `layer${i + 1}`, WORD_WIDTH);
  }
  const read = layers.emit('Sub', [layers.number(1), padding]);
  const weights = layers.emit('Div', [read, layers.emit('ReduceSum', [read, layers.ints([1])], { keepdims: 1 })]);
  const row = layers.emit('Unsqueeze', [weights, layers.ints([1])]);
  const mean = layers.emit('MatMul', [row, layers.norm(x, 'norm/words', WORD_WIDTH)]);
  const flat = layers.emit('Squeeze', [mean, layers.ints([1])]);
  layers.affine(flat, 'head', WORD_WIDTH, answers, 'logits');
  return layers.build([{ name: 'logits', dtype: 'float32', shape: ['batch', answers] }]);
}

/** `features` to logits of each token's patch, [batch, 64, classes] by output: what training is told of the objects. */
export function objectsTail(classes: Readonly<Record<string, number>>): Graph {
  const layers = new Layers('objects', [FEATURES]);
  const normed = layers.norm(FEATURES.name, 'norm', WIDTH);
  for (const [name, count] of Object.entries(classes)) layers.affine(normed, `head/${name}`, WIDTH, count, name);
  return layers.build(
    Object.entries(classes).map(([name, count]) => ({ name, dtype: 'float32', shape: ['batch', TOKENS, count] })),
  );
}

/** ONNX's number of float32. */
const FLOAT = 1;

function tokensSpec(): ValueSpec {
  return { name: 'tokens', dtype: 'int64', shape: ['batch', 'length'] };
}

/** Sines and cosines of a token's column and row, float32 [1, 64, 160]. */
function places(): Tensor {
  const side = PICTURE / PATCH;
  const data = new Float32Array(TOKENS * WIDTH);
  const waves = WIDTH / 4;
  for (let token = 0; token < TOKENS; token++) {
    for (let wave = 0; wave < waves; wave++) {
      const frequency = LOWEST ** (wave / (waves - 1));
      for (const [axis, at] of [token % side, Math.floor(token / side)].entries()) {
        const base = token * WIDTH + axis * 2 * waves + wave;
        data[base] = Math.sin(at * frequency);
        data[base + waves] = Math.cos(at * frequency);
      }
    }
  }
  return tensor('float32', [1, TOKENS, WIDTH], data);
}

/** Layers of a transformer as nodes of a graph, with their weights. */
class Layers {
  readonly #nodes: Extension;

  constructor(name: string, inputs: readonly ValueSpec[]) {
    this.#nodes = new Extension(buildGraph({ name, opset: OPSET, inputs, outputs: [], nodes: [] }));
  }

  emit(...given: Parameters<Extension['emit']>): string {
    return this.#nodes.emit(...given);
  }

  ints(values: readonly number[]): string {
    return this.#nodes.ints(values);
  }

  number(value: number): string {
    return this.#nodes.number(value);
  }

  constant(value: Tensor): string {
    return this.#nodes.constant(value);
  }

  build(outputs: readonly ValueSpec[]): Graph {
    return this.#nodes.build(outputs);
  }

  weight(name: string, ...shape: number[]): string {
    return this.#nodes.initializer(
      name,
      tensor('float32', shape, new Float32Array(shape.reduce((product, length) => product * length, 1))),
    );
  }

  affine(x: string, name: string, from: number, to: number, as?: string): string {
    const product = this.emit('MatMul', [x, this.weight(`${name}/matrix`, from, to)]);
    return this.emit('Add', [product, this.weight(`${name}/bias`, to)], {}, as);
  }

  norm(x: string, name: string, width: number): string {
    const weights = [this.weight(`${name}/scale`, width), this.weight(`${name}/bias`, width)];
    return this.emit('LayerNormalization', [x, ...weights], { axis: -1, epsilon: 1e-5 });
  }

  /**
   * Tokens of a picture: convolutions that halve its sides until a token is left of each patch (Xiao et al., Early Convolutions
   * Help Transformers See Better, 2021), and places added, which are fixed (Beyer et al., Better plain ViT baselines, 2022).
   */
  patches(pixels: string): string {
    let x = pixels;
    let channels = 3;
    for (const [i, { stride, to }] of STEM.entries()) {
      const weights = [this.weight(`stem${i + 1}/kernel`, to, channels, 3, 3), this.weight(`stem${i + 1}/bias`, to)];
      const shape = { kernel_shape: [3, 3], strides: [stride, stride], pads: [1, 1, 1, 1] };
      const made = this.emit('Conv', [x, ...weights], shape);
      x = i < STEM.length - 1 ? this.emit('Relu', [made]) : made;
      channels = to;
    }
    const rows = this.emit('Reshape', [x, this.ints([0, WIDTH, TOKENS])]);
    const tokens = this.emit('Transpose', [rows], { perm: [0, 2, 1] });
    return this.emit('Add', [tokens, this.#nodes.initializer('places', places())]);
  }

  /** Words by id, with their places added. */
  embed(tokens: string, words: number, maxTokens: number): string {
    const embedded = this.emit('Gather', [this.weight('words', words, WORD_WIDTH), tokens]);
    const length = this.emit('Slice', [this.emit('Shape', [tokens]), this.ints([1]), this.ints([2])]);
    const table = this.weight('places', maxTokens, WORD_WIDTH);
    return this.emit('Add', [embedded, this.emit('Slice', [table, this.ints([0]), length, this.ints([0])])]);
  }

  /** x plus the attention of x to `other` (to itself where that is null); `mask` is added to the scores. */
  attend(x: string, other: string | null, name: string, width: number, heads: number, mask?: string): string {
    const normed = this.norm(x, `${name}/norm`, width);
    const [source, sourceWidth] = other === null ? [normed, width] : [other, WIDTH];
    const head = (of: string, which: string, from: number, perm: number[]) => {
      const flat = this.affine(of, `${name}/${which}`, from, width);
      return this.emit('Transpose', [this.emit('Reshape', [flat, this.ints([0, 0, heads, width / heads])])], { perm });
    };
    const query = this.emit('Mul', [
      head(normed, 'query', width, [0, 2, 1, 3]),
      this.number(1 / Math.sqrt(width / heads)),
    ]);
    const scores = this.emit('MatMul', [query, head(source, 'key', sourceWidth, [0, 2, 3, 1])]);
    const masked = mask === undefined ? scores : this.emit('Add', [scores, mask]);
    const mixed = this.emit('MatMul', [
      this.emit('Softmax', [masked], { axis: -1 }),
      head(source, 'value', sourceWidth, [0, 2, 1, 3]),
    ]);
    const joined = this.emit('Reshape', [
      this.emit('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
      this.ints([0, 0, width]),
    ]);
    return this.emit('Add', [x, this.affine(joined, `${name}/project`, width, width)]);
  }

  /** x plus two linear maps with Relu between, which trains in two thirds of the time that Gelu takes. */
  inner(x: string, name: string, width: number, as?: string): string {
    const normed = this.norm(x, `${name}/inner/norm`, width);
    const hidden = this.emit('Relu', [this.affine(normed, `${name}/inner`, width, INNER * width)]);
    return this.emit('Add', [x, this.affine(hidden, `${name}/outer`, INNER * width, width)], {}, as);
  }
}
