import { bytesToFloat32, float32ToBytes } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import { floatToHalf, halfToFloat } from '../tensor.ts';
import type { CodecBody, FeatureTensor } from './codec.ts';
import { featureElements, featureTensors, featureValues } from './feature.ts';

/** Every value as it is, 4 or 2 bytes, little-endian. float16 saturates to infinity past 65504, as IEEE 754 rounds. */
export function rawBody(kind: 'raw-f32' | 'raw-f16', features: readonly FeatureTensor[]): CodecBody {
  const lengths = featureElements(features);
  const width = kind === 'raw-f32' ? 4 : 2;
  const total = lengths.reduce((sum, length) => sum + length, 0) * width;
  return {
    encode(given) {
      const body = new Uint8Array(total);
      let at = 0;
      for (const values of featureValues(features, given, false)) {
        body.set(width === 4 ? float32ToBytes(values) : halfToBytes(floatToHalf(values)), at);
        at += values.length * width;
      }
      return body;
    },
    decode(body) {
      if (body.length !== total) {
        throw new IsthmusError('PACKET_CORRUPT', `a ${kind} body has ${total} bytes, this one ${body.length}`);
      }
      let at = 0;
      const values = lengths.map((length) => {
        const bytes = body.subarray(at, at + length * width);
        at += bytes.length;
        return width === 4 ? bytesToFloat32(bytes) : halfToFloat(bytesToHalf(bytes));
      });
      return featureTensors(features, values);
    },
    idealBits: () => null,
    itemize: () => features.map((feature, i) => ({ what: `values of ${feature.name}`, bytes: lengths[i] * width })),
  };
}

function halfToBytes(bits: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(bits.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < bits.length; i++) view.setUint16(i * 2, bits[i], true);
  return bytes;
}

function bytesToHalf(bytes: Uint8Array): Uint16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = new Uint16Array(bytes.length >>> 1);
  for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(i * 2, true);
  return bits;
}
