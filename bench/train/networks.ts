import { create } from '@bufbuild/protobuf';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { type AttributeValue, buildGraph, node, valueInfo } from '../../src/onnx/build.ts';
import { type Graph, mainGraph } from '../../src/onnx/graph.ts';
import { openGraph } from '../../src/onnx/index.ts';
import { GraphProtoSchema, ModelProtoSchema, type NodeProto } from '../../src/onnx/onnx_pb.ts';
import { tensorOf } from '../../src/onnx/values.ts';
import { chainGraphs, cutGraph } from '../../src/split/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';

/** A network with a scalar `loss`, what it is trained by, and one batch. `pytorch.py` has the same by the same name. */
export interface Network {
  readonly name: string;
  readonly what: string;
  /** Weights are initializers. */
  readonly graph: Graph;
  /** Names of weights in the order in which `pytorch.py` reads them, with their values. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Batches by the name of the input, in the order in which `pytorch.py` reads them. */
  readonly feeds: ReadonlyMap<string, Tensor>;
}

export const BATCH = 32;

/** Six blocks of width 192 over 65 tokens, a linear bottleneck of 32 channels in the middle; squared error. */
export function transformer(): Network {
  const [tokens, width] = [65, 192];
  const g = new Writer(1);
  let x = 'x';
  for (let block = 0; block < 6; block++) {
    if (block === 3) x = g.linear(g.linear(x, 'narrow', width, 32), 'widen', 32, width);
    x = g.block(x, `blocks.${block}`, tokens, width, 3);
  }
  g.emit('Sub', [x, 'target'], 'error');
  g.emit('Mul', ['error', 'error'], 'square');
  g.emit('ReduceMean', ['square'], 'loss', { keepdims: 0 });
  const shape = [BATCH, tokens, width];
  return {
    name: 'transformer',
    what: '6 blocks of width 192, 65 tokens, bottleneck of 32 channels',
    graph: g.graph(
      ['x', 'target'].map((name) => ({ name, dtype: 'float32' as const, shape: ['batch', tokens, width] })),
    ),
    weights: g.weights,
    feeds: new Map([
      ['x', g.normal(shape, 1)],
      ['target', g.normal(shape, 1)],
    ]),
  };
}

/** Four convolutions of 3 x 3 from 64 x 64 pixels to 128 channels, global mean, ten classes; cross-entropy. */
export function convolutions(): Network {
  const g = new Writer(3);
  let x = 'x';
  let from = 3;
  for (const [i, [to, stride]] of [
    [32, 1],
    [64, 2],
    [64, 1],
    [128, 2],
  ].entries()) {
    x = g.conv(x, `conv.${i}`, from, to, stride);
    from = to;
  }
  const pooled = g.emit('Flatten', [g.emit('GlobalAveragePool', [x], 'pooled')], 'flat');
  const head = [g.weight('head.weight', [10, from], from ** -0.5), g.weight('head.bias', [10], 0.1)];
  g.emit('Gemm', [pooled, ...head], 'logits', { transB: 1 });
  g.nodes.push(...crossEntropy('logits'));
  return {
    name: 'convolutions',
    what: '4 convolutions, 3 x 3, 32 to 128 channels, 64 x 64 pixels',
    graph: g.graph([
      { name: 'x', dtype: 'float32', shape: ['batch', 3, 64, 64] },
      { name: 'labels', dtype: 'int64', shape: ['batch', 1] },
    ]),
    weights: g.weights,
    feeds: new Map([
      ['x', g.normal([BATCH, 3, 64, 64], 1)],
      ['labels', labels(10)],
    ]),
  };
}

