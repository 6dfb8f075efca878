import { type Codec, readCard, readCodec } from '../../src/codec/index.ts';
import { MAX_SYMBOL, TableBank } from '../../src/entropy/index.ts';
import { type EntropyModel, modelCost, readModel } from '../../src/entropy/model.ts';
import { ERROR_CODES, type ErrorCode, IsthmusError } from '../../src/errors.ts';
import { FRAME_BYTES, sealPacket } from '../../src/packet/index.ts';
import { elements, fromFloat32, type Tensor } from '../../src/tensor.ts';
import type { Dice } from './dice.ts';
import { type GoldenBytes, type Subject, subjectOf } from './golden.ts';
import { read, type SampleModel, write } from './models.ts';
import { craftStream, mutateBytes, mutateWords } from './mutate.ts';
import { decodeByKernels, decodePlain, encodeByKernels, encodePlain, type TwinSample } from './twins.ts';

/*
 * What must hold for any bytes at all, checked: a reader returns what has its form, or throws an IsthmusError with one of the codes
 * it promises; and where a form has one writing, what is read writes the same bytes.
 */

/** Something that must hold and did not. */
export class Violation extends Error {}

/** What came of a case: a code, or that the bytes were taken. */
export type Outcome = ErrorCode | 'accepted';

const PACKET_CODES: readonly ErrorCode[] = [
  'PACKET_EMPTY',
  'PACKET_VERSION',
  'PACKET_TRUNCATED',
  'PACKET_CORRUPT',
  'PACKET_FOREIGN',
];
const CODEC_CODES: readonly ErrorCode[] = ['CODEC_INVALID', 'CODEC_VERSION', 'LIMIT_EXCEEDED'];
/** Features above this are not coded: the soak is about many cases, and sizes are bounded elsewhere. */
const MOST_VALUES = 4096;

function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

