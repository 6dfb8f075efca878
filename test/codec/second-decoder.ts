import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { type Model, readModel, takeBody } from './second-decoder-models.ts';
import { need, Refused } from './second-decoder-stream.ts';

/*
 * A second decoder that follows docs/packet.md and docs/codec-file.md: it shares no code with src/, works with
 * BigInt where src/ works with int32, has a list of slots for each table, reads the zip from its end, inflates by zlib and makes
 * halves from their fields. What it decodes like src/, the pages say.
 */

export { Refused };

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes);

/** Bit by bit, as the polynomial says. */
function crc(bytes: Uint8Array, polynomial: bigint): number {
  let remainder = 0xffffffffn;
  for (const byte of bytes) {
    remainder ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >> 1n) ^ ((remainder & 1n) * polynomial);
  }
  return Number(remainder ^ 0xffffffffn);
}

interface Part {
  layout: { outer: number; length: number; inner: number };
  components: number;
  step: number;
  /** Version 3. */
  tensor?: number;
  first?: number;
  vectors?: number;
}
export interface Definition {
  kind: string;
  features: { name: string; dtype: string; shape: number[] }[];
  entries: Record<string, string>;
  levels: number;
  parts: Part[];
  latents: { name: string; vectors: number; components: number; step: number }[];
  format: string;
  version: number;
}
export interface SecondCodec {
  definition: Definition;
  identity: number;
  entries: Map<string, Uint8Array>;
  models: Model[];
}

/** Local headers are found through the central directory, which is found through the end record. */
function unzip(file: Uint8Array): Map<string, Uint8Array> {
  need(file.length >= 22, 'shorter than an end record');
  const view = viewOf(file);
  const end = file.length - 22;
  const u16 = (at: number) => view.getUint16(at, true);
  const u32 = (at: number) => view.getUint32(at, true);
  const expect16 = (at: number, ...values: number[]) => {
    for (const [i, value] of values.entries()) need(u16(at + 2 * i) === value, `u16 at ${at + 2 * i}`);
  };
  need(u32(end) === 0x06054b50, 'end record');
  const count = u16(end + 10);
  expect16(end + 4, 0, 0, count, count);
  expect16(end + 20, 0);
  need(u32(end + 16) + u32(end + 12) === end, 'the directory lies before the end record');
  const entries = new Map<string, Uint8Array>();
  let at = u32(end + 16);
  let local = 0;
  for (let i = 0; i < count; i++) {
    need(at + 46 <= end && u32(at) === 0x02014b50, 'central header');
    expect16(at + 4, 20, 20, 0, 0, 0, 0x21);
    const nameLength = u16(at + 28);
    expect16(at + 30, 0, 0, 0, 0, 0, 0);
    need(u32(at + 42) === local, 'local headers stand one after the other');
    const size = u32(at + 24);
    need(u32(at + 20) === size && local + 30 + nameLength + size <= u32(end + 16), 'sizes');
    const name = String.fromCharCode(...file.subarray(at + 46, at + 46 + nameLength));
    need(/^[a-z0-9][a-z0-9.-]{0,63}$/.test(name) && !entries.has(name), 'name');
    need(u32(local) === 0x04034b50, 'local header');
    for (let k = 0; k < 26; k++) need(view.getUint8(local + 4 + k) === view.getUint8(at + 6 + k), 'headers agree');
    for (let k = 0; k < nameLength; k++)
      need(view.getUint8(local + 30 + k) === view.getUint8(at + 46 + k), 'names agree');
    const start = local + 30 + nameLength;
    const entry = file.subarray(start, start + size);
    need(crc(entry, 0xedb88320n) === u32(at + 16), 'crc');
    entries.set(name, entry);
    local = start + size;
    at += 46 + nameLength;
  }
  need(at === end && local === u32(end + 16) && count <= 194, 'nothing between');
  return entries;
}

