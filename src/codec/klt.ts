import {
  COST_PER_BIT,
  decodeSequences,
  type EntropyModel,
  encodeSegments,
  modelCost,
  modelCosts,
  type Segment,
  type Sequence,
  segmentsOf,
  splitSegments,
} from '../entropy/index.ts';
import type { ByteItem, CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';
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
 * The Karhunen-Loeve transform of each token or channel vector, one quantization step, an entropy model for each tensor, and one
 * rANS stream over all tensors of the feature, or several where they are many megabytes. `version` is the codec file's: 1 works in
 * float64 with one state.
 */
export function kltBody(features: readonly FeatureTensor[], parts: readonly KltPart[], version: 1 | 2): CodecBody {
  const lengths = parts.map(({ transform }) => vectorsOf(transform.layout) * transform.components);
  const segments =
    version === 1 ? [wholeV1(parts)] : segmentsOf(parts.map(({ model }, i) => ({ model, length: lengths[i] })));

  const analysis = (given: Parameters<CodecBody['encode']>[0]): Sequence[] =>
    featureValues(features, given, true).map((values, i) => {
      const { model, transform, step } = parts[i];
      return { model, values: (version === 1 ? analyzeV1 : analyze)(transform, values, step) };
    });

  /** Integers of each range of a segment. */
  const decodeIntegers = (stream: Uint8Array, { ranges, lanes }: Segment): Int32Array[] => {
    const sequences = ranges.map(({ part, from, to }) => {
      const { model, transform } = parts[part];
      return { model, values: new Int32Array((to - from) * transform.components) };
    });
    decodeSequences(stream, sequences, lanes);
    return sequences.map(({ values }) => values);
  };

  const decodeSegment = (segment: number, stream: Uint8Array, tensors: readonly Float32Array[]): void => {
    const { ranges } = segments[segment];
    for (const [i, integers] of decodeIntegers(stream, segments[segment]).entries()) {
      const { part, from } = ranges[i];
      const { transform, step } = parts[part];
      if (version === 1) tensors[part].set(synthesizeV1(transform, integers, step));
      else synthesizeVectors(transform, from, integers, step, tensors[part]);
    }
  };

  return {
    pieces:
      segments.length === 1
        ? null
        : { count: segments.length, split: (body) => splitSegments(body, segments), decode: decodeSegment },
    encode(given) {
      return encodeSegments(analysis(given), segments);
    },
    decode(body) {
      const streams = splitSegments(body, segments);
      const tensors = featureElements(features).map((length) => new Float32Array(length));
      for (const [i, stream] of streams.entries()) decodeSegment(i, stream, tensors);
      return featureTensors(features, tensors);
    },
    idealBits(given) {
      return analysis(given).reduce((bits, { model, values }) => bits + modelCost(model, values) / COST_PER_BIT, 0);
    },
    itemize(body) {
      const costs = parts.map(({ transform }) => new Float64Array(transform.components));
      for (const [s, stream] of splitSegments(body, segments).entries()) {
        for (const [i, integers] of decodeIntegers(stream, segments[s]).entries()) {
          const { part } = segments[s].ranges[i];
          const { model, transform } = parts[part];
          for (const [c, cost] of modelCosts(model, integers, transform.components).entries()) costs[part][c] += cost;
        }
      }
      const items: ByteItem[] = [];
      for (const [i, { name }] of features.entries()) {
        for (const [from, to] of octaves(costs[i].length)) {
          const cost = costs[i].subarray(from, to).reduce((a, b) => a + b, 0);
          items.push({ what: `${name}, components ${from} to ${to - 1}`, bytes: cost / COST_PER_BIT / 8 });
        }
      }
      if (segments.length > 1) items.push({ what: 'lengths of segments', bytes: 4 * (segments.length - 1) });
      const known = items.reduce((sum, item) => sum + item.bytes, 0);
      return [...items, { what: 'state of the coder and rounding', bytes: body.length - known }];
    },
  };
}

function wholeV1(parts: readonly KltPart[]): Segment {
  return { ranges: parts.map(({ transform }, part) => ({ part, from: 0, to: vectorsOf(transform.layout) })), lanes: 1 };
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
