import { createHash } from 'node:crypto';
import { writeArchive } from '../../src/codec/archive.ts';
import { crc32c } from '../../src/crc.ts';
import { FRAME_BYTES } from '../../src/packet/index.ts';
import type { Dice } from './dice.ts';
import type { Stream } from './streams.ts';

/*
 * Hostile bytes made from good ones, as a pure function of the dice. None of this looks at what a reader makes of them:
 * that is judge.ts.
 */

const U8 = [0, 1, 2, 7, 8, 15, 16, 31, 32, 127, 128, 254, 255];
const U16 = [0, 1, 2, 255, 256, 257, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff];
const U32 = [
  0,
  1,
  2,
  0x7ffe,
  0x7fff,
  0x8000,
  0x8001,
  0xffff,
  0x10000,
  2 ** 29,
  2 ** 29 + 1,
  2 ** 32 - 2 ** 29,
  2 ** 30,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 31 + 1,
  2 ** 32 - 1,
  0x7f800000,
  0xff800000,
  0x7fc00000,
  0x7f7fffff,
  0x80000000,
];

/** One to about four edits of a list of bytes that know nothing of what it means; `other` lends ranges. */
export function mutateBytes(dice: Dice, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let out = edited(dice, bytes, other);
  for (let more = 0; more < 3 && dice.below(3) === 0; more++) out = edited(dice, out, other);
  return out;
}

function edited(dice: Dice, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const { length } = bytes;
  const what = dice.below(14);
  if (length === 0 || what === 0) return inserted(bytes, dice.below(length + 1), dice.bytes(1 + dice.below(8)));
  if (what === 1) return bytes.slice(0, dice.below(length));
  if (what === 2) return inserted(bytes, length, extension(dice, bytes));
  if (what === 3) return spliced(bytes, dice.below(length + 1), other, dice.below(other.length + 1));
  const from = dice.below(length);
  const to = Math.min(length, from + 1 + dice.below(dice.below(4) === 0 ? length : 8));
  if (what === 4) return inserted(bytes, to, bytes.subarray(from, to));
  if (what === 5) return spliced(bytes, from, bytes, to);
  const out = bytes.slice();
  switch (what) {
    case 6:
    case 7:
      out[from] ^= 1 << dice.below(8);
      break;
    case 8:
      out[from] = dice.pick(U8);
      break;
    case 9:
      out[from] += dice.below(2) === 0 ? 1 : -1;
      break;
    case 10:
      writeU16(
        out,
        from & ~1,
        dice.below(2) === 0 ? dice.pick(U16) : readU16(out, from & ~1) + dice.pick([1, -1, 16, -16]),
      );
      break;
    case 11:
      writeU32(out, dice.below(2) === 0 ? from : from & ~3, dice.below(4) === 0 ? dice.int32() : dice.pick(U32));
      break;
    case 12:
      out.fill(dice.pick(U8), from, to);
      break;
    default:
      out.copyWithin(from, dice.below(length), length);
  }
  return out;
}

function extension(dice: Dice, bytes: Uint8Array): Uint8Array {
  const length = 1 + dice.below(dice.below(8) === 0 ? 64 : 4);
  const kind = dice.below(3);
  return kind === 0 ? new Uint8Array(length) : kind === 1 ? dice.bytes(length) : bytes.slice(-length);
}

function inserted(bytes: Uint8Array, at: number, more: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + more.length);
  out.set(bytes.subarray(0, at));
  out.set(more, at);
  out.set(bytes.subarray(at), at + more.length);
  return out;
}

/** `bytes` up to `at`, then `other` from `from`. */
function spliced(bytes: Uint8Array, at: number, other: Uint8Array, from: number): Uint8Array {
  const out = new Uint8Array(at + other.length - from);
  out.set(bytes.subarray(0, at));
  out.set(other.subarray(from), at);
  return out;
}

