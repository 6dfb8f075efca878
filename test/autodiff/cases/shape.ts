import { type Case, fed, list, scalar } from './draw.ts';

export const SHAPE: readonly Case[] = [
  {
    op: 'Reshape',
    draw: (d) => {
      const x = d.real([2, d.int(1, 3), 4]);
      return { inputs: [x, d.pick(list, (...v: number[]) => fed(list(...v)))(...d.pick([-1], [0, -1], [4, -1, 2]))] };
    },
  },
  { op: 'Flatten', draw: (d) => ({ inputs: [d.real([2, 3, 2])], attributes: { axis: d.int(-3, 3) } }) },
  {
    op: 'Squeeze',
    draw: (d) => {
      const axes = d.pick(undefined, list(0), list(-1), list(0, 2));
      return { inputs: [{ ...d.real([1, 3, 1]), isFixedShape: axes === undefined }, axes] };
    },
  },
  {
    op: 'Unsqueeze',
    draw: (d) => ({ inputs: [d.real(d.shape(1)), d.pick(list(0), list(-1), list(0, 2), fed(list(1)))] }),
  },
  {
    op: 'Transpose',
    draw: (d) => {
      const shape = d.shape(1);
      const { values } = d.distinct([shape.length]);
      const perm = shape.map((_, i) => i).sort((a, b) => values[a] - values[b]);
      return { inputs: [d.real(shape)], attributes: d.pick<Record<string, number[]>>({}, { perm }) };
    },
  },
  {
    op: 'Expand',
    draw: (d) => {
      const shape = d.shape(1);
      return { inputs: [d.real(d.narrowed(shape)), d.pick(list(...shape), fed(list(...shape)))] };
    },
  },
  {
    op: 'Tile',
    draw: (d) => {
      const shape = d.shape(1);
      const repeats = list(...shape.map(() => d.int(1, 3)));
      return { inputs: [d.real(shape), d.pick(repeats, fed(repeats))] };
    },
  },
  {
    op: 'Concat',
    draw: (d) => {
      const shape = d.shape(1);
      const axis = d.int(-shape.length, shape.length - 1);
      const parts = Array.from({ length: d.int(1, 3) }, () => shape.with(axis, d.int(1, 3)));
      return { inputs: parts.map((part) => d.real(part)), attributes: { axis } };
    },
  },
  {
    op: 'Split',
    draw: (d) => {
      const sizes = [d.int(1, 3), d.int(1, 3), d.int(1, 3)];
      const shape = [2, sizes[0] + sizes[1] + sizes[2], 2];
      const used = d.pick([0, 1, 2], [1], [0, 2]);
      return { inputs: [d.real(shape), list(...sizes)], attributes: { axis: d.pick(1, -2) }, outputs: 3, used };
    },
  },
  {
    op: 'Pad',
    draw: (d) => {
      const pads = list(d.int(0, 2), d.int(-1, 2), d.int(0, 2), d.int(-1, 2));
      return { inputs: [d.real([2, 4]), d.pick(pads, fed(pads)), d.pick(undefined, scalar(0.5))] };
    },
  },
  {
    op: 'Pad',
    opsets: [16, 21],
    draw: (d) => {
      const mode = d.pick('reflect', 'edge', d.opset >= 19 ? 'wrap' : 'edge');
      const pads = list(d.int(0, 2), d.int(0, 3), d.int(0, 2), d.int(0, 3));
      if (d.opset < 18 || d.pick(true, false)) {
        return { inputs: [d.real([3, 4]), d.pick(pads, fed(pads))], attributes: { mode } };
      }
      const two = [d.real([3, 2, 4]), list(d.int(0, 2), d.int(0, 3), 1, 2), undefined, list(0, -1)];
      return { inputs: two, attributes: { mode } };
    },
  },
  {
    op: 'Trilu',
    opsets: [14, 21],
    draw: (d) => ({
      inputs: [d.real([2, 3, 4]), { shape: [], values: [d.int(-1, 1)], dtype: 'int64' }],
      attributes: { upper: d.int(0, 1) },
    }),
  },
  {
    op: 'DepthToSpace',
    draw: (d) => ({
      inputs: [d.real([d.int(1, 2), 8, 2, 3])],
      attributes: { blocksize: 2, ...d.pick<Record<string, string>>({}, { mode: 'CRD' }, { mode: 'DCR' }) },
    }),
  },
  { op: 'SpaceToDepth', draw: (d) => ({ inputs: [d.real([1, 2, 4, 6])], attributes: { blocksize: 2 } }) },
];
