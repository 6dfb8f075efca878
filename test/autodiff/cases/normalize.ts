import type { Input } from '../applied.ts';
import type { Case } from './draw.ts';

/** x, a scale and a bias or none, over the axes from one on. */
const normalization = (op: string, opsets: number[], hasBias: boolean): Case => ({
  op,
  opsets,
  draw: (d) => {
    const shape = [...d.shape(0, 2), d.int(3, 5)];
    const axis = d.int(-shape.length, -1);
    const inner = shape.slice(axis);
    const scale = d.pick(inner, inner, d.narrowed(inner).slice(-1));
    const bias = hasBias ? d.pick<Input[]>([], [d.real(inner)]) : [];
    return {
      inputs: [d.real(shape), d.real(scale.length > 0 ? scale : inner), ...bias],
      attributes: { axis, epsilon: 0.1 },
    };
  },
});

export const NORMALIZE: readonly Case[] = [
  {
    op: 'Softmax',
    draw: (d) => ((s) => ({ inputs: [d.real(s)], attributes: { axis: d.int(-s.length, s.length - 1) } }))(d.shape(1)),
  },
  {
    op: 'LogSoftmax',
    draw: (d) => ((s) => ({ inputs: [d.real(s)], attributes: { axis: d.int(-s.length, s.length - 1) } }))(d.shape(1)),
  },
  normalization('LayerNormalization', [17, 21], true),
  // Of operator set 23; written by ONNX Runtime's optimizer under the second name.
  normalization('RMSNormalization', [23], false),
  normalization('SimplifiedLayerNormalization', [17, 21], false),
  {
    op: 'GroupNormalization',
    isSingle: true,
    opsets: [18, 21],
    draw: (d) => {
      const [groups, each] = [d.int(1, 3), d.int(2, 3)];
      const scales = d.opset < 21 ? groups : groups * each;
      return {
        inputs: [d.real([2, groups * each, ...d.shape(1, 2)]), d.real([scales]), d.real([scales])],
        attributes: { num_groups: groups, epsilon: 0.1 },
      };
    },
  },
  {
    op: 'LpNormalization',
    opsets: [13, 22],
    draw: (d) => {
      const shape = d.shape(1);
      return {
        inputs: [d.real(shape, -2, 2, [0])],
        attributes: { axis: d.int(-shape.length, shape.length - 1), p: d.int(1, 2) },
      };
    },
  },
  {
    op: 'BatchNormalization',
    draw: (d) => {
      const channels = d.int(1, 3);
      const x = d.real([d.int(1, 3), channels, ...d.shape(0, 2)]);
      const [scale, bias, mean] = [d.real([channels]), d.real([channels]), d.real([channels])];
      return { inputs: [x, scale, bias, mean, d.real([channels], 0.5, 2)], attributes: { epsilon: 0.01 } };
    },
  },
  {
    op: 'InstanceNormalization',
    draw: (d) => {
      const x = d.real([d.int(1, 2), 2, d.int(3, 5), ...d.shape(0, 1)]);
      return { inputs: [x, d.real([2]), d.real([2])], attributes: { epsilon: 0.1 } };
    },
  },
];