/** A packet whose frame is changed: version, length or identity, most with the checksum that then is right. */
export function mutateFrame(dice: Dice, packet: Uint8Array): Uint8Array {
  const out = packet.slice();
  const what = dice.below(4);
  if (what === 0) out[0] ^= 1 << dice.below(8);
  else if (what === 1) out[0] = dice.int32();
  else if (what === 2) out[1 + dice.below(4)] ^= 1 << dice.below(8);
  else writeU32(out, 1, dice.int32());
  if (dice.below(4) > 0) writeU32(out, 5, crc32c(out.subarray(FRAME_BYTES), crc32c(out.subarray(0, 5))));
  return out;
}

/** A body of rANS words: another first state, words that change, vanish, repeat or change places, or a splice between words. */
export function mutateWords(dice: Dice, body: Uint8Array, other: Uint8Array): Uint8Array {
  const words = body.length >>> 1;
  const at = 2 * dice.below(words);
  const what = dice.below(8);
  if (words < 2 || what === 0) return spliced(body, at, other, 2 * dice.below((other.length >>> 1) + 1));
  if (what === 1) return spliced(body, at, body, at + 2);
  if (what === 2) return inserted(body, at, body.subarray(at, at + 2));
  if (what === 3) return inserted(body, at, dice.bytes(2));
  const out = body.slice();
  if (what === 4) writeU32(out, 0, dice.below(2) === 0 ? dice.pick(U32) : dice.int32() & 0x7fffffff);
  else if (what === 5)
    writeU32(out, 0, (readU16(out, 0) | (readU16(out, 2) << 16)) + dice.pick([1, -1, 2, -2, 256, 32768]));
  else if (what === 6) writeU16(out, at, dice.int32());
  else {
    const to = 2 * dice.below(words);
    const word = readU16(out, at);
    writeU16(out, at, readU16(out, to));
    writeU16(out, to, word);
  }
  return out;
}

/** A stream that is right to its last state, of integers nobody fitted, or with one escape that no encoder writes. */
export function craftStream(dice: Dice, stream: Stream, body: Uint8Array): Uint8Array {
  const integers = stream.decode(body);
  const part = dice.below(integers.length);
  const count = integers[part].length;
  for (let edits = 1 + dice.below(4); edits > 0; edits--) {
    const end = dice.pick(stream.ends[part]) + dice.pick([-2, -1, 0, 1]);
    const far = dice.pick([
      2 ** 29,
      -(2 ** 29),
      2 ** 29 - 1,
      0,
      dice.int32() >> 2,
      dice.int32() >> (2 + dice.below(29)),
    ]);
    integers[part][dice.below(count)] = Math.max(-(2 ** 29), Math.min(2 ** 29, dice.below(2) === 0 ? end : far));
  }
  if (stream.encodeWithEscape === null || dice.below(2) === 0) return stream.encode(integers);
  const digits = dice.pick([31, 30, 29, 28, dice.below(32)]);
  const rest = dice.pick([0, 1, 2 ** 30 - 1, 2 ** 29, 2 ** 29 + 1, dice.int32() & 0x3fffffff]);
  return stream.encodeWithEscape(integers, part, dice.below(count), { below: dice.below(2), digits, rest });
}

/** An entry `tables-i.bin`: its head, an alphabet's start, a table's size, frequencies; or bytes of any kind. */
export function mutateTables(dice: Dice, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const what = dice.below(8);
  if (what === 0 || bytes.length < 16) return mutateBytes(dice, bytes, other);
  const out = bytes.slice();
  if (what === 1) {
    const field = dice.below(3);
    if (field < 2) out[field] = dice.below(2) === 0 ? dice.pick(U8) : dice.below(20);
    else writeU32(out, 2, dice.below(2) === 0 ? dice.pick(U32) : dice.below(12));
    return out;
  }
  const tables: number[] = [];
  for (let at = 6; at + 6 <= bytes.length && tables.length < 4096; at += 6 + 2 * readU16(bytes, at + 4))
    tables.push(at);
  const table = dice.pick(tables);
  const symbols = readU16(bytes, table + 4);
  const symbol = () => Math.min(bytes.length - 2, table + 6 + 2 * dice.below(symbols));
  if (what === 2) writeU32(out, table, dice.below(2) === 0 ? dice.pick(U32) : dice.int32() >> dice.below(32));
  else if (what === 3) writeU16(out, table + 4, dice.below(2) === 0 ? dice.pick(U16) : symbols + dice.pick([-1, 1]));
  else if (what === 4) writeU16(out, symbol(), dice.below(2) === 0 ? dice.pick(U16) : dice.int32());
  else if (what === 5) {
    const [from, to] = [symbol(), symbol()];
    const moved = dice.below(2) === 0 ? 1 : dice.below(readU16(out, from) + 1);
    writeU16(out, from, readU16(out, from) - moved);
    writeU16(out, to, readU16(out, to) + moved);
  } else if (what === 6) {
    // One symbol split in two: a table of another size, with the right sum.
    const at = symbol();
    const share = dice.below(readU16(out, at) + 1);
    const more = Uint8Array.of(share & 255, share >> 8);
    writeU16(out, at, readU16(out, at) - share);
    writeU16(out, table + 4, symbols + 1);
    return inserted(out, at, more);
  } else {
    const at = symbol();
    const sum = readU16(out, at) + readU16(out, Math.min(bytes.length - 2, at + 2));
    writeU16(out, at, dice.below(4) === 0 ? sum + 65536 : sum);
    writeU16(out, table + 4, symbols - 1);
    return spliced(out, at + 2, out, Math.min(out.length, at + 4));
  }
  return out;
}

