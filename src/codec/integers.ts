import {
  COST_PER_BIT,
  decodeSequences,
  type EntropyModel,
  encodeSegments,
  modelCost,
  modelCosts,
  type Segment,
  segmentsOf,
  splitSegments,
} from '../entropy/index.ts';
import type { ByteItem } from './codec.ts';

/** Vectors of integers in a body, and what gives them their probabilities. */
export interface IntegerPart {
  /** As `inspect` names it. */
  readonly name: string;
  readonly vectors: number;
  readonly model: EntropyModel;
}

/** Integers of the vectors of a part from number `from` on. */
export interface IntegerRange {
  readonly part: number;
  readonly from: number;
  readonly integers: Int32Array;
}

/** The integers of several parts as a body: one rANS stream over all of them, or several where they are many megabytes. */
export interface IntegerCoder {
  /** Streams of a body; the same for every packet. */
  readonly segments: number;
  /** Integers of each part, vector after vector, to a body. */
  encode(integers: readonly Int32Array[]): Uint8Array;
  /** The streams of a body, as views. Throws `PACKET_CORRUPT`. */
  split(body: Uint8Array): Uint8Array[];
  /** What stream number `segment` holds. Throws `PACKET_CORRUPT`. */
  decode(segment: number, stream: Uint8Array): IntegerRange[];
  /** Bits that the models' own probabilities ask for. */
  idealBits(integers: readonly Int32Array[]): number;
  /** Bytes of a body by part and octave of components. Throws `PACKET_CORRUPT`. */
  itemize(body: Uint8Array): ByteItem[];
}

/** `lanes` 1 is for codec files of version 1, whose bodies are one stream with one state however long they are. */
export function integerCoder(parts: readonly IntegerPart[], lanes?: 1): IntegerCoder {
  const segments: readonly Segment[] =
    lanes === 1
      ? [{ ranges: parts.map(({ vectors }, part) => ({ part, from: 0, to: vectors })), lanes }]
      : segmentsOf(parts.map(({ model, vectors }) => ({ model, length: vectors * model.components })));

  const decode = (segment: number, stream: Uint8Array): IntegerRange[] => {
    const { ranges, lanes } = segments[segment];
    const sequences = ranges.map(({ part, from, to }) => {
      const { model } = parts[part];
      return { model, values: new Int32Array((to - from) * model.components) };
    });
    decodeSequences(stream, sequences, lanes);
    return ranges.map(({ part, from }, i) => ({ part, from, integers: sequences[i].values }));
  };
  const split = (body: Uint8Array): Uint8Array[] => splitSegments(body, segments);

  return {
    segments: segments.length,
    encode: (integers) =>
      encodeSegments(
        parts.map(({ model }, i) => ({ model, values: integers[i] })),
        segments,
      ),
    split,
    decode,
    idealBits: (integers) =>
      parts.reduce((bits, { model }, i) => bits + modelCost(model, integers[i]) / COST_PER_BIT, 0),
    itemize(body) {
      const costs = parts.map(({ model }) => new Float64Array(model.components));
      for (const [s, stream] of split(body).entries()) {
        for (const { part, integers } of decode(s, stream)) {
          const { model } = parts[part];
          for (const [c, cost] of modelCosts(model, integers, model.components).entries()) costs[part][c] += cost;
        }
      }
      const items: ByteItem[] = [];
      for (const [i, { name }] of parts.entries()) {
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
