import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { int8DeflateCodec } from '../../src/codec/index.ts';
import { sealPacket } from '../../src/packet/index.ts';
import { codeOf } from '../code-of.ts';

const codecOf = (length: number) =>
  int8DeflateCodec({ features: [{ name: 'f', dtype: 'float32', shape: [1, length] }] });
const packetOf = (length: number, stream: Uint8Array) =>
  sealPacket(codecOf(length).id, Uint8Array.from([0, 0, 128, 63, ...stream]));

/** Integers that deflate in blocks of all kinds: runs, noise, repeats. */
const integers = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.integer({ min: -127, max: 127 }), fc.integer({ min: 1, max: 4000 }))
        .map(([v, n]) => new Array(n).fill(v)),
      fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 1, maxLength: 3000 }),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => Int8Array.from(parts.flat()));

describe('inflating', () => {
  it('gives what zlib deflated, at every level and strategy', () => {
    const options = fc.record({ level: fc.integer({ min: 0, max: 9 }), strategy: fc.integer({ min: 0, max: 4 }) });
    fc.assert(
      fc.property(integers, options, (values, options) => {
        const [{ data }] = codecOf(values.length).decode(
          packetOf(values.length, deflateRawSync(new Uint8Array(values.buffer), options)),
        );
        expect([...(data as Float32Array)]).toEqual([...values]);
      }),
      { seed: 31, numRuns: 150 },
    );
  });

  it('refuses a stream cut off or continued, and survives one changed anywhere', () => {
    fc.assert(
      fc.property(integers, fc.nat(), fc.integer({ min: 1, max: 255 }), (values, at, bits) => {
        const stream = deflateRawSync(new Uint8Array(values.buffer));
        const codec = codecOf(values.length);
        const decode = (bytes: Uint8Array) => codeOf(() => codec.decode(packetOf(values.length, bytes)));
        expect(decode(stream.subarray(0, at % stream.length))).toBe('PACKET_CORRUPT');
        expect(decode(Buffer.concat([stream, Buffer.of(bits)]))).toBe('PACKET_CORRUPT');
        const damaged = Uint8Array.from(stream);
        damaged[at % stream.length] ^= bits;
        expect(decode(damaged)).toMatch(/^(none|PACKET_CORRUPT)$/);
      }),
      { seed: 32, numRuns: 300 },
    );
  });

  it('stops at once where a stream unfolds to more than it may', () => {
    const length = 40_000;
    const bomb = deflateRawSync(new Uint8Array(30_000_000), { level: 9 });
    const codec = codecOf(length);
    expect(() => codec.decode(packetOf(length, bomb))).toThrow(/too many/);
  });

  it('refuses Huffman codes that overlap before it builds a table of them', () => {
    // A dynamic block of 255 codes of 1 bit and one of 15, then an empty stored block: 36 bytes that took fflate 30 ms.
    const block = Buffer.from('04e005000000000010e5ffffffffffffffffffffffffffffffffffffffff1f0000000000', 'hex');
    const length = 40_000;
    const stream = Buffer.concat(new Array<Buffer>(1000).fill(block));
    expect(() => codecOf(length).decode(packetOf(length, stream))).toThrow(/invalid literal\/lengths set/);
  });

  it('refuses a stored block whose length and its complement differ', () => {
    expect(() => codecOf(1).decode(packetOf(1, Uint8Array.of(1, 1, 0, 0, 0, 7)))).toThrow(/invalid stored block/);
    expect(codeOf(() => codecOf(1).decode(packetOf(1, Uint8Array.of(1, 1, 0, 254, 255, 7))))).toBe('none');
  });
});
