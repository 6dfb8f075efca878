import {
  COST_PER_BIT,
  decodeSequences,
  type EntropyModel,
  encodeSequences,
  lanesFor,
  modelCost,
  modelCosts,
  type Sequence,
} from '../entropy/index.ts';
import type { ByteItem, CodecBody, FeatureTensor } from './codec.ts';
import { featureTensors, featureValues } from './feature.ts';
import { analyze, type LinearTransform, synthesize, vectorsOf } from './transform.ts';
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
 * The Karhunen-Loeve transform of each token or channel vector, one quantization step, an entropy model for each tensor, and one
 * rANS stream over all tensors of the feature. `version` is the codec file's: 1 works in float64 with one state.
 */
export function kltBody(features: readonly FeatureTensor[], parts: readonly KltPart[], version: 1 | 2): CodecBody {
  const [forward, backward] = version === 1 ? [analyzeV1, synthesizeV1] : [analyze, synthesize];
  const lengths = parts.map(({ transform }) => vectorsOf(transform.layout) * transform.components);
  const lanes = version === 1 ? 1 : lanesFor(parts.map(({ model }, i) => ({ model, length: lengths[i] })));

  const analysis = (given: Parameters<CodecBody['encode']>[0]): Sequence[] =>
    featureValues(features, given, true).map((values, i) => {
      const { model, transform, step } = parts[i];
      return { model, values: forward(transform, values, step) };
    });

  const decodeIntegers = (body: Uint8Array): Int32Array[] => {
    const sequences = parts.map(({ model }, i) => ({ model, values: new Int32Array(lengths[i]) }));
    decodeSequences(body, sequences, lanes);
    return sequences.map(({ values }) => values);
  };

  return {
    encode(given) {
      return encodeSequences(analysis(given), lanes);
    },
    decode(body) {
      const integers = decodeIntegers(body);
      return featureTensors(
        features,
        parts.map((part, i) => backward(part.transform, integers[i], part.step)),
      );
    },
    idealBits(given) {
      return analysis(given).reduce((bits, { model, values }) => bits + modelCost(model, values) / COST_PER_BIT, 0);
    },
    itemize(body) {
      const items: ByteItem[] = [];
      for (const [i, values] of decodeIntegers(body).entries()) {
        const { model, transform } = parts[i];
        const costs = modelCosts(model, values, transform.components);
        for (const [from, to] of octaves(transform.components)) {
          const cost = costs.subarray(from, to).reduce((a, b) => a + b, 0);
          items.push({ what: `${features[i].name}, components ${from} to ${to - 1}`, bytes: cost / COST_PER_BIT / 8 });
        }
      }
      const coded = items.reduce((sum, item) => sum + item.bytes, 0);
      return [...items, { what: 'state of the coder and rounding', bytes: body.length - coded }];
    },
  };
}

/** Ranges 0-7, 8-15, 16-31, 32-63 … of components, which fall off in this way. */
function octaves(count: number): [number, number][] {
  const ranges: [number, number][] = [];
  for (let from = 0; from < count; ) {
    const to = Math.min(count, Math.max(8, from * 2));
    ranges.push([from, to]);
    from = to;
  }
  return ranges;
}
