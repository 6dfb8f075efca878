import {
  type Codec,
  fitLatentModel,
  type KltModel,
  type LearnedParts,
  learnedCodec,
  quantizeBy,
} from '../../src/codec/index.ts';
import { buildGraph, node } from '../../src/onnx/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { feature, tokens, uniforms } from './features.ts';

/** Latents of {@link tokens}: a narrow one for each token, one for all of them. */
const CODE = [1, 17, 6] as const;
const SUMMARY = [1, 1, 5] as const;

function weights(shape: readonly number[], seed: number): Tensor {
  const random = uniforms(seed);
  const length = shape.reduce((a, b) => a * b, 1);
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length }, () => random() - 0.5),
  );
}

const input = { name: 'tokens', dtype: 'float32', shape: ['batch', 17, 24] } as const;
const code = { name: 'code', dtype: 'float32', shape: ['batch', 17, 6] } as const;
const summary = { name: 'summary', dtype: 'float32', shape: ['batch', 1, 5] } as const;

/** Two networks for the tokens: products each way, and the mean of the tokens beside them. */
export function tokenTransforms(): Pick<LearnedParts, 'analysis' | 'synthesis'> {
  return {
    analysis: buildGraph({
      opset: 17,
      inputs: [input],
      outputs: [code, summary],
      nodes: [
        node('MatMul', ['tokens', 'narrow'], ['code']),
        node('ReduceMean', ['tokens'], ['mean'], { axes: [1] }),
        node('MatMul', ['mean', 'short'], ['summary']),
      ],
      initializers: { narrow: weights([24, 6], 1), short: weights([24, 5], 2) },
    }),
    synthesis: buildGraph({
      opset: 17,
      inputs: [code, summary],
      outputs: [input],
      nodes: [
        node('MatMul', ['code', 'wide'], ['own']),
        node('MatMul', ['summary', 'long'], ['shared']),
        node('Add', ['own', 'shared'], ['tokens']),
      ],
      initializers: { wide: weights([6, 24], 3), long: weights([5, 24], 4) },
    }),
  };
}

/** A learned codec of the tokens whose models have learnt from latents like those of {@link feature}. */
export function learned(step: number, model: KltModel): Codec {
  const latent = (name: string, shape: readonly number[]) => {
    const samples = Array.from({ length: 40 }, (_, i) => quantizeBy(step, feature(shape, i).data as Float32Array));
    const [, vectors, components] = shape;
    return { name, vectors, components, step, model: fitLatentModel(samples, components, { model }) };
  };
  return learnedCodec(tokens, {
    ...tokenTransforms(),
    latents: [latent('code', CODE), latent('summary', SUMMARY)],
  });
}
