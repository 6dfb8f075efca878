import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import sharp from 'sharp';
import { buildGraph, type Graph, node } from '../../src/onnx/index.ts';
import { elements, type Tensor, tensor } from '../../src/tensor.ts';

export const CLASSES = ['blue', 'green', 'red'];
export const SIDE = 8;

/** A tensor of small numbers that differ. */
export function numbers(shape: readonly number[], scale = 0.3): Tensor {
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length: elements(shape) }, (_, i) => scale * Math.sin(7 * i + shape.length)),
  );
}

const filled = (shape: readonly number[], value: number) =>
  tensor('float32', shape, new Float32Array(elements(shape)).fill(value));

/** Convolution, normalization, pooling and a head of three classes; with a Softmax at its end or logits. */
export function smallClassifier({
  batch = 'batch' as number | string,
  ending = 'logits' as 'logits' | 'Softmax',
} = {}): Graph {
  const output = ending === 'logits' ? 'logits' : 'probabilities';
  return buildGraph({
    opset: 17,
    inputs: [{ name: 'pixels', dtype: 'float32', shape: [batch, 3, SIDE, SIDE] }],
    outputs: [{ name: output, dtype: 'float32', shape: [batch, CLASSES.length] }],
    nodes: [
      node('Conv', ['pixels', 'conv.weight', 'conv.bias'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node('BatchNormalization', ['c', 'norm.weight', 'norm.bias', 'norm.mean', 'norm.variance'], ['n']),
      node('Relu', ['n'], ['r']),
      node('Mul', ['r', 'half'], ['h']),
      node('GlobalAveragePool', ['h'], ['p']),
      node('Flatten', ['p'], ['f']),
      node('Gemm', ['f', 'head.weight', 'head.bias'], ['logits'], { transB: 1 }),
      ...(ending === 'logits' ? [] : [node('Softmax', ['logits'], [output], { axis: 1 })]),
    ],
    initializers: {
      'conv.weight': numbers([6, 3, 3, 3]),
      'conv.bias': filled([6], 0),
      'norm.weight': filled([6], 1),
      'norm.bias': filled([6], 0.1),
      'norm.mean': filled([6], 0.2),
      'norm.variance': filled([6], 0.5),
      half: filled([1], 0.5),
      'head.weight': numbers([CLASSES.length, 6]),
      'head.bias': filled([CLASSES.length], 0),
    },
  });
}

/** Writes a folder with one folder a class: pictures of noise, each brightest in its colour. */
export async function classFolders(folder: string, each: number, seed = 1): Promise<void> {
  const random = xoroshiro128plus(seed);
  for (const [label, name] of CLASSES.entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < each; i++) {
      const data = Uint8Array.from(
        { length: 12 * 12 * 3 },
        (_, at) => 150 * uniformFloat64(random) + (at % 3 === 2 - label ? 90 : 0),
      );
      const picture = sharp(data, { raw: { width: 12, height: 12, channels: 3 } });
      await picture.png().toFile(join(folder, name, `${i}.png`));
    }
  }
}
