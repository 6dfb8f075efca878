import { elements } from '../../../src/tensor.ts';
import type { Input } from '../applied.ts';
import { type Case, type Draw, fed, list } from './draw.ts';

const slice: Case = {
  op: 'Slice',
  draw: (d) => {
    const shape = d.shape(1);
    const axes = d.axes(shape.length);
    const isStepped = d.random() < 0.4;
    const parts = axes.map((axis) => {
      const length = shape.at(axis) as number;
      const start = d.int(0, length - 1);
      const end = d.int(start + 1, length);
      const step = isStepped ? d.pick(1, 2, -1, -2) : 1;
      if (step < 0) return { start: d.pick(length - 1, -1, 99), end: -99, step };
      return { start: d.pick(start, start - length), end: d.pick(end, 2 ** 40), step };
    });
    const how = d.pick(fed, (input: Input) => input);
    const lists = [parts.map((p) => p.start), parts.map((p) => p.end), axes, parts.map((p) => p.step)];
    return { inputs: [d.real(shape), ...lists.map((each) => how(list(...each)))] };
  },
};

const gather: Case = {
  op: 'Gather',
  draw: (d) => {
    const shape = d.shape(1);
    const axis = d.int(-shape.length, shape.length - 1);
    const length = shape.at(axis) as number;
    const at = d.shape(0, 2);
    const values = Array.from({ length: elements(at) }, () => d.int(-length, length - 1));
    const indices: Input = { shape: at, values, dtype: d.pick('int64', 'int32'), isConstant: d.pick(true, false) };
    return { inputs: [d.real(shape), indices], attributes: { axis } };
  },
};

/** Updates of a part of x, by each reduction that the operator set has and a rule covers. */
const scattered = (
  op: string,
  part: (d: Draw) => { x: number[]; indices: Input; updates: number[]; attributes?: Record<string, number> },
): Case => ({
  op,
  opsets: [16, 18, 21],
  draw: (d) => {
    const { x, indices, updates, attributes } = part(d);
    const reduction = d.pick('none', 'add', ...(d.opset >= 18 ? ['max', 'min'] : []));
    const [old, fresh] = [elements(x), elements(updates)];
    const { values } = d.distinct([old + fresh]);
    return {
      inputs: [{ shape: x, values: values.slice(0, old) }, indices, { shape: updates, values: values.slice(old) }],
      attributes: { ...attributes, ...(reduction === 'none' ? {} : { reduction }) },
    };
  },
});

export const PICK: readonly Case[] = [
  slice,
  gather,
  {
    op: 'GatherElements',
    opsets: [13, 21],
    draw: (d) => {
      const shape = [2, 3, d.int(1, 3)];
      const axis = d.int(-3, 2);
      const at = shape.with(axis, d.int(1, 4));
      const length = shape.at(axis) as number;
      const values = Array.from({ length: elements(at) }, () => d.int(-length, length - 1));
      // Without lengths nothing says that the other axes agree, which matters before operator set 16.
      const isFixedShape = d.opset < 16;
      const indices: Input = { shape: at, values, dtype: 'int64', isFixedShape };
      return { inputs: [{ ...d.real(shape), isFixedShape }, indices], attributes: { axis } };
    },
  },
  {
    op: 'GatherND',
    opsets: [16, 21],
    draw: (d) => {
      const depth = d.int(1, 2);
      const values = Array.from({ length: 3 * depth }, () => d.int(0, 1));
      return { inputs: [d.real([2, 2, 3]), { shape: [3, depth], values, dtype: 'int64' }] };
    },
  },
  scattered('ScatterElements', (d) => {
    const indices: Input = { shape: [2, 2], values: [0, d.int(1, 2), 2, d.int(0, 1)], dtype: 'int64' };
    return { x: [2, 3], indices, updates: [2, 2], attributes: { axis: d.pick(1, -1) } };
  }),
  scattered('ScatterND', (d) => {
    const indices: Input = { shape: [2, 1], values: [d.int(0, 1), d.int(2, 3)], dtype: 'int64' };
    return { x: [4, 2], indices, updates: [2, 2] };
  }),
  {
    op: 'TopK',
    draw: (d) => {
      const shape = d.shape(1);
      const axis = d.int(-shape.length, shape.length - 1);
      const k = list(d.int(1, shape.at(axis) as number));
      return { inputs: [d.distinct(shape), k], attributes: { axis, largest: d.int(0, 1) }, outputs: 2, used: [0] };
    },
  },
];
