import { IsthmusError } from '../errors.ts';
import { COST_PER_BIT } from './cost.ts';
import { LANES } from './lanes.ts';
import type { EntropyModel } from './model.ts';
import { encodeSequences, expectedCost, type Lanes, lanesFor, type Sequence } from './sequence.ts';
import { TableBank } from './tables.ts';

/** Values, and bits that its tables expect of them, for which a part gets a segment: work for milliseconds, and bytes beside which those of a stream's own states are few. */
const SEGMENT_VALUES = 2 ** 20;
const SEGMENT_BITS = 2 ** 19;

/** Vectors `from` to `to` - 1 of a part. */
export interface VectorRange {
  readonly part: number;
  readonly from: number;
  readonly to: number;
}

/** What one stream of a body holds; each is decoded without the others. */
export interface Segment {
  readonly ranges: readonly VectorRange[];
  readonly lanes: Lanes;
}

/**
 * The segments of a body, in order: one stream for all parts, unless a part has at least 2 x 2^20 values of static tables that expect
 * at least 2 x 2^19 bits. Then each part has streams of its own, one for each 2^20 values and 2^19 bits. A rule of integers that both
 * sides know, as {@link lanesFor} is.
 */
export function segmentsOf(parts: readonly { readonly model: EntropyModel; readonly length: number }[]): Segment[] {
  const counts = parts.map(({ model, length }) => segmentCount(model, length));
  if (counts.every((count) => count === 1)) {
    const ranges = parts.map(({ model, length }, part) => ({ part, from: 0, to: length / model.components }));
    return [{ ranges, lanes: lanesFor(parts) }];
  }
  return parts.flatMap(({ model, length }, part) => {
    const vectors = length / model.components;
    return Array.from({ length: counts[part] }, (_, s) => {
      const from = startOf(s, counts[part], vectors);
      const to = startOf(s + 1, counts[part], vectors);
      return { ranges: [{ part, from, to }], lanes: lanesFor([{ model, length: (to - from) * model.components }]) };
    });
  });
}

function segmentCount(model: EntropyModel, length: number): number {
  if (!(model instanceof TableBank)) return 1;
  const vectors = length / model.size;
  const byBits = Math.floor((vectors * expectedCost(model)) / (SEGMENT_BITS * COST_PER_BIT));
  // So that none is empty where vectors are few and long.
  const most = Math.floor(vectors / LANES);
  return Math.max(1, Math.min(Math.floor(length / SEGMENT_VALUES), byBits, most));
}

/** Segments start at multiples of 32 vectors, so that only the last has lanes to spare. */
function startOf(segment: number, count: number, vectors: number): number {
  if (segment === count) return vectors;
  const start = Math.floor((segment * vectors) / count);
  return start - (start % LANES);
}

/**
 * The body of `sequences`, one a part: lengths in bytes of all streams but the last, then the streams (docs/packet.md, "Restart points").
 * Throws `INVALID_ARGUMENT`.
 */
export function encodeSegments(sequences: readonly Sequence[], segments: readonly Segment[]): Uint8Array {
  const streams = segments.map(({ ranges, lanes }) => {
    const some = ranges.map(({ part, from, to }) => {
      const { model, values } = sequences[part];
      return { model, values: values.subarray(from * model.components, to * model.components) };
    });
    return encodeSequences(some, lanes);
  });
  const first = 4 * (streams.length - 1);
  const body = new Uint8Array(streams.reduce((sum, { length }) => sum + length, first));
  const view = new DataView(body.buffer);
  let at = first;
  for (const [i, stream] of streams.entries()) {
    if (i < streams.length - 1) view.setUint32(4 * i, stream.length, true);
    body.set(stream, at);
    at += stream.length;
  }
  return body;
}

/** The streams of a body, as views. Throws `PACKET_CORRUPT` where its lengths are not those of such streams; nothing is allocated by them. */
export function splitSegments(body: Uint8Array, segments: readonly Segment[]): Uint8Array[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const last = segments.length - 1;
  let at = 4 * last;
  if (at > body.length) {
    throw new IsthmusError(
      'PACKET_CORRUPT',
      `a body of ${segments.length} segments starts with ${at} bytes of lengths; it has ${body.length} bytes`,
    );
  }
  return segments.map(({ lanes }, i) => {
    const left = body.length - at;
    const length = i < last ? view.getUint32(4 * i, true) : left;
    if (length > left || length < 4 * lanes || length % 2 !== 0) {
      throw new IsthmusError(
        'PACKET_CORRUPT',
        `segment ${i + 1} of ${segments.length} has ${length} bytes: an even number from ${4 * lanes} to the ${left} that are left is right`,
      );
    }
    at += length;
    return body.subarray(at - length, at);
  });
}
