import type { EntropyModel } from '../entropy/index.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';
import { integerCoder } from './integers.ts';
import { analyze, type LinearTransform, synthesizeVectors, vectorCount, vectorsOf } from './transform.ts';
import { analyzeV1, synthesizeV1 } from './transform-v1.ts';

/** What codes one tensor of a feature, or a range of its vectors: a transform, a step and the probabilities of the integers. */
export interface KltPart {
  /** Number of the tensor in the feature; where absent, the part's own number. */
  readonly tensor?: number;
  readonly transform: LinearTransform;
  /** Quantization step of all components, in the units of coefficients: the feature's own where the basis is orthonormal. */
  readonly step: number;
  /** For vectors of the transform's components. */
  readonly model: EntropyModel;
}

/**
 * The Karhunen-Loeve transform of each token or channel vector, a quantization step and an entropy model for each part; the parts are all
 * vectors of all tensors, in order. `version` is the codec file's: 1 works in float64 with one state.
 */
export function kltBody(features: readonly FeatureTensor[], parts: readonly KltPart[], version: 1 | 2 | 3): CodecBody {
  const coder = integerCoder(
    parts.map((part, i) => ({
      name: partName(features, part, i),
      vectors: vectorCount(part.transform),
      model: part.model,
    })),
    version === 1 ? 1 : undefined,
  );

  const analysis = (given: Parameters<CodecBody['encode']>[0]): Int32Array[] => {
    const tensors = featureValues(features, given, true);
    return parts.map(({ tensor, transform, step }, i) =>
      version === 1 ? analyzeV1(transform, tensors[i], step) : analyze(transform, tensors[tensor ?? i], step),
    );
  };

  const decodeSegment = (segment: number, stream: Uint8Array, tensors: readonly Float32Array[]): void => {
    for (const { part, from, integers } of coder.decode(segment, stream)) {
      const { tensor = part, transform, step } = parts[part];
      if (version === 1) tensors[part].set(synthesizeV1(transform, integers, step));
      else synthesizeVectors(transform, from, integers, step, tensors[tensor]);
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

/** As `inspect` names a part. */
function partName(features: readonly FeatureTensor[], { tensor, transform }: KltPart, i: number): string {
  const { name } = features[tensor ?? i];
  const { first = 0, layout } = transform;
  const count = vectorCount(transform);
  return count === vectorsOf(layout) ? name : `${name}, vectors ${first} to ${first + count - 1}`;
}
