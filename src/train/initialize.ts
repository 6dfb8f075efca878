import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { type Graph, intAttribute, intsAttribute, isOp, mainGraph, stringAttribute, tensorOf } from '../onnx/index.ts';
import type { NodeProto } from '../onnx/onnx_pb.ts';
import { elements, type Tensor, tensor } from '../tensor.ts';
import { randomOf } from './random.ts';

/** How a weight is drawn: normally with a standard deviation, or all elements alike. */
type Draw = { readonly deviation: number } | { readonly value: number };

/** Standard deviation of embeddings, position tables and tokens, as in BERT and ViT. */
const TABLE_DEVIATION = 0.02;

/**
 * Random values for weights to train from the start: kernels of convolutions are normal with variance 2 / fan-in (He et
 * al., Delving deep into rectifiers, 2015), matrices with 1 / fan-in (Glorot & Bengio, 2010, by fan-in alone), tables and
 * tokens with a deviation of 0.02; scales of norms are 1, biases 0. Statistics of BatchNormalization become mean 0 and
 * variance 1, whether they are named or not. A pure function of the graph's names and shapes, and the seed.
 */
export function randomWeights(graph: Graph, names: readonly string[], seed: number): Record<string, Tensor> {
  const wanted = new Set(names);
  const draws = new Map<string, Draw>();
  for (const { opType, input } of mainGraph(graph).node) {
    if (opType !== 'BatchNormalization') continue;
    draws.set(input[3], { value: 0 });
    draws.set(input[4], { value: 1 });
  }
  const drawn: Record<string, Tensor> = {};
  for (const proto of mainGraph(graph).initializer) {
    const { shape } = tensorOf(proto);
    const draw = draws.get(proto.name) ?? (wanted.has(proto.name) ? drawOf(graph, proto.name, shape) : undefined);
    if (draw) drawn[proto.name] = fill(proto.name, shape, draw, seed);
  }
  return drawn;
}

function fill(name: string, shape: readonly number[], draw: Draw, seed: number): Tensor {
  const data = new Float32Array(elements(shape));
  if ('value' in draw) return tensor('float32', shape, data.fill(draw.value));
  const random = randomOf('initialize', seed, name);
  for (let i = 0; i < data.length; i += 2) {
    // Box & Muller, 1958: two normal numbers of two uniform ones.
    const radius = draw.deviation * Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
    const angle = 2 * Math.PI * uniformFloat64(random);
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
  return tensor('float32', shape, data);
}

/** By the first node that reads the weight. */
function drawOf(graph: Graph, name: string, shape: readonly number[]): Draw {
  for (const node of mainGraph(graph).node) {
    const at = node.input.indexOf(name);
    if (at < 0) continue;
    if (isOp(node, 'Transpose') || isOp(node, 'Identity')) {
      const perm = intsAttribute(node, 'perm') ?? shape.map((_, i) => shape.length - 1 - i);
      const turned = isOp(node, 'Transpose') ? perm.map((axis) => shape[axis]) : shape;
      return drawOf(graph, node.output[0], turned);
    }
    return byUse(node, at, shape);
  }
  return { deviation: TABLE_DEVIATION };
}

/** Product of the lengths of a factor's axes that an Einsum sums over. */
function summedLength(equation: string, at: number, shape: readonly number[]): number {
  const [factors, output = ''] = equation.replace(/\s/g, '').split('->');
  const letters = [...(factors.split(',')[at] ?? '')];
  return shape.reduce((product, length, i) => (output.includes(letters[i] ?? '') ? product : product * length), 1);
}

function byUse(node: NodeProto, at: number, shape: readonly number[]): Draw {
  const { opType } = node;
  const product = (lengths: readonly number[]) =>
    Math.max(
      1,
      lengths.reduce((a, b) => a * b, 1),
    );
  const normal = (gain: number, fanIn: number) => ({ deviation: Math.sqrt(gain / fanIn) });
  if (opType === 'Conv' && at === 1) return normal(2, product(shape.slice(1)));
  // Of a transposed convolution each output gets about 1 / stride² of the kernel's products.
  if (opType === 'ConvTranspose' && at === 1) {
    const strides = intsAttribute(node, 'strides') ?? [];
    return normal(2, Math.max(1, (shape[0] * product(shape.slice(2))) / product(strides)));
  }
  if (opType === 'Gemm' && at < 2) {
    const isTurned = intAttribute(node, at === 0 ? 'transA' : 'transB', 0) === 1;
    return normal(1, shape[(at === 1) === isTurned ? 1 : 0]);
  }
  if (opType === 'MatMul') return normal(1, at === 1 ? (shape.at(-2) ?? shape[0]) : (shape.at(-1) as number));
  if (opType === 'Einsum') return normal(1, summedLength(stringAttribute(node, 'equation', ''), at, shape));
  if (opType === 'PRelu') return { value: 0.25 };
  if (/Normalization$/.test(opType)) return { value: at === 1 ? 1 : 0 };
  const isVector = shape.filter((length) => length > 1).length <= 1;
  if (isVector && opType === 'Mul') return { value: 1 };
  if (isVector && ['Add', 'Sub', 'Gemm', 'Conv', 'ConvTranspose'].includes(opType)) return { value: 0 };
  return { deviation: TABLE_DEVIATION };
}
