import { intAttribute, intsAttribute } from '../attributes.ts';
import { add, type Dim, floorDivide, mul } from '../dim.ts';
import { type Call, cannot, input, ofRank, type Rule, shapeOf, type Value } from './call.ts';

/** Of the default domain since opset 23: Q, K, V as `[batch, heads, length, size]` or `[batch, length, heads*size]`. */
const attention: Rule = (call) => {
  const { dtype } = input(call, 0);
  const q = shapeOf(call, 0);
  const k = shapeOf(call, 1);
  const v = shapeOf(call, 2);
  const past = call.inputs[4]?.shape?.[2] ?? 0;
  const flat = q.length === 3;
  const heads = flat ? intAttribute(call.node, 'q_num_heads') : q[1];
  const sharedHeads = flat ? intAttribute(call.node, 'kv_num_heads') : k[1];
  const size = flat ? floorDivide(v[2], sharedHeads) : v[3];
  const keySize = flat ? floorDivide(k[2], sharedHeads) : k[3];
  const queries = flat ? q[1] : q[2];
  const total = add(past, flat ? k[1] : k[2]);
  return [
    { dtype, shape: flat ? [q[0], queries, mul(heads, size)] : [q[0], heads, queries, size] },
    { dtype, shape: [q[0], sharedHeads, total, keySize] },
    { dtype, shape: [q[0], sharedHeads, total, size] },
    { dtype, shape: [q[0], heads, queries, total] },
  ];
};

/** Microsoft's: input `[batch, length, in]`, weights `[in, q + k + v]`, bias, mask, past. */
const fusedAttention: Rule = (call) => {
  const { dtype } = input(call, 0);
  const [batch, length] = ofRank(call, shapeOf(call, 0), 3, 'its input');
  const sizes = intsAttribute(call.node, 'qkv_hidden_sizes', []);
  const hidden = sizes.length === 3 ? sizes[2] : floorDivide(lastOf(call), 3);
  const heads = intAttribute(call.node, 'num_heads');
  const past = call.inputs[4]?.shape?.[3] ?? 0;
  return [
    { dtype, shape: [batch, length, hidden] },
    { dtype, shape: [2, batch, heads, add(past, length), floorDivide(hidden, heads)] },
  ];
};

function lastOf(call: Call): Dim {
  const weights = call.inputs[1]?.shape ?? call.inputs[2]?.shape;
  return weights?.[weights.length - 1] ?? cannot('neither its weights nor its bias have a known shape');
}

/** Microsoft's: query `[batch, length, q]`, key, value; or all three packed as `[batch, length, heads, 3, size]`. */
const multiHeadAttention: Rule = (call) => {
  const { dtype } = input(call, 0);
  const q = shapeOf(call, 0);
  const heads = intAttribute(call.node, 'num_heads');
  if (q.length === 5) return [{ dtype, shape: [q[0], q[1], mul(q[2], q[4])] }];
  const value = call.inputs[2]?.shape;
  const key = call.inputs[1]?.shape;
  // Keys and values packed `[batch, length, heads, 2, size]`, as projected by the caller `[batch, heads, length, size]`,
  // or flat `[batch, length, hidden]`.
  const hidden = value === undefined ? q[2] : value.length === 4 ? mul(value[1], value[3]) : value[2];
  const size = floorDivide(hidden, heads);
  const length = key === undefined ? q[1] : key.length === 4 ? key[2] : key[1];
  const past = call.inputs[6]?.shape?.[2] ?? 0;
  const present: Value = { dtype, shape: [q[0], heads, add(past, length), size] };
  return [{ dtype, shape: [q[0], q[1], hidden] }, present, present];
};

/** Microsoft's: query `[batch, length, heads*size]`, key and value with fewer heads; caches for the next step. */
const groupQueryAttention: Rule = (call) => {
  const { dtype } = input(call, 0);
  const [batch, length, width] = ofRank(call, shapeOf(call, 0), 3, 'its query');
  const heads = intAttribute(call.node, 'num_heads');
  const shared = intAttribute(call.node, 'kv_num_heads');
  const packed = call.inputs[1] === undefined;
  const size = floorDivide(width, packed ? heads + 2 * shared : heads);
  const present: Value = { dtype, shape: [batch, shared, call.fresh(), size] };
  return [{ dtype, shape: [batch, length, mul(heads, size)] }, present, present];
};

export const ATTENTION: Readonly<Record<string, Rule>> = { Attention: attention };

export const ATTENTION_MICROSOFT: Readonly<Record<string, Rule>> = {
  Attention: fusedAttention,
  QAttention: (call) => {
    // Its past is input 8; the type is that of the input's scale.
    const shifted = [...call.inputs.slice(0, 4), call.inputs[8]];
    const dtype = call.inputs[3]?.dtype;
    return fusedAttention({ ...call, inputs: shifted }).map((value) => ({ ...value, dtype }));
  },
  MultiHeadAttention: multiHeadAttention,
  DecoderMaskedMultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: groupQueryAttention,
};