/** JSON by hand in the canonical form. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical((value as Record<string, unknown>)[key])}`).join()}}`;
}

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

export function openCodec(file: Uint8Array): SecondCodec {
  const entries = unzip(file);
  const json = entries.get('codec.json');
  need(json !== undefined, 'codec.json');
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  const definition = JSON.parse(text) as Definition;
  const versions = definition.kind === 'learned' ? [3] : definition.kind === 'klt' ? [1, 2, 3] : [1];
  need(versions.includes(definition.version), 'version');
  need(definition.format === 'isthmus-codec', 'format');
  need(canonical(definition) === text, 'canonical');
  entries.delete('codec.json');
  entries.delete('card.md');
  need(Object.keys(definition.entries).sort().join() === [...entries.keys()].sort().join(), 'entries named');
  for (const [name, bytes] of entries) need(hash(bytes).digest('hex') === definition.entries[name], 'hash');
  const next = definition.features.map(() => 0);
  const models = (definition.parts ?? []).map((part, i) => {
    const { outer, length, inner } = part.layout;
    const { tensor, first, vectors } = rangeOf(part, i);
    need(outer * length * inner === size(definition.features[tensor].shape) && part.components <= length, 'layout');
    need(next.slice(0, tensor).every((count) => count < 0) && next[tensor] === first, 'ranges in order');
    next[tensor] = first + vectors === outer * inner ? -1 : first + vectors;
    need(first + vectors <= outer * inner, 'ranges within the tensor');
    need(entries.get(`mean-${i}.f32`)?.length === 4 * vectors * length, 'mean');
    for (const name of ['basis', 'synthesis']) {
      const rows = entries.get(`${name}-${i}.f32`);
      need(rows === undefined ? name === 'synthesis' : rows.length === 4 * part.components * length, name);
      need(rows === undefined || name === 'basis' || definition.version === 3, 'synthesis');
    }
    return readModel(entries.get(`tables-${i}.bin`) as Uint8Array, part.components, definition.version === 1 ? 1 : 7);
  });
  for (const [i, { components }] of (definition.latents ?? []).entries()) {
    models.push(readModel(entries.get(`tables-${i}.bin`) as Uint8Array, components, 7));
  }
  need(definition.kind !== 'klt' || next.every((count) => count < 0), 'all vectors of all tensors');
  return { definition, identity: hash(json).digest().readUInt32LE(0), entries, models };
}

/** Before version 3 a part is for all vectors of the tensor of its own number. */
function rangeOf({ layout, tensor, first, vectors }: Part, i: number) {
  return { tensor: tensor ?? i, first: first ?? 0, vectors: vectors ?? layout.outer * layout.inner };
}

/** Integers of each part (none for raw kinds), and the values as float64 holding what the dtype can. */
export function decodePacket(codec: SecondCodec, packet: Uint8Array): { integers: bigint[][]; values: number[][] } {
  const { definition } = codec;
  need(packet.length >= 9, 'frame');
  const view = viewOf(packet);
  need(view.getUint8(0) === 16 + (packet.length % 16), 'version and length');
  need(crc(Buffer.concat([packet.subarray(0, 5), packet.subarray(9)]), 0x82f63b78n) === view.getUint32(5, true), 'crc');
  need(view.getUint32(1, true) === codec.identity, 'codec');
  const body = packet.subarray(9);
  if (definition.kind === 'learned') return learnedBody(codec, body);
  const counts = definition.features.map(({ shape }) => size(shape));
  const { integers, values } =
    definition.kind === 'klt'
      ? kltBody(codec, body)
      : definition.kind === 'int8-deflate'
        ? int8Body(body, counts, definition.levels)
        : { integers: [], values: rawBody(body, counts, definition.kind === 'raw-f32' ? 4 : 2) };
  const rounded = values.map((list, i) =>
    definition.features[i].dtype === 'float16' ? list.map(toHalf) : list.map(Math.fround),
  );
  return { integers, values: rounded };
}

function rawBody(body: Uint8Array, counts: number[], width: number): number[][] {
  need(body.length === width * counts.reduce((a, b) => a + b), 'raw length');
  const view = viewOf(body);
  let at = -width;
  const next = () => {
    at += width;
    return width === 4 ? view.getFloat32(at, true) : fromHalf(view.getUint16(at, true));
  };
  return counts.map((count) => Array.from({ length: count }, next));
}