/** The classification tail of `photos` after a block, from features of noise; cross-entropy. */
export async function photosTail(photos: string, block: number): Promise<Network> {
  const trunk = await openGraph(`${photos}/models/trunk.onnx`);
  const classes = await openGraph(`${photos}/models/classification.onnx`);
  const cut = `/blocks/blocks.${block - 1}/Add_1_output_0`;
  const { tail } = cutGraph(chainGraphs(trunk, classes), [cut]);
  const main = mainGraph(tail);
  const weights = main.initializer
    .filter(({ dims }) => dims.length > 0)
    .map((proto) => [proto.name, tensorOf(proto)] as const);
  const graph = create(ModelProtoSchema, {
    ...tail,
    graph: create(GraphProtoSchema, {
      name: main.name,
      initializer: main.initializer,
      input: [...main.input, valueInfo('labels', 'int64', ['batch', 1])],
      output: [valueInfo('loss', 'float32', [])],
      node: [...main.node, ...crossEntropy(main.output[0].name)],
    }),
  });
  const g = new Writer(2);
  return {
    name: 'tail',
    what: `the tail of ViT-Tiny after block ${block}, 197 tokens`,
    graph,
    weights: new Map(weights.toSorted(([a], [b]) => order(a) - order(b))),
    feeds: new Map([
      [cut, g.normal([BATCH, 197, 192], 1)],
      ['labels', labels(1000)],
    ]),
  };

  /** Weights of linear maps stand in order of use after all others; their place among these is that of their bias. */
  function order(name: string): number {
    const matrices = weights.filter(([each]) => each.startsWith('onnx::MatMul_')).map(([each]) => each);
    const others = weights.filter(([each]) => !each.startsWith('onnx::MatMul_')).map(([each]) => each);
    const biases = others.filter((each) => /(qkv|proj|fc1|fc2)\.bias$/.test(each));
    const at = matrices.indexOf(name);
    return at < 0 ? others.indexOf(name) : others.indexOf(biases[at]) - 0.5;
  }
}

function labels(classes: number): Tensor {
  return tensor(
    'int64',
    [BATCH, 1],
    BigInt64Array.from({ length: BATCH }, (_, i) => BigInt((i * 37 + 3) % classes)),
  );
}

function crossEntropy(logits: string): NodeProto[] {
  return [
    node('LogSoftmax', [logits], ['log_p'], { axis: -1 }),
    node('GatherElements', ['log_p', 'labels'], ['log_likelihoods'], { axis: 1 }),
    node('ReduceMean', ['log_likelihoods'], ['log_likelihood'], { keepdims: 0 }),
    node('Neg', ['log_likelihood'], ['loss']),
  ];
}

/** Writes layers as PyTorch's exporter does at operator set 17. */
class Writer {
  readonly nodes: NodeProto[] = [];
  readonly weights = new Map<string, Tensor>();
  readonly #constants: Record<string, Tensor> = {};
  readonly #random: () => number;

  constructor(seed: number) {
    const random = xoroshiro128plus(seed);
    this.#random = () => uniformFloat64(random);
  }

