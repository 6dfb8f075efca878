import type { EntropyModel } from '../entropy/index.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';
import { integerCoder } from './integers.ts';
import { analyze, type LinearTransform, synthesizeVectors, vectorsOf } from './transform.ts';
import { analyzeV1, synthesizeV1 } from './transform-v1.ts';

/** What codes one tensor of a feature: a transform, a step and the probabilities of the integers. */
export interface KltPart {
  readonly transform: LinearTransform;
  /** Quantization step of all components, in the feature's own units. */
  readonly step: number;
  /** For vectors of the transform's components. */
  readonly model: EntropyModel;
}

/**
 * The Karhunen-Loeve transform of each token or channel vector, one quantization step, an entropy model for each tensor. `version` is
 * the codec file's: 1 works in float64 with one state.
 */
export function kltBody(features: readonly FeatureTensor[], parts: readonly KltPart[], version: 1 | 2): CodecBody {
  const coder = integerCoder(
    parts.map(({ transform, model }, i) => ({ name: features[i].name, vectors: vectorsOf(transform.layout), model })),
    version === 1 ? 1 : undefined,
  );

  const analysis = (given: Parameters<CodecBody['encode']>[0]): Int32Array[] =>
    featureValues(features, given, true).map((values, i) => {
      const { transform, step } = parts[i];
      return version === 1 ? analyzeV1(transform, values, step) : analyze(transform, values, step);
    });

  const decodeSegment = (segment: number, stream: Uint8Array, tensors: readonly Float32Array[]): void => {
    for (const { part, from, integers } of coder.decode(segment, stream)) {
      const { transform, step } = parts[part];
      if (version === 1) tensors[part].set(synthesizeV1(transform, integers, step));
      else synthesizeVectors(transform, from, integers, step, tensors[part]);
    }
  };

  return {
    pieces: coder.segments === 1 ? null : { count: coder.segments, split: coder.split, decode: decodeSegment },
    encode: (given) => coder.encode(analysis(given)),
    decode(body) {
      const streams = coder.split(body);
      const tensors = featureElements(features).map((length) => new Float32Array(length));
      for (const [i, stream] of streams.entries()) decodeSegment(i, stream, tensors);
      return featureTensors(features, tensors);
    },
    idealBits: (given) => coder.idealBits(analysis(given)),
    itemize: coder.itemize,
  };
}
