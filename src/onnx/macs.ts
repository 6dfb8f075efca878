import { intAttribute, intsAttribute } from './attributes.ts';
import { add, type Dim, floorDivide, mul, product } from './dim.ts';
import { normalDomain } from './graph.ts';
import { type Call, NotInferable } from './infer/call.ts';
import { einsumOf } from './infer/linear.ts';
import { GATES, recurrenceOf } from './infer/recurrent.ts';
import type { Step } from './infer/trace.ts';

/** Multiply-accumulates of one run of a node. */
type Macs = (step: Step) => Dim;

function inputShape(step: Step, at: number): readonly Dim[] {
  const shape = step.inputs[at]?.shape;
  if (shape === undefined) throw new NotInferable(`the shape of input ${at} ('${step.node.input[at]}') is not known`);
  return shape;
}

function outputShape(step: Step): readonly Dim[] {
  const shape = step.outputs[0]?.shape;
  if (shape === undefined) throw new NotInferable(`the shape of its output '${step.node.output[0]}' is not known`);
  return shape;
}

/** The trace as the rules read it; counting runs no subgraphs and needs no new symbols. */
function asCall(step: Step): Call {
  const none = () => {
    throw new NotInferable('its shapes are not known');
  };
  return { node: step.node, opset: step.opset, inputs: step.inputs, fresh: none, body: none, tryBody: none };
}

/** Every output element sums over the weights of one output channel. */
const convolution =
  (weights: number): Macs =>
  (step) =>
    mul(product(outputShape(step)), product(inputShape(step, weights).slice(1)));

/** Every input element is spread over the weights of one input channel. */
const transposedConvolution: Macs = (step) => mul(product(inputShape(step, 0)), product(inputShape(step, 1).slice(1)));

const matrixProduct: Macs = (step) => {
  const a = inputShape(step, 0);
  return mul(product(outputShape(step)), a[a.length - 1] ?? 1);
};

/** transBatchA moves the first dimension behind the others but the last, before transA swaps the last two. */
const fusedMatrixProduct: Macs = (step) => {
  const a = inputShape(step, 0);
  const turned = intAttribute(step.node, 'transA', 0) === 1 && a.length > 1;
  const batchTurned = intAttribute(step.node, 'transBatchA', 0) === 1;
  const inner = !turned ? a[a.length - 1] : batchTurned ? a[0] : a[a.length - 2];
  return mul(product(outputShape(step)), inner);
};

const gemm: Macs = (step) => {
  const a = inputShape(step, 0);
  return mul(product(outputShape(step)), a[intAttribute(step.node, 'transA', 0) === 0 ? 1 : 0]);
};

/** Summed in one go over all letters; one operand alone is a sum or a transpose. */
const einsum: Macs = (step) => {
  if (step.inputs.length < 2) return 0;
  const { lengths } = einsumOf(
    asCall(step),
    step.inputs.map((_, i) => inputShape(step, i)),
  );
  return product([...lengths.values()]);
};

const recurrent: Macs = (step) => {
  const { steps, batch, directions, hidden } = recurrenceOf(asCall(step));
  const width = inputShape(step, 0)[2];
  const gates = mul(GATES[step.node.opType], hidden);
  return product([steps, batch, directions, gates, add(width, hidden)]);
};

/** Q, K, V given: scores and their product with V. */
const attention: Macs = (step) => {
  const [q, k, v] = [0, 1, 2].map((at) => inputShape(step, at));
  const past = step.inputs[4]?.shape?.[2] ?? 0;
  const flat = q.length === 3;
  const queries = flat ? q[1] : q[2];
  const total = add(past, flat ? k[1] : k[2]);
  const heads = flat ? intAttribute(step.node, 'q_num_heads') : q[1];
  const size = flat ? floorDivide(v[2], intAttribute(step.node, 'kv_num_heads')) : v[3];
  const width = flat ? q[2] : mul(heads, q[3]);
  return product([q[0], queries, total, add(width, mul(heads, size))]);
};

/** Microsoft's: the projection of the input to Q, K and V, then attention. */
const fusedAttention =
  (past: number): Macs =>
  (step) => {
    const [batch, length, width] = inputShape(step, 0);
    const weights = inputShape(step, 1);
    const columns = weights[weights.length - 1];
    const sizes = intsAttribute(step.node, 'qkv_hidden_sizes', []);
    const [query, value] =
      sizes.length === 3 ? [sizes[0], sizes[2]] : [floorDivide(columns, 3), floorDivide(columns, 3)];
    const total = add(step.inputs[past]?.shape?.[3] ?? 0, length);
    return add(product([batch, length, width, columns]), product([batch, length, total, add(query, value)]));
  };

const multiHeadAttention: Macs = (step) => {
  const q = inputShape(step, 0);
  const width = q.length === 5 ? mul(q[2], q[4]) : q[2];
  const key = step.inputs[1]?.shape;
  const length = key === undefined ? q[1] : key.length === 4 ? key[2] : key[1];
  const total = add(step.inputs[6]?.shape?.[2] ?? 0, length);
  return product([q[0], q[1], total, add(width, outputShape(step)[2])]);
};

/** Query heads attend over the whole cache. */
const groupQueryAttention: Macs = (step) => {
  const [batch, length, width] = outputShape(step);
  const total = step.inputs[6]?.data?.[0];
  if (total === undefined) throw new NotInferable('the total sequence length is data');
  return product([2, batch, length, width, total]);
};

/** The weights are packed; K is an attribute. */
const packedMatrixProduct: Macs = (step) => mul(product(outputShape(step)), intAttribute(step.node, 'K'));

const MACS = new Map<string, Readonly<Record<string, Macs>>>([
  [
    '',
    {
      Attention: attention,
      Conv: convolution(1),
      ConvInteger: convolution(1),
      ConvTranspose: transposedConvolution,
      DeformConv: convolution(1),
      Einsum: einsum,
      GRU: recurrent,
      Gemm: gemm,
      LSTM: recurrent,
      MatMul: matrixProduct,
      MatMulInteger: matrixProduct,
      QLinearConv: convolution(3),
      QLinearMatMul: matrixProduct,
      RNN: recurrent,
    },
  ],
  [
    'com.microsoft',
    {
      Attention: fusedAttention(4),
      DynamicQuantizeMatMul: matrixProduct,
      FusedConv: convolution(1),
      FusedGemm: gemm,
      FusedMatMul: fusedMatrixProduct,
      GroupQueryAttention: groupQueryAttention,
      MatMulIntegerToFloat: matrixProduct,
      MatMulNBits: packedMatrixProduct,
      MultiHeadAttention: multiHeadAttention,
      DecoderMaskedMultiHeadAttention: multiHeadAttention,
      NhwcConv: convolution(1),
      NhwcFusedConv: convolution(1),
      QAttention: fusedAttention(8),
      QGemm: gemm,
      QLinearConv: convolution(3),
      TransposeMatMul: fusedMatrixProduct,
    },
  ],
]);

/**
 * Multiply-accumulates of a node without subgraphs: 0 for operators that multiply no matrices (element-wise ones,
 * pools, norms). Throws where shapes that it needs are not known.
 */
export function macsOf(step: Step): Dim {
  const table = MACS.get(normalDomain(step.node.domain));
  return table && Object.hasOwn(table, step.node.opType) ? table[step.node.opType](step) : 0;
}
