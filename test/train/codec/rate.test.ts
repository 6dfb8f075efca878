import { expect, it } from 'vitest';
import { buildGraph, writeGraph } from '../../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../../src/runtime/index.ts';
import { tensor } from '../../../src/tensor.ts';
import { initialLogScales, writeRate } from '../../../src/train/codec/rate.ts';
import { Extension } from '../../../src/train/extension.ts';
import { normals, randomOf } from '../../../src/train/random.ts';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

it('is the bits of a logistic density over the width of a step, row by row', async () => {
  const nodes = new Extension(
    buildGraph({
      opset: 17,
      inputs: [
        { name: 'z', dtype: 'float32', shape: ['batch', 3, 2] },
        { name: 'step', dtype: 'float32', shape: ['batch', 1, 1] },
        { name: 'scale', dtype: 'float32', shape: [2] },
      ],
      outputs: [],
      nodes: [],
    }),
  );
  const rate = writeRate(nodes, 'z', 'step', 'scale');
  const session = await openOnnxRuntimeNode(writeGraph(nodes.build([{ name: rate, dtype: 'float32' }])), {
    threads: 1,
  });
  const z = normals(randomOf('rate', 1), 12, 2);
  const steps = [0.5, 2];
  const logScales = initialLogScales(Float64Array.of(0.2, 4));
  const made = await session.run({
    z: tensor('float32', [2, 3, 2], z),
    step: tensor('float32', [2, 1, 1], Float32Array.from(steps)),
    scale: logScales,
  });
  await session.release();
  for (const [row, step] of steps.entries()) {
    let bits = 0;
    for (let i = 0; i < 6; i++) {
      const scale = Math.exp(Number(logScales.data[i % 2]));
      const value = z[row * 6 + i];
      const mass = sigmoid((value + step / 2) / scale) - sigmoid((value - step / 2) / scale);
      bits -= Math.log2(Math.max(mass, 2 ** -30));
    }
    // Differences of float32 sigmoids.
    expect(Math.abs(Number(made[rate].data[row]) / bits - 1)).toBeLessThan(2e-4);
  }
});

it('starts where the logistic has the variance of the component', () => {
  const variance = 9;
  const scale = Math.exp(Number(initialLogScales(Float64Array.of(variance)).data[0]));
  expect((scale * Math.PI) / Math.sqrt(3)).toBeCloseTo(Math.sqrt(variance), 1);
});
