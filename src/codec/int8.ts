import { deflateSync, Inflate, inflateSync } from 'fflate';
import { bytesToFloat32, float32ToBytes } from '../bytes.ts';
import { IsthmusError, messageOf } from '../errors.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';

/** Most that deflate may blow its input up: stored blocks of 65,535 bytes cost 5 bytes each, and some slack. */
const deflateBound = (length: number): number => length + 5 * Math.ceil(length / 16_383) + 16;
/** Most that a byte of deflate can become: four times a match of 258 bytes, in 2 bits each. */
const DEFLATE_RATIO = 1032;
/** Bytes of a deflate stream that are inflated at once: at most 8 MB of output before a bomb is noticed. */
const PIECE = 8192;

/**
 * The plain way: each tensor as integers from -levels to levels under its own scale (its largest magnitude), all of them deflated
 * (RFC 1951). Body: a float32 scale a tensor, then the deflate stream. `levels` is 1 to 127.
 */
export function int8DeflateBody(features: readonly FeatureTensor[], levels: number): CodecBody {
  const lengths = featureElements(features);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const head = 4 * features.length;

  const integers = (body: Uint8Array): { scales: Float32Array; values: Int8Array } => {
    const deflated = body.length - head;
    if (deflated * DEFLATE_RATIO < total || deflated > deflateBound(total)) {
      throw new IsthmusError(
        'PACKET_CORRUPT',
        `an int8-deflate body of ${total} values cannot have ${body.length} bytes`,
      );
    }
    const scales = bytesToFloat32(body.subarray(0, head));
    const values = new Int8Array(inflateExactly(body.subarray(head), total).buffer);
    let largest = 0;
    for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
    if (!scales.every((scale) => scale >= 0 && scale < Infinity) || largest > levels) {
      throw new IsthmusError('PACKET_CORRUPT', `an int8-deflate body holds a scale or an integer out of range`);
    }
    return { scales, values };
  };

  return {
    encode(given) {
      const scales = new Float32Array(features.length);
      const integers = new Int8Array(total);
      let at = 0;
      for (const [i, values] of featureValues(features, given, true).entries()) {
        let largest = 0;
        for (let j = 0; j < values.length; j++) largest = Math.max(largest, Math.abs(values[j]));
        scales[i] = largest / levels;
        for (let j = 0; j < values.length; j++) {
          integers[at++] = scales[i] > 0 ? Math.max(-levels, Math.min(levels, Math.round(values[j] / scales[i]))) : 0;
        }
      }
      const deflated = deflateSync(new Uint8Array(integers.buffer), { level: 9 });
      const body = new Uint8Array(head + deflated.length);
      body.set(float32ToBytes(scales));
      body.set(deflated, head);
      return body;
    },
    decode(body) {
      const { scales, values } = integers(body);
      let at = 0;
      const floats = lengths.map((length, i) => {
        const part = new Float32Array(length);
        for (let j = 0; j < length; j++) part[j] = values[at++] * scales[i];
        return part;
      });
      return featureTensors(features, floats);
    },
    idealBits: () => null,
    itemize: (body) => [
      { what: 'scales', bytes: head },
      { what: 'deflated integers', bytes: body.length - head },
    ],
  };
}

/**
 * Inflates a stream that must give exactly `length` bytes and must end where its bytes do: without its last byte it does
 * not inflate. It is taken a piece at a time and dropped where it gives too much, so that a stream that unfolds a
 * thousandfold costs no more time and memory than an honest one. Throws `PACKET_CORRUPT`.
 */
function inflateExactly(stream: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  const inflate = new Inflate((piece) => {
    if (at + piece.length > length) throw new Error('it gives too many bytes');
    out.set(piece, at);
    at += piece.length;
  });
  let problem: unknown;
  try {
    for (let from = 0; from < stream.length; from += PIECE) {
      inflate.push(stream.subarray(from, from + PIECE), from + PIECE >= stream.length);
    }
  } catch (error) {
    problem = error;
  }
  if (problem !== undefined || at !== length || endsEarly(stream, length)) {
    throw new IsthmusError(
      'PACKET_CORRUPT',
      `a deflate stream does not hold exactly ${length} bytes${problem === undefined ? '' : `: ${messageOf(problem)}`}`,
      { cause: problem },
    );
  }
  return out;
}

/** Whether a stream that gives `length` bytes gives them without its last byte too, which then is none of its own. */
function endsEarly(stream: Uint8Array, length: number): boolean {
  try {
    inflateSync(stream.subarray(0, -1), { out: new Uint8Array(length + 1) });
    return true;
  } catch {
    return false;
  }
}