  normal(shape: readonly number[], deviation: number): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    return tensor(
      'float32',
      shape,
      Float32Array.from({ length }, () => {
        return deviation * Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
      }),
    );
  }

  weight(name: string, shape: readonly number[], deviation: number, mean = 0): string {
    const drawn = this.normal(shape, deviation);
    this.weights.set(
      name,
      tensor(
        'float32',
        shape,
        (drawn.data as Float32Array).map((value) => value + mean),
      ),
    );
    return name;
  }

  ints(name: string, values: readonly number[]): string {
    this.#constants[name] = tensor('int64', [values.length], BigInt64Array.from(values, BigInt));
    return name;
  }

  scalar(name: string, value: number): string {
    this.#constants[name] = tensor('float32', [], Float32Array.of(value));
    return name;
  }

  emit(op: string, inputs: string[], output: string, attributes: Record<string, AttributeValue> = {}): string {
    this.nodes.push(node(op, inputs, [output], attributes));
    return output;
  }

  linear(x: string, name: string, from: number, to: number): string {
    const product = this.emit('MatMul', [x, this.weight(`${name}.weight`, [from, to], from ** -0.5)], `${name}/MatMul`);
    return this.emit('Add', [this.weight(`${name}.bias`, [to], 0.02), product], `${name}/Add`);
  }

  norm(x: string, name: string, width: number): string {
    const affine = [this.weight(`${name}.weight`, [width], 0.1, 1), this.weight(`${name}.bias`, [width], 0.1)];
    return this.emit('LayerNormalization', [x, ...affine], `${name}/norm`, { axis: -1, epsilon: 1e-6 });
  }

  /** A pre-norm block of a vision transformer. */
  block(x: string, name: string, tokens: number, width: number, heads: number): string {
    const y = this.emit(
      'Add',
      [x, this.attention(this.norm(x, `${name}.norm1`, width), `${name}.attn`, tokens, width, heads)],
      `${name}/Add`,
    );
    const inner = this.linear(this.norm(y, `${name}.norm2`, width), `${name}.fc1`, width, 4 * width);
    return this.emit('Add', [y, this.linear(this.gelu(inner, name), `${name}.fc2`, 4 * width, width)], `${name}/Add_1`);
  }

  attention(x: string, name: string, tokens: number, width: number, heads: number): string {
    const qkv = this.linear(x, `${name}.qkv`, width, 3 * width);
    const apart = this.emit(
      'Reshape',
      [qkv, this.ints(`${name}/apart`, [0, tokens, 3, heads, width / heads])],
      `${name}/Reshape`,
    );
    const turned = this.emit('Transpose', [apart], `${name}/Transpose`, { perm: [2, 0, 3, 1, 4] });
    const [q, k, v] = [0, 1, 2].map((i) => {
      this.#constants[`${name}/${i}`] = tensor('int64', [], BigInt64Array.of(BigInt(i)));
      return this.emit('Gather', [turned, `${name}/${i}`], `${name}/Gather_${i}`, { axis: 0 });
    });
    const scaled = this.emit('Mul', [q, this.scalar(`${name}/scale`, (width / heads) ** -0.5)], `${name}/Mul`);
    const keys = this.emit('Transpose', [k], `${name}/Transpose_1`, { perm: [0, 1, 3, 2] });
    const weights = this.emit('Softmax', [this.emit('MatMul', [scaled, keys], `${name}/MatMul`)], `${name}/Softmax`, {
      axis: -1,
    });
    const picked = this.emit(
      'Transpose',
      [this.emit('MatMul', [weights, v], `${name}/MatMul_1`)],
      `${name}/Transpose_2`,
      { perm: [0, 2, 1, 3] },
    );
    return this.linear(
      this.emit('Reshape', [picked, this.ints(`${name}/joined`, [0, tokens, width])], `${name}/Reshape_1`),
      `${name}.proj`,
      width,
      width,
    );
  }

  gelu(x: string, name: string): string {
    const ratio = this.emit('Div', [x, this.scalar('sqrt2', Math.SQRT2)], `${name}/Div`);
    const sum = this.emit('Add', [this.emit('Erf', [ratio], `${name}/Erf`), this.scalar('one', 1)], `${name}/AddErf`);
    return this.emit('Mul', [this.emit('Mul', [x, sum], `${name}/Mul`), this.scalar('half', 0.5)], `${name}/Mul_1`);
  }

  conv(x: string, name: string, from: number, to: number, stride: number): string {
    const weights = [
      this.weight(`${name}.weight`, [to, from, 3, 3], (from * 9) ** -0.5),
      this.weight(`${name}.bias`, [to], 0.02),
    ];
    const y = this.emit('Conv', [x, ...weights], `${name}/Conv`, {
      kernel_shape: [3, 3],
      strides: [stride, stride],
      pads: [1, 1, 1, 1],
    });
    return this.emit('Relu', [y], `${name}/Relu`);
  }

  graph(inputs: Parameters<typeof buildGraph>[0]['inputs']): Graph {
    return buildGraph({
      opset: 17,
      inputs,
      outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
      nodes: this.nodes,
      initializers: { ...this.#constants, ...Object.fromEntries(this.weights) },
    });
  }
}
