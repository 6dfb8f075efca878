import { RansDecoder, RansEncoder, type TableBank } from '../entropy/index.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureTensors, featureValues } from './feature.ts';
import { quantize } from './quantizer.ts';
import { analyze, type LinearTransform, synthesize, vectorsOf } from './transform.ts';

/** What codes one tensor of a feature: a transform and a table for each of its components. */
export interface KltPart {
  readonly transform: LinearTransform;
  /** Quantization step of all components, in the feature's own units. */
  readonly step: number;
  readonly tables: TableBank;
}

/**
 * The Karhunen-Loeve transform of each token or channel vector, one quantization step, a static table a component, and one
 * rANS stream over all tensors of the feature, vector by vector.
 */
export function kltBody(features: readonly FeatureTensor[], parts: readonly KltPart[]): CodecBody {
  const analysis = (part: KltPart, values: Float32Array): Int32Array => {
    const coefficients = analyze(part.transform, values, part.step);
    const integers = new Int32Array(coefficients.length);
    quantize(coefficients, integers);
    return integers;
  };

  const decodeIntegers = (body: Uint8Array): Int32Array[] => {
    const decoder = new RansDecoder(body);
    const integers = parts.map(({ transform, tables }) => {
      const values = new Int32Array(vectorsOf(transform.layout) * transform.components);
      tables.decode(decoder, values);
      return values;
    });
    decoder.finish();
    return integers;
  };

  return {
    encode(given) {
      const values = featureValues(features, given, true);
      const encoder = new RansEncoder();
      for (let i = parts.length - 1; i >= 0; i--) parts[i].tables.encode(analysis(parts[i], values[i]), encoder);
      return encoder.finish();
    },
    decode(body) {
      const integers = decodeIntegers(body);
      return featureTensors(
        features,
        parts.map((part, i) => synthesize(part.transform, integers[i], part.step)),
      );
    },
    idealBits(given) {
      const values = featureValues(features, given, true);
      return parts.reduce((bits, part, i) => bits + part.tables.bits(analysis(part, values[i])), 0);
    },
    itemize(body) {
      const items: { what: string; bytes: number }[] = [];
      for (const [i, values] of decodeIntegers(body).entries()) {
        const bits = parts[i].tables.bitsByTable(values);
        for (const [from, to] of octaves(bits.length)) {
          const sum = bits.subarray(from, to).reduce((a, b) => a + b, 0);
          items.push({ what: `${features[i].name}, components ${from} to ${to - 1}`, bytes: sum / 8 });
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
