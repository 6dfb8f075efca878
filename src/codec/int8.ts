import { deflateSync } from 'fflate';
import { Z_FINISH, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2 } from 'pako';
import { bytesToFloat32, float32ToBytes } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';

/** Most that deflate may blow its input up: stored blocks of 65,535 bytes cost 5 bytes each, and some slack. */
const deflateBound = (length: number): number => length + 5 * Math.ceil(length / 16_383) + 16;
/** Most that a byte of deflate can become: four times a match of 258 bytes, in 2 bits each. */
const DEFLATE_RATIO = 1032;
/** Window of 32 KiB, negative for a stream without header, as zlib counts. */
const RAW_WINDOW = -15;

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
 * Inflates a stream that must give exactly `length` bytes and must end where its bytes do. By zlib's own algorithm, which refuses
 * codes that cannot be before it builds a table: each block costs a few microseconds at most, and a block has 10 bits at least, so time is
 * bounded by the bytes of the stream and by `length` (fflate takes 30 ms for a block of 36 bytes whose codes overlap). The output has
 * room for `length` bytes only, so a stream that unfolds a thousandfold costs no more than an honest one. Throws `PACKET_CORRUPT`.
 */
function inflateExactly(stream: Uint8Array, length: number): Uint8Array {
  const state = new ZStream();
  zlibInflateInit2(state, RAW_WINDOW);
  state.input = stream;
  state.avail_in = stream.length;
  state.output = new Uint8Array(length);
  state.avail_out = length;
  const status = zlibInflate(state, Z_FINISH);
  if (status !== Z_STREAM_END || state.avail_out !== 0 || state.avail_in !== 0) {
    const why =
      status === Z_STREAM_END
        ? `it gives ${state.total_out}, with ${state.avail_in} bytes left over`
        : state.msg || (state.avail_out === 0 ? 'it gives too many bytes' : 'it is cut off');
    throw new IsthmusError('PACKET_CORRUPT', `a deflate stream does not hold exactly ${length} bytes: ${why}`);
  }
  return state.output;
}
