import { intAttribute } from '../attributes.ts';
import type { Dim } from '../dim.ts';
import { sameDim } from '../dim.ts';
import { dtypeOf } from '../dtypes.ts';
import { axisIn, type Call, cannot, input, type Rule, shapeOf, type Value } from './call.ts';

/** What two values that may stand in the same place have in common; other dimensions are unknown. */
export function inCommon(call: Pick<Call, 'fresh'>, a: Value, b: Value): Value {
  const dtype = a.dtype === b.dtype ? a.dtype : undefined;
  const element = a.element && b.element ? inCommon(call, a.element, b.element) : undefined;
  if (a.shape === undefined || b.shape === undefined || a.shape.length !== b.shape.length) return { dtype, element };
  const other = b.shape;
  const shape = a.shape.map((dim, i): Dim => (sameDim(dim, other[i]) ? dim : call.fresh()));
  const equal = a.data?.length === b.data?.length && a.data?.every((value, i) => sameElement(value, b.data?.[i]));
  return { dtype, shape, element, data: equal ? a.data : undefined };
}

function sameElement(a: Dim | undefined, b: Dim | undefined): boolean {
  return a !== undefined && b !== undefined && sameDim(a, b);
}

function elementOf(call: Call, at: number): Value {
  return input(call, at).element ?? cannot(`what the sequence '${call.node.input[at]}' holds is not known`);
}

/** Sequences are followed by type, not by position, so their elements carry no values. */
function typeOnly({ dtype, shape }: Value): Value {
  return { dtype, shape };
}

const construct: Rule = (call) => {
  const values = call.inputs.map((_, i) => typeOnly(input(call, i)));
  return [{ element: values.reduce((a, b) => inCommon(call, a, b)) }];
};

const insert: Rule = (call) => {
  const [sequence, value] = [input(call, 0).element, typeOnly(input(call, 1))];
  const empty = sequence?.shape === undefined;
  return [{ element: empty ? { dtype: value.dtype } : inCommon(call, sequence, value) }];
};

const splitToSequence: Rule = (call) => {
  const dims = shapeOf(call, 0);
  const axis = axisIn(call, intAttribute(call.node, 'axis', 0), dims.length);
  const { dtype } = input(call, 0);
  if (call.inputs[1] === undefined) {
    const keep = intAttribute(call.node, 'keepdims', 1) === 1;
    return [{ element: { dtype, shape: keep ? dims.with(axis, 1) : dims.toSpliced(axis, 1) } }];
  }
  const { data, shape } = call.inputs[1];
  const lengths = data ?? [];
  const even = lengths.length > 0 && lengths.every((length) => length === lengths[0]);
  const chunk = shape?.length === 0 ? lengths[0] : undefined;
  const total = dims[axis];
  const whole = chunk !== undefined && typeof chunk === 'number' && typeof total === 'number' && total % chunk === 0;
  const length = whole ? chunk : shape?.length === 1 && even ? lengths[0] : undefined;
  return [{ element: { dtype, shape: dims.with(axis, length ?? call.fresh()) } }];
};

const concatFromSequence: Rule = (call) => {
  const { dtype, shape } = elementOf(call, 0);
  if (shape === undefined) return [{ dtype }];
  const stack = intAttribute(call.node, 'new_axis', 0) === 1;
  const axis = axisIn(call, intAttribute(call.node, 'axis'), shape.length + (stack ? 1 : 0));
  return [{ dtype, shape: stack ? shape.toSpliced(axis, 0, call.fresh()) : shape.with(axis, call.fresh()) }];
};

export const SEQUENCE: Readonly<Record<string, Rule>> = {
  SequenceConstruct: construct,
  SequenceEmpty: (call) => [{ element: { dtype: dtypeOf(intAttribute(call.node, 'dtype', 1)) } }],
  SequenceAt: (call) => [elementOf(call, 0)],
  SequenceInsert: insert,
  SequenceErase: (call) => [input(call, 0)],
  SequenceLength: () => [{ dtype: 'int64', shape: [] }],
  SplitToSequence: splitToSequence,
  ConcatFromSequence: concatFromSequence,
  Optional: (call) => (call.inputs[0] === undefined ? [{}] : [{ element: input(call, 0) }]),
  OptionalGetElement: (call) => [input(call, 0).element ?? input(call, 0)],
  OptionalHasElement: () => [{ dtype: 'bool', shape: [] }],
};
