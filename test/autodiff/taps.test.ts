import { expect, it } from 'vitest';
import type { AttributeValue } from '../../src/onnx/build.ts';
import { Draw } from './cases/draw.ts';
import { checkRule } from './check.ts';

interface Way {
  readonly way: string;
  readonly channels: number;
  readonly features: number;
  readonly kernel: readonly number[];
  readonly group?: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** Each of these takes another way to the gradient of a convolution's weights, or of its input. */
it.each<Way>([
  { way: 'a product a tap', channels: 18, features: 3, kernel: [2, 3], attributes: {} },
  { way: 'a product a tap, of windows apart', channels: 17, features: 2, kernel: [3], attributes: { strides: [2] } },
  { way: 'one product of few channels', channels: 2, features: 3, kernel: [3, 2], attributes: { dilations: [2, 1] } },
  { way: 'a convolution by dy, for a large kernel', channels: 2, features: 2, kernel: [6, 6], attributes: {} },
  {
    way: 'a convolution by dy, in groups',
    channels: 4,
    features: 2,
    kernel: [6, 6],
    group: 2,
    attributes: { group: 2, strides: [2, 1], pads: [1, 0, 2, 3] },
  },
  {
    way: 'padding that reaches beyond the kernel',
    channels: 1,
    features: 2,
    kernel: [2, 2],
    attributes: { pads: [2, 0, 3, 1] },
  },
])('convolution: $way', async ({ channels, features, kernel, group = 1, attributes }) => {
  for (const isOpen of [false, true]) {
    const d = new Draw(7, 17);
    const x = d.real([2, channels, ...kernel.map((length) => length + 3)]);
    const w = { ...d.real([features, channels / group, ...kernel]), isFixedShape: true };
    const { error } = await checkRule('Conv', 17, { inputs: [x, w], attributes }, 5, { isOpen });
    expect(error).toBeLessThan(5e-3);
  }
});
