import { describe, expect, it } from 'vitest';
import { type Codec, readCodec } from '../../src/codec/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { sealPacket } from '../../src/packet/index.ts';
import { decodePacket, openCodec, Refused } from '../codec/second-decoder.ts';
import { makeCase, runCase, targetsOf } from './cases.ts';
import { Dice } from './dice.ts';
import { goldenSubjects, type Subject } from './golden.ts';
import { judgePacket, mutateBody, type Outcome, Violation } from './judge.ts';
import { mutateContent } from './mutate.ts';

Error.stackTraceLimit = 0;
const subjects = goldenSubjects();
const targets = targetsOf(subjects);

describe('attacks made from the golden files', () => {
  it('are refused or in form, within the bounds of memory, on every surface', () => {
    const seen = new Map<string, Map<Outcome, number>>();
    for (let number = 0; number < 300_000; number++) {
      const attack = makeCase(targets, 10, number);
      let outcome: Outcome;
      try {
        // Time is the soak's: a test on a busy machine says nothing of it.
        outcome = runCase({ ...attack, bounds: { ...attack.bounds, ms: Infinity } }).outcome;
      } catch (error) {
        const bytes = Buffer.from(attack.bytes).toString('base64');
        throw new Error(`case ${number} (${attack.surface}, ${attack.file}, ${bytes})`, { cause: error });
      }
      const outcomes = seen.get(attack.surface) ?? new Map<Outcome, number>();
      seen.set(attack.surface, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1));
    }
    // An attack that is never taken, or always, would not reach what lies behind the first check.
    for (const [surface, outcomes] of seen) {
      const cases = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
      const accepted = outcomes.get('accepted') ?? 0;
      expect(cases, surface).toBeGreaterThan(20);
      expect(accepted, surface).toBeGreaterThan(0.001 * cases);
      expect(accepted, surface).toBeLessThan(0.8 * cases);
    }
    for (const { kind } of subjects) expect([...seen.keys()]).toContain(`packet body, ${kind}`);
    const codes = new Set([...seen.values()].flatMap((outcomes) => [...outcomes.keys()]));
    for (const code of ['EMPTY', 'VERSION', 'TRUNCATED', 'CORRUPT', 'FOREIGN'])
      expect(codes).toContain(`PACKET_${code}`);
    for (const code of ['CODEC_INVALID', 'CODEC_VERSION', 'LIMIT_EXCEEDED']) expect(codes).toContain(code);
  });

  it('are the same for the same seed and number, and others for others', () => {
    const of = (seed: number, number: number) => Buffer.from(makeCase(targets, seed, number).bytes).toString('hex');
    const first = Array.from({ length: 500 }, (_, number) => of(1, number));
    expect(Array.from({ length: 500 }, (_, number) => of(1, number))).toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(450);
    expect(first.filter((bytes, number) => bytes === of(2, number)).length).toBeLessThan(10);
  });
});

