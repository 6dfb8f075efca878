import type { Input, Sample } from '../applied.ts';
import type { Case } from './draw.ts';

const activation = (op: string, hasBias: boolean): Case => ({
  op: `com.microsoft.${op}`,
  isSingle: op === 'FastGelu',
  draw: (d) => {
    const shape = d.shape(1);
    return { inputs: [d.real(shape), ...(hasBias ? [d.real(shape.slice(-1))] : [])] };
  },
});

/** x, what is added to it, a scale and perhaps biases, and the outputs that a loss may read. */
const skipping = (op: string, biases: number): Case => ({
  op: `com.microsoft.${op}`,
  draw: (d) => {
    const shape = [d.int(1, 2), d.int(1, 3), d.int(3, 5)];
    const vector = () => d.real(shape.slice(-1));
    const more = d.pick<(Input | undefined)[]>([], [vector()], [undefined, vector()], [vector(), vector()]);
    return {
      inputs: [d.real(shape), d.real(shape), vector(), ...more.slice(0, biases)],
      attributes: { epsilon: 0.1 },
      ...d.pick<Partial<Sample>>({}, { outputs: 4, used: [0, 3] }, { outputs: 4, used: [3] }),
    };
  },
});

export const MICROSOFT: readonly Case[] = [
  activation('Gelu', false),
  activation('BiasGelu', true),
  activation('FastGelu', false),
  activation('FastGelu', true),
  {
    op: 'com.microsoft.QuickGelu',
    draw: (d) => ({ inputs: [d.real(d.shape(1))], attributes: { alpha: d.pick(1, 1.702) } }),
  },
  {
    op: 'com.microsoft.FusedMatMul',
    draw: (d) => {
      const [m, k, n] = [d.int(1, 4), d.int(1, 4), d.int(1, 4)];
      const [transA, transB] = [d.int(0, 1), d.int(0, 1)];
      const batch = d.shape(0, 2);
      const [a, b] = d.pick([batch, batch], [batch, []], [[], batch], [d.narrowed(batch), batch]);
      return {
        inputs: [d.real([...a, ...(transA ? [k, m] : [m, k])]), d.real([...b, ...(transB ? [n, k] : [k, n])])],
        attributes: { transA, transB, alpha: d.pick(1, 0.7) },
      };
    },
  },
  {
    op: 'com.microsoft.FusedGemm',
    draw: (d) => {
      const [m, k, n] = [d.int(1, 4), d.int(1, 4), d.int(1, 4)];
      const c = d.pick<Input[]>([], [d.real([n])]);
      return {
        inputs: [d.real([m, k]), d.real([k, n]), ...c],
        attributes: { activation: d.pick('Tanh', 'Sigmoid'), alpha: d.pick(1, 0.7), beta: d.pick(1, 0.5) },
      };
    },
  },
  {
    op: 'com.microsoft.FusedConv',
    draw: (d) => {
      const [channels, features] = [d.int(1, 2), d.int(1, 2)];
      const w = { ...d.real([features, channels, 3, 3]), isFixedShape: true };
      const bias = d.real([features]);
      const more = d.pick<Input[]>([], [bias], [bias, d.real([2, features, 4, 4])]);
      return {
        inputs: [d.real([2, channels, 4, 4]), w, ...more],
        attributes: { activation: d.pick('Tanh', 'Sigmoid'), kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
      };
    },
  },
  skipping('SkipLayerNormalization', 2),
  skipping('SkipSimplifiedLayerNormalization', 1),
];
