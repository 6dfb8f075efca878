import type { Input, Sample } from '../applied.ts';
import { type Case, fed, list } from './draw.ts';

const reduction = (op: string, values: 'distinct' | 'positive' | 'any' = 'any'): Case => ({
  op,
  draw: (d): Sample => {
    const shape = d.shape(1);
    const x =
      values === 'distinct'
        ? d.distinct(shape)
        : values === 'positive'
          ? d.real(shape, 0.5, 2)
          : d.real(shape, -2, 2, [0]);
    const keepdims = d.int(0, 1);
    const axes = d.pick(undefined, d.axes(shape.length), d.axes(shape.length));
    if (axes === undefined) return { inputs: [x], attributes: { keepdims } };
    const byInput = op === 'ReduceSum' || d.opset >= 18;
    if (!byInput) return { inputs: [x], attributes: { keepdims, axes } };
    return { inputs: [x, d.pick(list(...axes), fed(list(...axes)))], attributes: { keepdims } };
  },
});

export const REDUCE: readonly Case[] = [
  reduction('ReduceSum'),
  reduction('ReduceMean'),
  reduction('ReduceMax', 'distinct'),
  reduction('ReduceMin', 'distinct'),
  reduction('ReduceL1'),
  reduction('ReduceL2', 'positive'),
  reduction('ReduceProd'),
  reduction('ReduceSumSquare'),
  reduction('ReduceLogSumExp'),
  reduction('ReduceLogSum', 'positive'),
  {
    op: 'CumSum',
    draw: (d) => {
      const shape = d.shape(1);
      const axis: Input = { shape: [], values: [d.int(-shape.length, shape.length - 1)], dtype: 'int64' };
      return { inputs: [d.real(shape), axis], attributes: { exclusive: d.int(0, 1), reverse: d.int(0, 1) } };
    },
  },
];
