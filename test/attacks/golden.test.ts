import { describe, expect, it } from 'vitest';
import { writeArchive } from '../../src/codec/archive.ts';
import { sealPacket } from '../../src/packet/index.ts';
import { Dice } from './dice.ts';
import { cuts, flips } from './flips.ts';
import { goldenSubjects } from './golden.ts';
import { judgeCodecFile, judgePacket, type Outcome } from './judge.ts';
import { archiveOf, sha256 } from './mutate.ts';

/*
 * Every single bit and every cut of everything in fixtures/golden; of files above 4 KiB, those of both ends and some between
 * (flips.ts).
 */

/** Of the flips in codec files that take long to read and use, one in so many is tried: odd, so that all bits of a byte have their turn. */
const strideOf = (bytes: number): number => (bytes > 2 ** 16 ? 61 : bytes > 2 ** 12 ? 7 : 1);

Error.stackTraceLimit = 0;
const subjects = goldenSubjects();
const packets = subjects.flatMap((subject) => subject.packets.map((golden) => ({ ...golden, subject })));

/** What docs/packet.md says of a packet with one bit flipped. */
const ofFlip = (bit: number): Outcome => (bit >= 4 && bit < 8 ? 'PACKET_VERSION' : 'PACKET_CORRUPT');

/** What it says of a packet of which `left` of `length` bytes are left. */
function ofCut(left: number, length: number): Outcome {
  if (left === 0) return 'PACKET_EMPTY';
  return left >= 9 && (length - left) % 16 === 0 ? 'PACKET_CORRUPT' : 'PACKET_TRUNCATED';
}

describe('golden packets', () => {
  it('are there, of every kind, and hold as they are', () => {
    expect(new Set(packets.map(({ subject }) => subject.codec.kind)).size).toBeGreaterThanOrEqual(4);
    for (const { subject, packet } of packets) expect(judgePacket(subject, packet)).toBe('accepted');
  });

  it.each(packets)('$file: every flipped bit is noticed, by the right code', ({ subject, packet }) => {
    for (const { bit, flipped } of flips(packet)) {
      const outcome = judgePacket(subject, flipped);
      if (outcome !== ofFlip(bit)) expect.fail(`bit ${bit}: ${outcome}`);
    }
  });

  it.each(packets)('$file: every cut is noticed, by the right code', ({ subject, packet }) => {
    for (const cut of cuts(packet)) {
      const outcome = judgePacket(subject, cut);
      if (outcome !== ofCut(cut.length, packet.length)) expect.fail(`${cut.length} bytes: ${outcome}`);
    }
  });

  it.each(packets)(
    '$file: with a right checksum over every flipped bit and every cut, refused or in form',
    (golden) => {
      const { subject, body } = golden;
      for (const { flipped } of flips(body)) judgePacket(subject, sealPacket(subject.codec.id, flipped));
      for (const cut of cuts(body)) {
        const outcome = judgePacket(subject, sealPacket(subject.codec.id, cut));
        if (outcome !== 'PACKET_CORRUPT') expect.fail(`${cut.length} bytes: ${outcome}`);
      }
      const longer = new Uint8Array(body.length + 1);
      longer.set(body);
      expect(judgePacket(subject, sealPacket(subject.codec.id, longer))).toBe('PACKET_CORRUPT');
    },
  );
});

describe('golden codec files', () => {
  it.each(subjects)('$file: every flipped bit and every cut is refused', ({ bytes }) => {
    for (const { bit, flipped } of flips(bytes)) {
      const outcome = judgeCodecFile(new Dice(1, bit), flipped);
      if (outcome !== 'CODEC_INVALID') expect.fail(`bit ${bit}: ${outcome}`);
    }
    for (const cut of cuts(bytes)) expect(judgeCodecFile(new Dice(1, cut.length), cut)).toBe('CODEC_INVALID');
  });

  it.each(subjects)('$file: with right hashes over every flipped bit, refused or works', ({ codec }) => {
    const json = new TextDecoder().decode(codec.entries.get('codec.json'));
    const rest = [...codec.entries].filter(([name]) => name !== 'codec.json');
    const stride = strideOf(rest.reduce((sum, [, bytes]) => sum + bytes.length, 0));
    for (const [at, [name, bytes]] of rest.entries()) {
      for (const { bit, flipped } of flips(bytes)) {
        if (bit % stride !== 0) continue;
        const definition = JSON.parse(json);
        definition.entries[name] = sha256(flipped);
        judgeCodecFile(new Dice(2, bit), archiveOf(definition, rest.with(at, [name, flipped])));
      }
    }
    for (const { bit, flipped } of flips(codec.entries.get('codec.json') as Uint8Array)) {
      if (bit % stride !== 0) continue;
      judgeCodecFile(new Dice(3, bit), writeArchive(new Map([['codec.json', flipped], ...rest])));
    }
  });
});
