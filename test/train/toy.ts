import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { buildGraph, node } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { Trainer, type TrainOptions } from '../../src/train/index.ts';

const floats = (shape: readonly number[], values: readonly number[]) =>
  tensor('float32', shape, Float32Array.from(values));

function uniform(seed: number, count: number): number[] {
  const random = xoroshiro128plus(seed);
  return Array.from({ length: count }, () => 2 * uniformFloat64(random) - 1);
}

/** A perceptron of two layers that learns a fixed linear map: `x [n, 4]`, `y [n, 2]`. */
export const TOY = buildGraph({
  opset: 17,
  inputs: [
    { name: 'x', dtype: 'float32', shape: ['n', 4] },
    { name: 'y', dtype: 'float32', shape: ['n', 2] },
  ],
  outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
  nodes: [
    node('Gemm', ['x', '1', 'b'], ['hidden']),
    node('Tanh', ['hidden'], ['active']),
    node('MatMul', ['active', '2'], ['answer']),
    node('Sub', ['answer', 'y'], ['difference']),
    node('Mul', ['difference', 'difference'], ['square']),
    node('ReduceMean', ['square'], ['loss'], { keepdims: 0 }),
  ],
  initializers: { 1: floats([4, 8], uniform(1, 32)), b: floats([8], uniform(2, 8)), 2: floats([8, 2], uniform(3, 16)) },
});

/** A training of the toy; the batch of a step depends on its number alone. */
export function toyTraining(steps: number): TrainOptions & { trainer: Trainer } {
  const trainer = new Trainer(TOY, {
    loss: 'loss',
    groups: [{ weights: ['1', '2'], decay: 0.01 }, { weights: ['b'] }],
    optimizer: { kind: 'adamw' },
    average: 0.9,
    clip: 1,
    open: openOnnxRuntimeNode,
    threads: 1,
  });
  return {
    trainer,
    steps,
    schedule: { kind: 'cosine', rate: 0.03, warmup: 2 },
    batch: async (step, micro) => toyBatch(step * 100 + micro),
  };
}

function toyBatch(seed: number): Record<string, Tensor> {
  const x = uniform(seed + 10, 64);
  const y = Array.from({ length: 16 }, (_, i) => x.slice(4 * i, 4 * i + 4)).flatMap(([a, b, c, d]) => [
    a - b / 2,
    (c + d) / 2,
  ]);
  return { x: floats([16, 4], x), y: floats([16, 2], y) };
}

/** SHA-256 of all that a trainer keeps. */
export function hashOf(trainer: Trainer): string {
  const hash = createHash('sha256');
  for (const [name, { data }] of Object.entries(trainer.save().tensors)) hash.update(name).update(data as Float32Array);
  return hash.digest('hex');
}
