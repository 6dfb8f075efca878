import type { EntropyModel } from '../entropy/index.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';
import { integerCoder } from './integers.ts';
import { dequantize, quantizeBy } from './quantizer.ts';

/** One tensor that analysis makes of a feature: float32 `[1, vectors, components]`, its step and the probabilities of its integers. */
export interface Latent {
  /** Name of an output of the analysis, and of an input of the synthesis. */
  readonly name: string;
  readonly vectors: number;
  readonly components: number;
  /** Quantization step of all components, in the latent's own units. */
  readonly step: number;
  /** For vectors of `components` integers. */
  readonly model: EntropyModel;
}

/** The latents as tensors that a codec codes. */
export function latentTensors(latents: readonly Pick<Latent, 'name' | 'vectors' | 'components'>[]): FeatureTensor[] {
  return latents.map(({ name, vectors, components }) => ({ name, dtype: 'float32', shape: [1, vectors, components] }));
}

/** What a learned codec does between its two networks: a step and an entropy model for each latent. */
export function learnedBody(latents: readonly Latent[]): CodecBody {
  const tensors = latentTensors(latents);
  const coder = integerCoder(latents);

  const integersOf = (given: Parameters<CodecBody['encode']>[0]): Int32Array[] =>
    featureValues(tensors, given, true).map((values, i) => quantizeBy(latents[i].step, values));

  const decodeSegment = (segment: number, stream: Uint8Array, values: readonly Float32Array[]): void => {
    for (const { part, from, integers } of coder.decode(segment, stream)) {
      const { step, components } = latents[part];
      values[part].set(
        Float32Array.from(integers, (integer) => dequantize(integer, step)),
        from * components,
      );
    }
  };

  return {
    pieces: coder.segments === 1 ? null : { count: coder.segments, split: coder.split, decode: decodeSegment },
    encode: (given) => coder.encode(integersOf(given)),
    decode(body) {
      const streams = coder.split(body);
      const values = featureElements(tensors).map((length) => new Float32Array(length));
      for (const [i, stream] of streams.entries()) decodeSegment(i, stream, values);
      return featureTensors(tensors, values);
    },
    idealBits: (given) => coder.idealBits(integersOf(given)),
    itemize: coder.itemize,
  };
}