describe('the judge', () => {
  const subject = subjects.find(({ file }) => file.includes('klt-tokens')) as Subject;
  const [{ packet }] = subject.packets;
  const tensors = subject.codec.decode(packet);
  const withDecode = (decode: Codec['decode']): Subject => ({ ...subject, codec: { ...subject.codec, decode } });
  const throwing = (error: Error) =>
    withDecode(() => {
      throw error;
    });

  it.each([
    ['another error', throwing(new RangeError('x'))],
    ['a code of another reader', throwing(new IsthmusError('ONNX_INVALID', 'x'))],
    ['a code that is none', throwing(new IsthmusError('WRONG' as 'ABORTED', 'x'))],
    ['an error without a message', throwing(new IsthmusError('PACKET_CORRUPT', ''))],
    ['no tensors', withDecode(() => [])],
    ['another shape', withDecode(() => tensors.map((tensor) => ({ ...tensor, shape: [1] })))],
    ['another dtype', withDecode(() => tensors.map((tensor) => ({ ...tensor, dtype: 'float64' })))],
    [
      'too few values',
      withDecode(() => tensors.map((tensor) => ({ ...tensor, data: tensor.data.slice(1) as Float32Array }))),
    ],
    [
      'a NaN',
      withDecode(() =>
        tensors.map((tensor) => ({ ...tensor, data: new Float32Array(tensor.data.length).fill(Number.NaN) })),
      ),
    ],
    [
      'a second stream for the same integers',
      { ...subject, stream: subject.stream && { ...subject.stream, encode: () => packet } },
    ],
  ])('notices %s', (_, wrong) => {
    expect(judgePacket(subject, packet)).toBe('accepted');
    expect(() => judgePacket(wrong as Subject, packet)).toThrow(Violation);
  });

  it('notices a case that takes too long or too much', () => {
    const quiet = { surface: '', file: '', bytes: packet };
    const slow = () => {
      for (const start = performance.now(); performance.now() - start < 3; );
      return 'accepted' as const;
    };
    const kept: Uint8Array[] = [];
    const large = () => {
      kept.push(new Uint8Array(1_000_000));
      return 'accepted' as const;
    };
    const bounds = { ms: 1000, bytes: 10_000_000 };
    expect(runCase({ ...quiet, judge: slow, bounds }).ms).toBeGreaterThanOrEqual(3);
    expect(() => runCase({ ...quiet, judge: slow, bounds: { ...bounds, ms: 2 } })).toThrow(Violation);
    // Where the collector runs meanwhile, a case looks small; it does not run each time.
    const times = Array.from({ length: 8 }, () => runCase({ ...quiet, judge: large, bounds }).bytes);
    expect(Math.max(...times)).toBeGreaterThanOrEqual(1_000_000);
    expect(() => {
      for (let i = 0; i < 8; i++) runCase({ ...quiet, judge: large, bounds: { ...bounds, bytes: 900_000 } });
    }).toThrow(Violation);
  });
});

/** The second decoder is no fast one: it gets packets up to this. */
const SMALL = 1024;

describe('the second decoder', () => {
  const outcomeOf = (attempt: () => unknown): 'refused' | 'taken' => {
    try {
      attempt();
      return 'taken';
    } catch (error) {
      // zlib, by which the second decoder inflates, throws errors of its own.
      if (error instanceof IsthmusError || error instanceof Refused || 'code' in (error as Error)) return 'refused';
      throw error;
    }
  };

  const small = subjects.filter(({ packets }) => packets.some(({ packet }) => packet.length <= SMALL));
  it.each(small)('takes just the packets for $file that are taken, and reads the same values', (subject) => {
    const second = openCodec(subject.bytes);
    const seen = { refused: 0, taken: 0 };
    for (let number = 0; number < 300; number++) {
      const dice = new Dice(31, number);
      const golden = dice.pick(subject.packets);
      if (golden.packet.length > SMALL) continue;
      const body = mutateBody(dice, subject, golden, dice.pick(subject.packets).body);
      const packet = sealPacket(subject.codec.id, body);
      const outcome = outcomeOf(() => subject.codec.decode(packet));
      seen[outcome]++;
      expect(
        outcomeOf(() => decodePacket(second, packet)),
        Buffer.from(packet).toString('base64'),
      ).toBe(outcome);
      if (outcome === 'refused' || subject.stream === null) continue;
      const integers = subject.stream.decode(body).map((list) => Array.from(list, BigInt));
      expect(decodePacket(second, packet).integers).toEqual(integers);
    }
    expect(seen.refused).toBeGreaterThan(10);
    expect(seen.taken).toBeGreaterThan(10);
  });

  it('opens the codec files that are taken', () => {
    const versionOf = (codec: Codec): number =>
      JSON.parse(new TextDecoder().decode(codec.entries.get('codec.json'))).version;
    const versions = new Set(subjects.map(({ codec }) => versionOf(codec)));
    let taken = 0;
    for (let number = 0; number < 4000; number++) {
      const dice = new Dice(32, number);
      const made = mutateContent(dice, dice.pick(subjects).codec.entries, dice.pick(subjects).codec.entries);
      if (outcomeOf(() => readCodec(made)) === 'refused') continue;
      const codec = readCodec(made);
      // Other versions, which a mutant may name, are opened where a golden file has them.
      if (!versions.has(versionOf(codec))) continue;
      taken++;
      expect(openCodec(made).identity).toBe(codec.id);
    }
    expect(taken).toBeGreaterThan(500);
  });
});