/** The code of an error that a reader may throw; anything else is a violation. */
function refusal(error: unknown, allowed: readonly ErrorCode[]): ErrorCode {
  if (error instanceof Violation) throw error;
  if (!(error instanceof IsthmusError)) {
    throw new Violation(`threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  demand(error.code in ERROR_CODES && allowed.includes(error.code), `threw ${error.code}: ${error.message}`);
  demand(error.message.length > 0 && error.message.length < 1000, `message of ${error.message.length} characters`);
  return error.code;
}

/** A packet for a codec that is known. */
export function judgePacket(subject: Subject, packet: Uint8Array): Outcome {
  const { codec, stream } = subject;
  let tensors: Tensor[];
  try {
    tensors = codec.decode(packet);
  } catch (error) {
    return refusal(error, PACKET_CODES);
  }
  const { coded } = codec;
  demand(tensors.length === coded.length, `${tensors.length} tensors`);
  let nan = false;
  for (let i = 0; i < tensors.length; i++) {
    const { dtype, shape, data } = tensors[i];
    demand(dtype === coded[i].dtype && sameList(shape, coded[i].shape), `tensor ${i} is ${dtype} [${shape}]`);
    demand(data.length === elements(coded[i].shape), `tensor ${i} has ${data.length} values`);
    nan ||= holdsNaN(tensors[i]);
  }
  if (codec.kind.startsWith('raw')) {
    // NaN may change its payload, and float32 bytes of a float16 tensor are rounded: one step later nothing changes.
    const again = codec.encode(tensors);
    if (nan) return 'accepted';
    const exact = codec.kind === 'raw-f16' || coded.every(({ dtype }) => dtype === 'float32');
    demand(same(again, exact ? packet : codec.encode(codec.decode(again))), 'raw values change when sent again');
    return 'accepted';
  }
  demand(!nan, 'a NaN came out');
  if (stream !== null) {
    const body = packet.subarray(FRAME_BYTES);
    demand(same(stream.encode(stream.decode(body)), body), 'the integers have another stream too');
  }
  return 'accepted';
}

/** An entry `tables-i.bin` for `size` tables. What is taken has this one form, and codes. */
export function judgeTables(bytes: Uint8Array, size: number): Outcome {
  let bank: TableBank;
  try {
    bank = TableBank.fromBytes(bytes, size);
  } catch (error) {
    return refusal(error, CODEC_CODES);
  }
  demand(same(bank.toBytes(), bytes), 'tables have another form too');
  return 'accepted';
}

/** A codec file. What is taken is written again, and codes a feature and packets of its own. */
export function judgeCodecFile(dice: Dice, file: Uint8Array): Outcome {
  let codec: Codec;
  try {
    codec = readCodec(file);
  } catch (error) {
    return refusal(error, CODEC_CODES);
  }
  const card = readCard(file);
  const written = codec.toBytes(card ?? undefined);
  const again = readCodec(written);
  demand(again.id === codec.id && again.kind === codec.kind, 'reads as another codec when written again');
  demand(card !== null || written.length === file.length, 'has another length when written again');
  useCodec(dice, codec);
  return 'accepted';
}

function useCodec(dice: Dice, codec: Codec): void {
  const values = codec.coded.reduce((sum, { shape }) => sum + elements(shape), 0);
  if (values > MOST_VALUES) return;
  const scale = dice.pick([0, 1, 1e4]);
  const feature = codec.coded.map(({ dtype, shape }) =>
    fromFloat32(
      dtype,
      shape,
      Float32Array.from({ length: elements(shape) }, () => (scale * dice.int32()) / 2 ** 31),
    ),
  );
  const packet = codec.encode(feature);
  const golden: GoldenBytes = { file: '', packet, body: packet.slice(FRAME_BYTES) };
  const subject = subjectOf('', packet, codec, [golden]);
  demand(judgePacket(subject, packet) === 'accepted', 'refuses its own packet');
  const spent = codec.itemize(packet).reduce((sum, { bytes }) => sum + bytes, 0);
  demand(Math.abs(spent - packet.length) < 1e-6 * packet.length, `itemizes ${spent} of ${packet.length} bytes`);
  judgePacket(subject, sealPacket(codec.id, mutateBody(dice, subject, golden, golden.body)));
}

/** A body for `subject`, from one of its own and another to splice with; crafted where its stream is known. */
export function mutateBody(dice: Dice, subject: Subject, { body }: GoldenBytes, other: Uint8Array): Uint8Array {
  const what = dice.below(8);
  if (subject.stream !== null && what === 0) return craftStream(dice, subject.stream, body);
  return what < 4 && !subject.kind.startsWith('int8') ? mutateWords(dice, body, other) : mutateBytes(dice, body, other);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function sameList(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function holdsNaN({ dtype, data }: Tensor): boolean {
  if (dtype === 'float16') {
    const bits = data as Uint16Array;
    for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7fff) > 0x7c00) return true;
    return false;
  }
  const floats = data as Float32Array;
  for (let i = 0; i < floats.length; i++) if (Number.isNaN(floats[i])) return true;
  return false;
}

/** A model of a codec file. What is taken has this one form, and codes integers both ways at a cost that is known. */
export function judgeModel(sample: SampleModel, bytes: Uint8Array, components: number): Outcome {
  let model: EntropyModel;
  try {
    model = readModel(bytes, components);
  } catch (error) {
    return refusal(error, CODEC_CODES);
  }
  demand(same(model.toBytes(), bytes), 'the model has another form too');
  const { values } = sample;
  const again = read(model, write(model, values), values.length);
  demand(
    again.every((value, i) => value === values[i]),
    'integers do not come back',
  );
  const cost = modelCost(model, values.slice());
  demand(Number.isSafeInteger(cost) && cost >= 0, `a cost of ${cost}`);
  return 'accepted';
}

/** A stream for a model that is known: integers in range, which have this one stream. */
export function judgeModelStream({ model, values }: SampleModel, stream: Uint8Array): Outcome {
  let decoded: Int32Array;
  try {
    decoded = read(model, stream, values.length);
  } catch (error) {
    return refusal(error, PACKET_CODES);
  }
  demand(
    decoded.every((value) => Math.abs(value) <= MAX_SYMBOL),
    'an integer past 2^29',
  );
  demand(same(write(model, decoded), stream), 'the integers have another stream too');
  return 'accepted';
}

/** A stream for tables that are known, read in TypeScript and in WebAssembly: the same integers, or both refuse. */
export function judgeTwins({ bank, values, lanes }: TwinSample, stream: Uint8Array): Outcome {
  let plain: Int32Array | ErrorCode;
  try {
    [plain] = decodePlain([bank], stream, [values.length], lanes);
  } catch (error) {
    plain = refusal(error, PACKET_CODES);
  }
  let twin: Int32Array | ErrorCode | null;
  try {
    twin = decodeByKernels(bank, stream, values.length, lanes);
  } catch (error) {
    twin = refusal(error, PACKET_CODES);
  }
  if (typeof plain === 'string') {
    demand(twin === null || twin === plain, `${plain} in TypeScript, in WebAssembly ${twin}`);
    return plain;
  }
  const decoded = plain;
  demand(
    twin === null || (typeof twin !== 'string' && twin.every((value, i) => value === decoded[i])),
    `WebAssembly reads something else: ${typeof twin === 'string' ? twin : 'other integers'}`,
  );
  demand(same(encodePlain([bank], [decoded], lanes), stream), 'the integers have another stream too');
  const again = encodeByKernels(bank, decoded, lanes);
  demand(again === null || same(again, stream), 'WebAssembly writes another stream');
  return 'accepted';
}