/** A model: some of what one number holds moved to the next, so that tables in it keep their sums; or bytes of any kind. */
export function mutateModel(dice: Dice, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  if (bytes.length < 4 || dice.below(2) === 0) return mutateBytes(dice, bytes, other);
  const out = bytes.slice();
  const at = dice.below(bytes.length - 3);
  const held = readU16(out, at);
  const moved = dice.below(2) === 0 ? Math.min(1, held) : dice.below(held + 1);
  writeU16(out, at, held - moved);
  writeU16(out, at + 2, readU16(out, at + 2) + moved);
  return out;
}

/** A codec file whose archive is damaged or lies: any bytes, one field of a header, or right checksums over wrong hashes. */
export function mutateArchive(
  dice: Dice,
  file: Uint8Array,
  entries: ReadonlyMap<string, Uint8Array>,
  other: Uint8Array,
) {
  const what = dice.below(3);
  if (what === 0) return mutateBytes(dice, file, other);
  if (what === 1) {
    const headers: number[] = [];
    for (let at = 0; at + 4 <= file.length; at++) if (file[at] === 0x50 && file[at + 1] === 0x4b) headers.push(at);
    const out = file.slice();
    const at = dice.pick(headers) + dice.below(46);
    const field = dice.below(3);
    if (field === 0) writeU16(out, at, dice.pick(U16));
    else if (field === 1) writeU32(out, at, dice.pick(U32));
    else out[at] ^= 1 << dice.below(8);
    return out;
  }
  const list = [...entries].map(([name, bytes]): [string, Uint8Array] => [name, bytes]);
  const entry = dice.pick(list);
  entry[1] = entry[0] === 'codec.json' ? mutateText(dice, entry[1]) : mutateBytes(dice, entry[1], other);
  return writeArchive(new Map(list));
}

const SNIPPETS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '0',
  '-',
  '1e9',
  '.5',
  'null',
  ' ',
  '\\',
  '\\u0000',
  '__proto__',
  '\ufeff',
  'é',
  '\n',
];

