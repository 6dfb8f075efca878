import { type Codec, fitLatentModel, learnedCodec } from '../../src/codec/index.ts';
import { buildGraph, node } from '../../src/onnx/index.ts';
import { tensor } from '../../src/tensor.ts';
import { uniforms } from '../codec/features.ts';
import { TINY } from './tiny-graphs.ts';
import { TINY_CUT } from './tiny-suite.ts';

const { tokens, width } = TINY;

/** The feature where the tiny suite cuts. */
export const TINY_SOURCE = { features: [{ name: TINY_CUT, dtype: 'float32', shape: [1, tokens, width] }] } as const;

/**
 * Latents as wide as the feature: turned, and turned back. With `apart` the graphs hold what operator set 13 gave another meaning. A larger
 * `step` makes shorter packets.
 */
export function tinyLearned(apart = false, step = 0.125): Codec {
  const random = uniforms(3);
  const turn = (size: number) => Float32Array.from({ length: size * size }, () => (random() - 0.5) / Math.sqrt(size));
  const port = (name: string) => ({ name, dtype: 'float32', shape: ['n', tokens, width] }) as const;
  const transform = (from: string, to: string) =>
    buildGraph({
      opset: apart ? 12 : 17,
      inputs: [port(from)],
      outputs: [port(to)],
      nodes: apart
        ? [node('MatMul', [from, 'w'], ['turned']), node('Softmax', ['turned'], [to], { axis: 2 })]
        : [node('MatMul', [from, 'w'], [to])],
      initializers: { w: tensor('float32', [width, width], turn(width)) },
    });
  const samples = [Int32Array.from({ length: tokens * width }, () => Math.round((2.5 / step) * (random() - 0.5)))];
  return learnedCodec(TINY_SOURCE, {
    analysis: transform(TINY_CUT, 'latent'),
    synthesis: transform('latent', TINY_CUT),
    latents: [{ name: 'latent', vectors: tokens, components: width, step, model: fitLatentModel(samples, width) }],
  });
}
