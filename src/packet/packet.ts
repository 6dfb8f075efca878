import { crc32c } from '../crc.ts';
import { IsthmusError } from '../errors.ts';
import { type Limits, limitsOf, within } from '../limits.ts';

/*
 * The frame of a packet (docs/packet.md):
 *   byte 0      version in the high four bits, the packet's length modulo 16 in the low four
 *   bytes 1-4   codec identity, little-endian
 *   bytes 5-8   CRC-32C of bytes 0-4 and of the body, little-endian
 *   bytes 9-    body, in the codec's own form
 */
export const PACKET_VERSION = 1;
export const FRAME_BYTES = 9;

/** What stands in a packet's frame. */
export interface Frame {
  readonly version: number;
  /** Identity of the codec that made it: an unsigned 32-bit number. */
  readonly codec: number;
  readonly checksum: number;
  /** A view of the bytes after the frame. */
  readonly body: Uint8Array;
}

/** A packet that carries `body` for the codec of identity `codec`. */
export function sealPacket(codec: number, body: Uint8Array): Uint8Array {
  const packet = new Uint8Array(FRAME_BYTES + body.length);
  const view = new DataView(packet.buffer);
  view.setUint8(0, (PACKET_VERSION << 4) | (packet.length & 15));
  view.setUint32(1, codec, true);
  packet.set(body, FRAME_BYTES);
  view.setUint32(5, checksumOf(packet), true);
  return packet;
}

/**
 * Checks a packet and gives its frame. Throws `PACKET_EMPTY`, `PACKET_VERSION`, `PACKET_TRUNCATED` (15 of 16 truncations show
 * in the length, the others in the checksum), `PACKET_CORRUPT`, `LIMIT_EXCEEDED`.
 */
export function openPacket(packet: Uint8Array, limits?: Partial<Limits>): Frame {
  if (!(packet instanceof Uint8Array)) throw new IsthmusError('INVALID_ARGUMENT', 'a packet is a Uint8Array');
  if (packet.length === 0)
    throw new IsthmusError('PACKET_EMPTY', 'the packet has no bytes; nothing was received or read');
  within(limitsOf(limits), 'packetBytes', packet.length, 'packet');
  const version = packet[0] >>> 4;
  if (version !== PACKET_VERSION) {
    throw new IsthmusError(
      'PACKET_VERSION',
      `the packet has version ${version}, this isthmus reads ${PACKET_VERSION}: update it, or the packet is no isthmus packet`,
    );
  }
  if (packet.length < FRAME_BYTES) {
    throw new IsthmusError(
      'PACKET_TRUNCATED',
      `the packet has ${packet.length} bytes, its frame alone has ${FRAME_BYTES}`,
    );
  }
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const checksum = view.getUint32(5, true);
  if (checksumOf(packet) !== checksum) {
    if ((packet[0] & 15) !== (packet.length & 15) && !onlyLengthDamaged(packet, checksum)) {
      throw new IsthmusError(
        'PACKET_TRUNCATED',
        `the packet has ${packet.length} bytes, another number than was sent: cut off, or run together with others; ask for it again`,
      );
    }
    throw new IsthmusError(
      'PACKET_CORRUPT',
      'the packet does not match its checksum: damaged on its way; ask for it again',
    );
  }
  if ((packet[0] & 15) !== (packet.length & 15)) {
    throw new IsthmusError('PACKET_CORRUPT', 'the packet names another length than it has');
  }
  return { version, codec: view.getUint32(1, true), checksum, body: packet.subarray(FRAME_BYTES) };
}

/** The body of a packet made by the codec of identity `codec`. Throws as {@link openPacket} and `PACKET_FOREIGN`. */
export function packetBody(packet: Uint8Array, codec: number, limits?: Partial<Limits>): Uint8Array {
  const frame = openPacket(packet, limits);
  if (frame.codec !== codec) {
    throw new IsthmusError(
      'PACKET_FOREIGN',
      `the packet was made by codec ${identity(frame.codec)}, this codec is ${identity(codec)}; use the codec that made it`,
    );
  }
  return frame.body;
}

/** A codec's identity as people read it: 8 hexadecimal digits. */
export function identity(codec: number): string {
  return codec.toString(16).padStart(8, '0');
}

function checksumOf(packet: Uint8Array): number {
  return crc32c(packet.subarray(FRAME_BYTES), crc32c(packet.subarray(0, 5)));
}

/** Whether the packet is whole but for the length in its first byte. */
function onlyLengthDamaged(packet: Uint8Array, checksum: number): boolean {
  const first = new Uint8Array([(packet[0] & 0xf0) | (packet.length & 15), ...packet.subarray(1, 5)]);
  return crc32c(packet.subarray(FRAME_BYTES), crc32c(first)) === checksum;
}
