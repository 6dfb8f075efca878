import { graphAttribute, intAttribute, intsAttribute } from '../attributes.ts';
import { type Dim, sameDim, symbolsOf } from '../dim.ts';
import { axisIn, type Call, cannot, input, type Rule, unify, type Value } from './call.ts';
import { inCommon } from './sequence.ts';

/** Rounds after which a loop's carried shapes must stand still; each round forgets every dimension that moved. */
const MAX_ROUNDS = 4;

/** Both branches, or the one that a constant condition takes. */
const branch: Rule = (call) => {
  const condition = input(call, 0).data?.[0];
  const [yes, no] = ['then_branch', 'else_branch'].map((name) => graphAttribute(call.node, name));
  if (condition !== undefined && typeof condition === 'number') return call.body(condition === 0 ? no : yes, []);
  const [a, b] = [call.tryBody(yes, []), call.tryBody(no, [])];
  if (a === undefined || b === undefined) return a ?? b ?? cannot('both of its branches contradict themselves');
  return a.map((value, i) => (b[i] === undefined ? {} : inCommon(call, value, b[i])));
};

/** Runs a body until its carried values keep their types. Dimensions that move from round to round are unknown. */
function settle(
  call: Call,
  carried: readonly Value[],
  run: (values: readonly Value[]) => Value[],
): { carried: Value[]; outputs: Value[] } {
  const moving = new Set<string>();
  let state = carried.map(({ dtype, shape, element }): Value => ({ dtype, shape, element }));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const outputs = run(state);
    const next = state.map((value, i) => held(call, value, outputs[i] ?? {}, moving));
    if (next.every((value, i) => sameType(value, state[i]))) {
      const after = (value: Value) => forgotten(call, value, moving);
      return { carried: state.map(after), outputs: outputs.map(after) };
    }
    state = next;
  }
  state = state.map(({ dtype }) => ({ dtype }));
  return { carried: state, outputs: run(state).map((value) => forgotten(call, value, moving)) };
}

/** The state before a round made to hold for the state after it, too. */
function held(call: Call, before: Value, after: Value, moving: Set<string>): Value {
  const { dtype, shape, element } = inCommon(call, before, after);
  return {
    dtype,
    element,
    shape: shape?.map((dim, axis) => {
      const old = before.shape?.[axis] as Dim;
      const moves = symbolsOf(old).some((name) => moving.has(name));
      if (!moves && !sameDim(dim, old)) for (const name of symbolsOf(dim)) moving.add(name);
      return moves ? old : dim;
    }),
  };
}

/** After the loop a moving dimension has one length, which nobody knows. */
function forgotten(call: Call, value: Value, moving: ReadonlySet<string>): Value {
  const shape = value.shape?.map((dim) => (symbolsOf(dim).some((name) => moving.has(name)) ? call.fresh() : dim));
  return { ...value, shape };
}

function sameType(a: Value, b: Value): boolean {
  if (a.dtype !== b.dtype || a.shape?.length !== b.shape?.length) return false;
  if ((a.element === undefined) !== (b.element === undefined)) return false;
  if (a.element && b.element && !sameType(a.element, b.element)) return false;
  return a.shape === undefined || a.shape.every((dim, i) => sameDim(dim, b.shape?.[i] as Dim));
}

/** How often a Loop runs if its body never ends it; `undefined` where that is data. */
export function tripCount(call: Pick<Call, 'inputs'>): Dim | undefined {
  const [count, condition] = [call.inputs[0], call.inputs[1]];
  if (count?.data?.[0] === undefined) return undefined;
  return condition === undefined || condition.data?.[0] === 1 ? count.data[0] : undefined;
}

const loop: Rule = (call) => {
  const body = graphAttribute(call.node, 'body');
  const initial = call.inputs.slice(2).map((_, i) => input(call, i + 2));
  const counter: Value[] = [
    { dtype: 'int64', shape: [] },
    { dtype: 'bool', shape: [], data: [1] },
  ];
  let goesOn: Value | undefined;
  const { carried, outputs } = settle(call, initial, (state) => {
    const [condition, ...rest] = call.body(body, [...counter, ...state]);
    goesOn = condition;
    return rest;
  });
  // Unless the condition always stays true it may end the loop early.
  const trips = (goesOn?.data?.[0] === 1 ? tripCount(call) : undefined) ?? call.fresh();
  const scans = outputs
    .slice(carried.length)
    .map(({ dtype, shape }): Value => ({ dtype, shape: shape && [trips, ...shape] }));
  return [...carried, ...scans];
};

const scan: Rule = (call) => {
  if (call.opset < 9) return cannot('Scan of opset 8 is not handled');
  const body = graphAttribute(call.node, 'body');
  const count = intAttribute(call.node, 'num_scan_inputs');
  const states = call.inputs.length - count;
  if (states < 0) return cannot(`it has fewer inputs than its num_scan_inputs = ${count}`);
  const inAxes = intsAttribute(call.node, 'scan_input_axes', []);
  const outAxes = intsAttribute(call.node, 'scan_output_axes', []);
  let steps: Dim | undefined;
  const slices = call.inputs.slice(states).map((_, i): Value => {
    const { dtype, shape } = input(call, states + i);
    if (shape === undefined) return { dtype };
    const axis = axisIn(call, inAxes[i] ?? 0, shape.length);
    steps = steps === undefined ? shape[axis] : unify(call, steps, shape[axis], 'the lengths that it scans');
    return { dtype, shape: shape.toSpliced(axis, 1) };
  });
  const initial = call.inputs.slice(0, states).map((_, i) => input(call, i));
  const { carried, outputs } = settle(call, initial, (state) => call.body(body, [...state, ...slices]));
  const length = steps ?? call.fresh();
  const stacked = outputs.slice(states).map(({ dtype, shape }, i): Value => {
    if (shape === undefined) return { dtype };
    const axis = axisIn(call, outAxes[i] ?? 0, shape.length + 1);
    return { dtype, shape: shape.toSpliced(axis, 0, length) };
  });
  return [...carried, ...stacked];
};

export const CONTROL: Readonly<Record<string, Rule>> = { If: branch, Loop: loop, Scan: scan };
