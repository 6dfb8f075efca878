import type { Case } from './draw.ts';

/** What codecs are trained by: their gradient is not the derivative, so that only PyTorch can tell what it should be. */
export const CODEC: readonly Case[] = [
  { op: 'Round', draw: (d) => ({ inputs: [d.real(d.shape())] }) },
  {
    op: 'isthmus.LowerBound',
    draw: (d) => {
      const shape = d.shape();
      return { inputs: [d.real(shape, -2, 2, [0.5]), { ...d.real(d.narrowed(shape), 0.5, 0.5), isConstant: true }] };
    },
  },
];
