import v8 from 'node:v8';
import { sealPacket } from '../../src/packet/index.ts';
import { Dice } from './dice.ts';
import type { GoldenBytes, Subject } from './golden.ts';
import {
  judgeCodecFile,
  judgeModel,
  judgeModelStream,
  judgePacket,
  judgeTables,
  judgeTwins,
  mutateBody,
  type Outcome,
  Violation,
} from './judge.ts';
import { type SampleModel, sampleModels } from './models.ts';
import {
  mutateArchive,
  mutateBytes,
  mutateContent,
  mutateFrame,
  mutateModel,
  mutateTables,
  mutateWords,
} from './mutate.ts';
import { encodePlain, type TwinSample, twinSamples } from './twins.ts';

/** One attack: bytes, where they are read, and what must hold. */
export interface Case {
  /** What is attacked, as reports name it. */
  readonly surface: string;
  /** The golden codec file that the bytes come from or are for. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** Throws a {@link Violation} where something does not hold. */
  readonly judge: () => Outcome;
  /** Most that judging may take, however hostile the bytes: known from the codec and from their number before they are read. */
  readonly bounds: { readonly ms: number; readonly bytes: number };
}

/** Goldens, sorted for fast choices. */
export interface Targets {
  /** Subjects of at most 512 values with packets of at most 512 bytes: nearly all cases. */
  readonly small: readonly { subject: Subject; packets: readonly GoldenBytes[] }[];
  /** The others, which take a thousand times as long. */
  readonly large: readonly { subject: Subject; packets: readonly GoldenBytes[] }[];
  readonly subjects: readonly Subject[];
  readonly tables: readonly { file: string; bytes: Uint8Array; size: number }[];
  readonly models: readonly SampleModel[];
  readonly twins: readonly TwinSample[];
}

const SMALL = 512;
/** In thousandths: packets, streams and tables come before models and codec files. */
const STREAMS = 964;

export function targetsOf(subjects: readonly Subject[]): Targets {
  const packetsOf = (taken: (length: number) => boolean) =>
    subjects
      .map((subject) => ({
        subject,
        packets: subject.packets.filter(({ packet }) => taken(Math.max(packet.length, subject.values))),
      }))
      .filter(({ packets }) => packets.length > 0);
  const small = packetsOf((length) => length <= SMALL);
  const tables = subjects.flatMap(({ file, codec }) =>
    [...codec.entries]
      .filter(([name, bytes]) => name.startsWith('tables') && bytes[0] === 1)
      .map(([, bytes]) => ({ file, bytes, size: new DataView(bytes.buffer, bytes.byteOffset).getUint32(2, true) })),
  );
  // Kinds that leave little to try are taken less often.
  const weightOf = ({ kind }: Subject): number => (kind.startsWith('int8') ? 1 : kind.startsWith('raw') ? 2 : 8);
  return {
    small: small.flatMap((target) => new Array<(typeof small)[number]>(weightOf(target.subject)).fill(target)),
    large: packetsOf((length) => length > SMALL),
    subjects,
    tables,
    models: sampleModels(),
    twins: twinSamples(subjects),
  };
}

/**
 * Case `number` of `seed`: the same on every machine for the same goldens. `streams`: only what a receiver gets and what it is read with,
 * packets, streams and tables.
 */
export function makeCase(targets: Targets, seed: number, number: number, streams = false): Case {
  const dice = new Dice(seed, number);
  // In thousandths. Codec files and models cost a hundred times what a packet costs; a long run has a million of them still.
  const surface = dice.below(streams ? STREAMS : 1000);
  if (surface < 790) {
    const { subject, packets } = dice.pick(
      targets.large.length > 0 && dice.below(1024) === 0 ? targets.large : targets.small,
    );
    const golden = dice.pick(packets);
    const other = dice.pick(dice.below(2) === 0 ? packets : dice.pick(targets.small).packets);
    if (surface < 120) {
      const bytes =
        dice.below(2) === 0
          ? mutateBytes(dice, golden.packet, other.packet)
          : mutateFrame(dice, dice.below(2) === 0 ? golden.packet : other.packet);
      return packetCase('packet frame', subject, bytes);
    }
    const body = mutateBody(dice, subject, golden, other.body);
    return packetCase(`packet body, ${subject.kind}`, subject, sealPacket(subject.codec.id, body));
  }
  if (surface < 824) return twinCase(targets, dice);
  if (surface < STREAMS) {
    const { file, bytes, size } = dice.pick(targets.tables);
    const made = mutateTables(dice, bytes, dice.pick(targets.tables).bytes);
    const asked = dice.below(16) === 0 ? dice.below(8) : size;
    const judge = () => judgeTables(made, asked);
    return { surface: 'tables', file, bytes: made, judge, bounds: fileBounds(made.length) };
  }
  if (surface < 988) return modelCase(targets, dice);
  const { file, bytes, codec } = dice.pick(targets.subjects);
  const other = dice.pick(targets.subjects);
  const made =
    surface < 994
      ? mutateArchive(dice, bytes, codec.entries, other.bytes)
      : mutateContent(dice, codec.entries, other.codec.entries);
  return {
    surface: surface < 994 ? 'codec file, archive' : 'codec file, right hashes',
    file,
    bytes: made,
    judge: () => judgeCodecFile(new Dice(~seed, number), made),
    bounds: fileBounds(made.length),
  };
}