function int8Body(body: Uint8Array, counts: number[], levels: number) {
  const head = 4 * counts.length;
  const total = counts.reduce((a, b) => a + b);
  const view = viewOf(body);
  const deflated = body.length - head;
  need(deflated * 1032 >= total && deflated <= total + 5 * Math.ceil(total / 16383) + 16, 'deflate length');
  const { buffer, engine } = inflateRawSync(body.subarray(head), {
    info: true,
    maxOutputLength: total + 1,
  }) as never as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  need(engine.bytesWritten === deflated && buffer.length === total, 'deflate ends with the packet');
  let at = 0;
  const integers = counts.map((count) => Array.from({ length: count }, () => BigInt(buffer.readInt8(at++))));
  need(
    integers.flat().every((n) => n >= BigInt(-levels) && n <= BigInt(levels)),
    'levels',
  );
  const values = integers.map((list, i) => {
    const scale = view.getFloat32(4 * i, true);
    need(scale >= 0 && scale < Infinity, 'scale');
    return list.map((n) => Math.fround(Number(n) * scale));
  });
  return { integers, values };
}

/** The integers of the latents, and the latents: what the synthesis makes of them is up to the machine. */
function learnedBody({ definition, models }: SecondCodec, body: Uint8Array) {
  const parts = definition.latents.map(({ vectors }, i) => ({ model: models[i], vectors }));
  const integers = takeBody(body, parts, definition.version);
  const values = integers.map((list, i) => list.map((n) => Math.fround(Number(n) * definition.latents[i].step)));
  return { integers, values };
}

function kltBody(codec: SecondCodec, body: Uint8Array) {
  const { definition } = codec;
  const parts = definition.parts.map((part, i) => ({ model: codec.models[i], vectors: rangeOf(part, i).vectors }));
  const integers = takeBody(body, parts, definition.version);
  const values = definition.features.map(({ shape }) => new Array<number>(size(shape)));
  for (const [i, list] of integers.entries()) {
    synthesize(codec, i, list, values[rangeOf(definition.parts[i], i).tensor]);
  }
  return { integers, values };
}

/** Puts the vectors of a part into their places among the values of its tensor. */
function synthesize({ definition, entries }: SecondCodec, part: number, integers: bigint[], values: number[]): void {
  const { layout, components, step } = definition.parts[part];
  const { length, inner } = layout;
  const { first, vectors } = rangeOf(definition.parts[part], part);
  const mean = viewOf(entries.get(`mean-${part}.f32`) as Uint8Array);
  const basis = viewOf((entries.get(`synthesis-${part}.f32`) ?? entries.get(`basis-${part}.f32`)) as Uint8Array);
  for (let v = 0; v < vectors; v++) {
    const o = Math.floor((first + v) / inner);
    const i = (first + v) % inner;
    for (let a = 0; a < length; a++) {
      const place = (o * length + a) * inner + i;
      let x = mean.getFloat32(4 * (v * length + a), true);
      if (definition.version > 1) {
        for (let c = 0; c < components; c++) {
          const n = Number(integers[v * components + c]);
          if (n === 0) continue;
          const y = Math.fround(n * step);
          x = Math.fround(x + Math.fround(y * basis.getFloat32(4 * (c * length + a), true)));
        }
        values[place] = Number.isNaN(x) ? 0 : x;
        continue;
      }
      const products: number[] = [];
      for (let c = 0; c < components; c++) {
        const n = Number(integers[v * components + c]);
        if (n !== 0) products.push(n * step * basis.getFloat32(4 * (c * length + a), true));
      }
      while (products.length >= 4) {
        const [p0, p1, p2, p3] = products.splice(0, 4);
        x += p0 + p1 + p2 + p3;
      }
      for (const p of products) x += p;
      values[place] = Math.fround(x);
    }
  }
}

function fromHalf(bits: number): number {
  const sign = bits >= 32768 ? -1 : 1;
  const exponent = Math.floor(bits / 1024) % 32;
  const fraction = bits % 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** To the nearest multiple of the spacing of halves around it, ties to even. */
function toHalf(value: number): number {
  const magnitude = Math.abs(value);
  if (!(magnitude < 65520)) return Number.isNaN(value) ? value : Math.sign(value) * Infinity;
  let exponent = -14;
  while (magnitude >= 2 ** (exponent + 1)) exponent++;
  const spacing = 2 ** (exponent - 10);
  const whole = Math.floor(magnitude / spacing);
  const over = magnitude / spacing - whole;
  const rounded = over > 0.5 || (over === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
  return (Object.is(value, -0) || value < 0 ? -1 : 1) * rounded * spacing;
}
