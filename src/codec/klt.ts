import {
  COST_PER_BIT,
  decodeSequences,
  type EntropyModel,
  encodeSequences,
  type Lanes,
  lanesFor,
  modelCost,
  modelCosts,
  StreamReader,
  StreamWriter,
  TableBank,
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

/** Lanes of the stream by rule: 1, unless static tables alone make a long stream. Version 1 knows no lanes. */
function lanesOf(parts: readonly KltPart[]): Lanes {
  const sequences: { bank: TableBank; length: number }[] = [];
  for (const { model, transform } of parts) {
    if (!(model instanceof TableBank)) return 1;
    sequences.push({ bank: model, length: vectorsOf(transform.layout) * transform.components });
  }
  return lanesFor(sequences);
}

/**
 * The Karhunen-Loeve transform of each token or channel vector, one quantization step, an entropy model for each tensor, and one
 * rANS stream over all tensors of the feature. `version` is the codec file's: 1 works in float64 with one state.
 */
export function kltBody(features: readonly FeatureTensor[], parts: readonly KltPart[], version: 1 | 2): CodecBody {
  const lanes = version === 1 ? 1 : lanesOf(parts);
  const [forward, backward] = version === 1 ? [analyzeV1, synthesizeV1] : [analyze, synthesize];
  const banks = parts.map(({ model }) => model).filter((model) => model instanceof TableBank);
  const onlyBanks = banks.length === parts.length;
  const sequences = (integers: readonly Int32Array[]) => integers.map((values, i) => ({ bank: banks[i], values }));

  const analysis = (given: Parameters<CodecBody['encode']>[0]): Int32Array[] =>
    featureValues(features, given, true).map((values, i) => forward(parts[i].transform, values, parts[i].step));

  const decodeIntegers = (body: Uint8Array): Int32Array[] => {
    const integers = parts.map(({ transform }) => new Int32Array(vectorsOf(transform.layout) * transform.components));
    if (onlyBanks) {
      decodeSequences(body, sequences(integers), lanes);
    } else {
      const reader = new StreamReader(body);
      for (const [i, { model }] of parts.entries()) model.code(reader, integers[i]);
      reader.finish();
    }
    return integers;
  };

  return {
    encode(given) {
      const integers = analysis(given);
      if (onlyBanks) return encodeSequences(sequences(integers), lanes);
      const writer = new StreamWriter();
      for (const [i, { model }] of parts.entries()) model.code(writer, integers[i]);
      return writer.finish();
    },
    decode(body) {
      const integers = decodeIntegers(body);
      return featureTensors(
        features,
        parts.map((part, i) => backward(part.transform, integers[i], part.step)),
      );
    },
    idealBits(given) {
      const integers = analysis(given);
      return parts.reduce((bits, { model }, i) => bits + modelCost(model, integers[i]) / COST_PER_BIT, 0);
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