function mutateText(dice: Dice, bytes: Uint8Array): Uint8Array {
  let text = new TextDecoder().decode(bytes);
  for (let edits = 1 + dice.below(2); edits > 0; edits--) {
    const at = dice.below(text.length + 1);
    text = text.slice(0, at) + (dice.below(3) === 0 ? '' : dice.pick(SNIPPETS)) + text.slice(at + dice.below(3));
  }
  return new TextEncoder().encode(text);
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const NUMBERS = [
  0,
  -0,
  1,
  2,
  3,
  4,
  7,
  8,
  9,
  15,
  16,
  64,
  127,
  128,
  255,
  256,
  -1,
  0.5,
  1.5,
  2 ** -126,
  2 ** -127,
  2 ** 127,
  2 ** 128,
  5e-324,
  1.7976931348623157e308,
  2 ** 26,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
];
const WORDS = [
  '',
  'a',
  'float16',
  'float32',
  'float64',
  'raw-f32',
  'raw-f16',
  'int8-deflate',
  'klt',
  'learned',
  'isthmus-codec',
  '__proto__',
  'constructor',
  '\ud800',
  '\u0000',
  'x'.repeat(1024),
  'x'.repeat(1025),
  '0'.repeat(64),
];

/** One value of a definition replaced, removed, doubled or added; numbers mostly by their neighbours, so that much passes. */
function mutateJson(dice: Dice, json: { [key: string]: Json }): void {
  const places: [{ [key: string]: Json }, string][] = [];
  const visit = (value: Json): void => {
    if (value === null || typeof value !== 'object') return;
    for (const key of Object.keys(value)) {
      places.push([value as { [key: string]: Json }, key]);
      visit((value as { [key: string]: Json })[key]);
    }
  };
  visit(json);
  const [container, key] = dice.pick(places);
  const value = container[key];
  const what = dice.below(10);
  if (what === 0) delete container[key];
  else if (what === 1) container[dice.pick(WORDS)] = value;
  else if (what === 2) container[key] = dice.pick<Json>([null, true, [], {}, 0, 'a', [value], { a: value }]);
  else if (Array.isArray(value)) {
    if (dice.below(2) === 0) value.splice(dice.below(value.length + 1), 1);
    else value.push(value.length > 0 ? structuredClone(dice.pick(value)) : dice.pick(NUMBERS));
  } else if (typeof value === 'number') {
    container[key] = dice.below(2) === 0 ? dice.pick(NUMBERS) : value + dice.pick([1, -1, value, -0.5 * value]);
  } else container[key] = dice.pick(WORDS);
}

/**
 * A codec file with right checksums and right hashes over content that is not: numbers of codec.json, means, bases and tables.
 * `others` lend entries and bytes.
 */
export function mutateContent(
  dice: Dice,
  entries: ReadonlyMap<string, Uint8Array>,
  others: ReadonlyMap<string, Uint8Array>,
): Uint8Array {
  const json = JSON.parse(new TextDecoder().decode(entries.get('codec.json')));
  const rest = [...entries].filter(([name]) => name !== 'codec.json');
  const lent = [...others].filter(([name]) => name !== 'codec.json');
  const what = dice.below(16);
  if (rest.length === 0 || what < 5) mutateJson(dice, json);
  else if (what === 5) rest.splice(dice.below(rest.length), 1);
  else if (what === 6)
    rest.push([
      dice.pick(['tables-1.bin', 'synthesis-0.f32', 'mean-9.f32', 'x', 'constructor']),
      dice.bytes(dice.below(9)),
    ]);
  else if (what === 7) rest.push(rest.splice(dice.below(rest.length), 1)[0]);
  else {
    const entry = dice.pick(rest);
    const own: [string, Uint8Array] = [entry[0], entry[1]];
    rest[rest.indexOf(entry)] = own;
    const namesakes = lent.filter(([name]) => name === own[0]);
    const other = namesakes.length > 0 ? namesakes[0][1] : own[1];
    if (what === 8) own[1] = other;
    else if (own[0].startsWith('tables')) own[1] = mutateTables(dice, own[1], other);
    else if (dice.below(4) === 0) own[1] = mutateBytes(dice, own[1], other);
    else {
      own[1] = own[1].slice();
      writeU32(own[1], 4 * dice.below(own[1].length >>> 2), dice.below(2) === 0 ? dice.pick(U32) : dice.int32());
    }
  }
  if (json.entries !== null && typeof json.entries === 'object' && dice.below(16) !== 0) {
    json.entries = Object.fromEntries(rest.map(([name, bytes]) => [name, sha256(bytes)]));
  }
  return archiveOf(json, rest);
}

/** The codec file of a definition and its other entries; the definition as isthmus writes it, whatever it says. */
export function archiveOf(json: unknown, rest: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(json, sorted));
  return writeArchive(new Map([['codec.json', text], ...rest]));
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const sorted = (_: string, value: unknown): unknown =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

/** Past the end, what does not fit is dropped. */
function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at, value);
  writeU16(bytes, at + 2, Math.floor(value / 65536));
}
