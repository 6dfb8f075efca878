import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32, crc32c } from '../../src/crc.ts';
import { FRAME_BYTES, openPacket, packetBody, sealPacket } from '../../src/packet/index.ts';
import { codeOf } from '../code-of.ts';

const text = (s: string) => new TextEncoder().encode(s);

describe('crc', () => {
  // The check value of each polynomial in the catalogue of parametrised CRC algorithms (CRC-32/ISO-HDLC, CRC-32/ISCSI).
  it('gives the published check values', () => {
    expect(crc32(text('123456789'))).toBe(0xcbf43926);
    expect(crc32c(text('123456789'))).toBe(0xe3069283);
  });
  it('goes on from a previous value', () => {
    expect(crc32c(text('6789'), crc32c(text('12345')))).toBe(crc32c(text('123456789')));
  });
});

describe('packet', () => {
  const bodies = fc.uint8Array({ maxLength: 300 });

  it('gives back its body, for 9 bytes', () => {
    fc.assert(
      fc.property(bodies, fc.nat(0xffffffff), (body, codec) => {
        const packet = sealPacket(codec, body);
        expect(packet.length).toBe(body.length + FRAME_BYTES);
        expect(packetBody(packet, codec)).toEqual(body);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('notices every single flipped bit', () => {
    const packet = sealPacket(0xdeadbeef, text('some body of no great length'));
    for (let bit = 0; bit < packet.length * 8; bit++) {
      const damaged = packet.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      expect(
        codeOf(() => packetBody(damaged, 0xdeadbeef)),
        `bit ${bit}`,
      ).toBe(bit >= 4 && bit < 8 ? 'PACKET_VERSION' : 'PACKET_CORRUPT');
    }
  });

  it('notices every truncation, and calls 15 of 16 by their name', () => {
    const packet = sealPacket(1, text('a body that is somewhat longer than sixteen bytes'));
    expect(codeOf(() => openPacket(new Uint8Array()))).toBe('PACKET_EMPTY');
    for (let length = 1; length < packet.length; length++) {
      const lost = packet.length - length;
      expect(
        codeOf(() => openPacket(packet.subarray(0, length))),
        `${length} bytes`,
      ).toBe(length >= FRAME_BYTES && lost % 16 === 0 ? 'PACKET_CORRUPT' : 'PACKET_TRUNCATED');
    }
  });

  it('tells a foreign codec, a future version and a packet above the cap', () => {
    const packet = sealPacket(1, text('body'));
    expect(codeOf(() => packetBody(packet, 2))).toBe('PACKET_FOREIGN');
    const future = packet.slice();
    future[0] = 0x20 | (future[0] & 15);
    expect(codeOf(() => openPacket(future))).toBe('PACKET_VERSION');
    expect(codeOf(() => openPacket(packet, { packetBytes: 5 }))).toBe('LIMIT_EXCEEDED');
  });

  it('throws only IsthmusErrors on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(codeOf(() => openPacket(bytes))).not.toBe('none');
      }),
      { seed: 2, numRuns: 5000 },
    );
  });
});