function twinCase({ twins }: Targets, dice: Dice): Case {
  const sample = dice.pick(twins);
  const { name, lanes, bank, values, stream } = sample;
  const other = dice.pick(twins).stream;
  const what = dice.below(4);
  let bytes: Uint8Array;
  if (what === 0) {
    // Other integers, far and near, and what then may be wrong with their stream.
    const changed = values.slice();
    for (let edits = 1 + dice.below(6); edits > 0; edits--) {
      changed[dice.below(values.length)] =
        dice.below(2) === 0 ? dice.int32() >> (2 + dice.below(29)) : dice.below(9) - 4;
    }
    bytes = encodePlain([bank], [changed], lanes);
    if (dice.below(2) === 0) bytes = mutateWords(dice, bytes, other);
  } else bytes = what < 3 ? mutateWords(dice, stream, other) : mutateBytes(dice, stream, other);
  const bounds = packetBounds(values.length, bytes.length);
  return {
    surface: `stream of ${lanes} lanes, twins`,
    file: name,
    bytes,
    judge: () => judgeTwins(sample, bytes),
    bounds,
  };
}

function modelCase({ models }: Targets, dice: Dice): Case {
  const sample = dice.pick(models);
  const other = dice.pick(models);
  const { name, components, values } = sample;
  if (dice.below(8) > 0) {
    const bytes =
      dice.below(2) === 0
        ? mutateWords(dice, sample.stream, other.stream)
        : mutateBytes(dice, sample.stream, other.stream);
    const bounds = packetBounds(values.length, bytes.length);
    return {
      surface: `model stream, ${name}`,
      file: name,
      bytes,
      judge: () => judgeModelStream(sample, bytes),
      bounds,
    };
  }
  const bytes = mutateModel(dice, sample.bytes, other.bytes);
  const asked = dice.below(16) === 0 ? dice.below(8) : components;
  const judge = () => judgeModel(sample, bytes, asked);
  return { surface: `model, ${name}`, file: name, bytes, judge, bounds: fileBounds(bytes.length) };
}

function packetCase(surface: string, subject: Subject, bytes: Uint8Array): Case {
  const bounds = packetBounds(subject.values, bytes.length);
  return { surface, file: subject.file, bytes, judge: () => judgePacket(subject, bytes), bounds };
}

/** A few symbols an integer, a few numbers a value; what a deflate stream needs is in the constant. */
function packetBounds(values: number, length: number): Case['bounds'] {
  return { ms: 5 + 0.001 * values, bytes: 2 ** 20 + 64 * values + 16 * length };
}

function fileBounds(length: number): Case['bounds'] {
  return { ms: 25 + 0.005 * length, bytes: 2 ** 22 + 64 * length };
}

/** What one case came to, and what it took. */
export interface Measured {
  readonly outcome: Outcome;
  readonly ms: number;
  readonly bytes: number;
}

/** Bytes in use on and off the heap of this thread; asking takes longer than most cases, so one answer serves two of them. */
function memory(): number {
  const { used_heap_size, external_memory } = v8.getHeapStatistics();
  return used_heap_size + external_memory;
}

let before = memory();
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Judges a case and holds it to its bounds: milliseconds, and bytes allocated on and off the heap since the last case (its own making
 * counts too; all of them, freed or not, unless the collector ran meanwhile). A machine that does something else makes a case look slow, so
 * what comes near a bound is measured again, at last after pauses, and the least counts. Throws a {@link Violation}.
 */
export function runCase({ judge, bounds }: Case): Measured {
  let [ms, bytes] = [Infinity, Infinity];
  let outcome: Outcome = 'accepted';
  for (let attempt = 0; attempt < 12 && (ms > bounds.ms / 10 || bytes > bounds.bytes); attempt++) {
    if (attempt >= 5 && ms <= bounds.ms && bytes <= bounds.bytes) break;
    if (attempt >= 5) Atomics.wait(never, 0, 0, 50);
    const start = performance.now();
    outcome = judge();
    ms = Math.min(ms, performance.now() - start);
    const after = memory();
    bytes = Math.min(bytes, Math.max(0, after - before));
    before = after;
  }
  if (ms <= bounds.ms && bytes <= bounds.bytes) return { outcome, ms, bytes };
  throw new Violation(`took ${ms} ms of ${bounds.ms}, ${bytes} bytes of ${bounds.bytes}`);
}
