import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { ByteReader, float32ToBytes } from '../bytes.ts';
import { readModel } from '../entropy/index.ts';
import { IsthmusError } from '../errors.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import type { Graph } from '../onnx/graph.ts';
import { writeGraph } from '../onnx/read.ts';
import { FRAME_BYTES, packetBody, sealPacket } from '../packet/index.ts';
import { elements } from '../tensor.ts';
import { type Entries, readArchive, writeArchive } from './archive.ts';
import type { Codec, CodecBody, FeatureTensor } from './codec.ts';
import { int8DeflateBody } from './int8.ts';
import { type KltPart, kltBody } from './klt.ts';
import { isWhole, kltEntryCount, kltParts } from './klt-parts.ts';
import { type Latent, latentTensors, learnedBody } from './learned.ts';
import { rawBody } from './raw.ts';
import { vectorCount } from './transform.ts';
import { readTransforms } from './transform-graphs.ts';

/**
 * The newest version of codec files: version 2 has more entropy models, lanes in long streams, and float32 arithmetic for klt; version 3
 * has learned codecs, and for klt parts for ranges of a tensor's vectors and a synthesis that is not the transpose of the analysis.
 */
export const CODEC_FILE_VERSION = 3;

/** Parts of a klt codec of version 3: four entries for each, `codec.json` and the card are as many entries as an archive may have. */
const MOST_PARTS = 48;

const count = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
/** The normal float32 numbers, so that neither a step nor what it divides or multiplies leaves float64. */
const step = z
  .number()
  .min(2 ** -126)
  .max(2 ** 127);
const shape = z
  .array(count)
  .max(16)
  .refine((lengths) => lengths.reduce((product, length) => product * length, 1) < 2 ** 31, 'has 2^31 elements or more');
const layout = z.strictObject({ outer: count, length: count, inner: count });
const name = z.string().min(1).max(1024);
const distinct = (tensors: readonly { readonly name: string }[]): boolean =>
  new Set(tensors.map(({ name }) => name)).size === tensors.length;
const latents = z
  .array(
    z
      .strictObject({ name, vectors: count, components: count, step })
      .refine(({ vectors, components }) => vectors * components < 2 ** 31, 'has 2^31 elements or more'),
  )
  .min(1)
  .max(64)
  .refine(distinct, 'names a tensor twice');
/** What codes a tensor: versions 1 and 2 of klt have one for each. */
const part = { layout, components: count, step };
/** Version 3: `vectors` of the tensor's vectors, from number `first` on. */
const range = z.strictObject({
  ...part,
  tensor: z.int().min(0).max(63),
  first: z
    .int()
    .min(0)
    .max(2 ** 31 - 1),
  vectors: count,
});
const common = {
  format: z.literal('isthmus-codec'),
  features: z
    .array(
      z.strictObject({
        name,
        dtype: z.enum(['float32', 'float16']),
        shape,
      }),
    )
    .min(1)
    .max(64)
    .refine(distinct, 'names a tensor twice'),
  model: z.strictObject({ name: z.string().max(1024), sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullable(),
  entries: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
};

/** `codec.json`: all of a codec but its numbers, which stand in the entries it names with their SHA-256. */
const definitionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, version: z.literal(1), kind: z.literal('raw-f32') }),
  z.strictObject({ ...common, version: z.literal(1), kind: z.literal('raw-f16') }),
  z.strictObject({
    ...common,
    version: z.literal(1),
    kind: z.literal('int8-deflate'),
    levels: z.int().min(1).max(127),
  }),
  z.discriminatedUnion('version', [
    z.strictObject({
      ...common,
      version: z.literal([1, 2]),
      kind: z.literal('klt'),
      parts: z.array(z.strictObject(part)),
    }),
    z.strictObject({
      ...common,
      version: z.literal(3),
      kind: z.literal('klt'),
      parts: z.array(range).min(1).max(MOST_PARTS),
    }),
  ]),
  z.strictObject({ ...common, version: z.literal(3), kind: z.literal('learned'), latents }),
]);
export type CodecDefinition = z.infer<typeof definitionSchema>;

/** What the codecs of this floor are made for: the feature and, where known, the model it comes from. */
export interface CodecSource {
  readonly features: readonly FeatureTensor[];
  readonly model?: Codec['model'];
}

const start = ({ features, model }: CodecSource) => ({
  format: 'isthmus-codec' as const,
  version: 1 as const,
  features: features.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] })),
  model: model ?? null,
  entries: {},
});

/** Sends every value as it is, as float32 or float16. */
export function rawCodec(kind: 'raw-f32' | 'raw-f16', source: CodecSource): Codec {
  return made({ ...start(source), kind }, new Map());
}

/** Sends integers from -levels to levels, deflated; `levels` is 1 to 127. */
export function int8DeflateCodec(source: CodecSource, levels = 127): Codec {
  return made({ ...start(source), kind: 'int8-deflate', levels }, new Map());
}

/**
 * Sends the Karhunen-Loeve coefficients; `parts` come from fitting. They are one for each tensor of the feature, or several, for ranges of
 * its vectors in order. The file has version 2 where every part has a whole tensor and an orthonormal basis, else 3. `version` 1 is for
 * readers that know no other: one static table a component, and float64 arithmetic, which is slower. Throws `INVALID_ARGUMENT`, also for a
 * version that lacks what the parts have, and `CODEC_INVALID`.
 */
export function kltCodec(
  source: CodecSource,
  parts: readonly KltPart[],
  version: 1 | 2 | 3 = parts.every(isWhole) ? 2 : 3,
): Codec {
  if (version < 3 && !parts.every(isWhole)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `codec files of version ${version} have no parts for some of a tensor's vectors and no synthesis of their own; take version 3`,
    );
  }
  const entries = new Map<string, Uint8Array>();
  for (const [i, { transform, model }] of parts.entries()) {
    entries.set(`mean-${i}.f32`, float32ToBytes(transform.mean));
    entries.set(`basis-${i}.f32`, float32ToBytes(transform.basis));
    if (transform.synthesis) entries.set(`synthesis-${i}.f32`, float32ToBytes(transform.synthesis));
    entries.set(`tables-${i}.bin`, model.toBytes());
  }
  const given = parts.map(({ tensor, transform, step }, i) => ({
    layout: { ...transform.layout },
    components: transform.components,
    step,
    tensor: tensor ?? i,
    first: transform.first ?? 0,
    vectors: vectorCount(transform),
  }));
  const klt = { ...start(source), kind: 'klt' as const, entries: hashesOf(entries) };
  if (version === 3) return made({ ...klt, version, parts: given }, entries);
  const whole = given.map(({ layout, components, step }) => ({ layout, components, step }));
  return made({ ...klt, version, parts: whole }, entries);
}

/** What {@link learnedCodec} is made of: a trained transform, and what codes the integers of its latents. */
export interface LearnedParts {
  /** Inputs named and shaped as the tensors at the cut, outputs as the latents; axis 0 may be symbolic. */
  readonly analysis: Graph;
  /** The other way round. */
  readonly synthesis: Graph;
  readonly latents: readonly Latent[];
}

/**
 * Sends the latents that a trained network makes of a feature. Throws `INVALID_ARGUMENT`, and `CODEC_INVALID` where graphs, latents and
 * feature do not go together.
 */
export function learnedCodec(source: CodecSource, { analysis, synthesis, latents }: LearnedParts): Codec {
  const entries = new Map([
    ['analysis.onnx', writeGraph(analysis)],
    ['synthesis.onnx', writeGraph(synthesis)],
    ...latents.map(({ model }, i): [string, Uint8Array] => [`tables-${i}.bin`, model.toBytes()]),
  ]);
  return made(
    {
      ...start(source),
      kind: 'learned',
      version: 3,
      entries: hashesOf(entries),
      latents: latents.map(({ name, vectors, components, step }) => ({ name, vectors, components, step })),
    },
    entries,
  );
}

function hashesOf(entries: Entries): Record<string, string> {
  return Object.fromEntries([...entries].map(([name, bytes]) => [name, bytesToHex(sha256(bytes))]));
}

/**
 * Reads a codec file. Everything is checked before the codec exists: archive, form, hashes, lengths, tables.
 * Throws `CODEC_INVALID`, `CODEC_VERSION` for a file of a newer isthmus, `LIMIT_EXCEEDED`.
 */
export function readCodec(bytes: Uint8Array, limits?: Partial<Limits>): Codec {
  return openCodec(bytes, limits).codec;
}

/** A codec with what makes its bodies, for who decodes those in pieces. */
export interface OpenedCodec {
  readonly codec: Codec;
  readonly body: CodecBody;
}

/** {@link readCodec} with the codec's body. */
export function openCodec(bytes: Uint8Array, limits?: Partial<Limits>): OpenedCodec {
  const caps = limitsOf(limits);
  const all = new Map(openArchive(bytes, caps));
  const text = all.get('codec.json');
  if (text === undefined) throw new IsthmusError('CODEC_INVALID', 'not a codec file: it holds no codec.json');
  within(caps, 'codecJsonBytes', text.length, 'codec.json of a codec file');
  const definition = parseDefinition(text);
  all.delete('codec.json');
  all.delete('card.md');
  const named = Object.keys(definition.entries);
  if (named.length !== all.size) {
    throw new IsthmusError('CODEC_INVALID', `codec.json names ${named.length} entries, the file holds ${all.size}`);
  }
  for (const [name, entry] of all) {
    if (definition.entries[name] !== bytesToHex(sha256(entry))) {
      throw new IsthmusError('CODEC_INVALID', `entry ${name} of a codec file does not match its hash in codec.json`);
    }
  }
  within(caps, 'featureBytes', bytesOf(definition.features), 'feature of a codec file');
  if (definition.kind === 'learned') {
    within(caps, 'featureBytes', bytesOf(latentTensors(definition.latents)), 'latents of a codec file');
  }
  return assemble(definition, all, caps);
}

/** As float32. */
function bytesOf(tensors: readonly FeatureTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + 4 * elements(shape), 0);
}

/** The codec of the entries of one that was opened: another thread's way to it, which does not check them again. */
export function reopenCodec(entries: Codec['entries']): OpenedCodec {
  const definition = JSON.parse(new TextDecoder().decode(entries.get('codec.json'))) as CodecDefinition;
  return assemble(definition, new Map([...entries].filter(([name]) => name !== 'codec.json')));
}

/** The card of a codec file, or null where it has none. Only the archive around it is checked. Throws as {@link readCodec}. */
export function readCard(bytes: Uint8Array, limits?: Partial<Limits>): string | null {
  const card = openArchive(bytes, limitsOf(limits)).get('card.md');
  return card === undefined ? null : new TextDecoder().decode(card);
}

function openArchive(bytes: Uint8Array, limits: Readonly<Limits>): Entries {
  if (!(bytes instanceof Uint8Array)) throw new IsthmusError('INVALID_ARGUMENT', 'a codec file is a Uint8Array');
  within(limits, 'codecBytes', bytes.length, 'codec file');
  return readArchive(bytes);
}

function parseDefinition(text: Uint8Array): CodecDefinition {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw new IsthmusError('CODEC_INVALID', 'codec.json is not JSON', { cause });
  }
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > CODEC_FILE_VERSION) {
    throw new IsthmusError(
      'CODEC_VERSION',
      `the codec file has version ${version}, this isthmus reads up to ${CODEC_FILE_VERSION}: update it`,
    );
  }
  const parsed = definitionSchema.safeParse(json);
  if (!parsed.success) {
    throw new IsthmusError('CODEC_INVALID', `codec.json${problemOf(parsed.error)}`, { cause: parsed.error });
  }
  if (bytesToHex(definitionBytes(parsed.data)) !== bytesToHex(text)) {
    throw new IsthmusError('CODEC_INVALID', 'codec.json is not written as isthmus writes it');
  }
  return parsed.data;
}

/** The first thing that is wrong, and where; a hostile file could have a million of them. */
function problemOf({ issues: [issue] }: z.ZodError): string {
  const where = z.core.toDotPath(issue.path);
  return `${where && ` at ${where}`}: ${issue.message.slice(0, 200)}`;
}

/** The one way to write a definition: keys sorted, no white space. */
function definitionBytes(definition: CodecDefinition): Uint8Array {
  const sorted = (_: string, value: unknown): unknown =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return new TextEncoder().encode(JSON.stringify(definition, sorted));
}

/** A new codec, whose definition is held to the same form as one that is read. Throws `INVALID_ARGUMENT`, `CODEC_INVALID`. */
function made(definition: CodecDefinition, entries: Entries): Codec {
  const parsed = definitionSchema.safeParse(definition);
  if (!parsed.success) {
    throw new IsthmusError('INVALID_ARGUMENT', `a codec's definition${problemOf(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  return assemble(parsed.data, entries).codec;
}

/** The codec of a definition of the right form, with the entries it names. Throws `CODEC_INVALID` where they do not fit. */
function assemble(definition: CodecDefinition, entries: Entries, limits = limitsOf()): OpenedCodec {
  const body = bodyOf(definition, entries);
  const { features } = definition;
  const coded = definition.kind === 'learned' ? latentTensors(definition.latents) : features;
  const json = definitionBytes(definition);
  const id = new ByteReader(sha256(json), 'CODEC_INVALID', 'hash').u32();
  const all = new Map([['codec.json', json], ...entries]);
  const codec: Codec = {
    kind: definition.kind,
    id,
    features,
    coded,
    transforms: definition.kind === 'learned' ? readTransforms(entries, features, coded, limits) : null,
    setting: settingOf(definition),
    model: definition.model,
    encode: (given) => sealPacket(id, body.encode(given)),
    decode: (packet) => body.decode(packetBody(packet, id)),
    idealBytes: (given) => {
      const bits = body.idealBits(given);
      return bits === null ? null : FRAME_BYTES + bits / 8;
    },
    itemize: (packet) => [{ what: 'frame', bytes: FRAME_BYTES }, ...body.itemize(packetBody(packet, id))],
    entries: all,
    toBytes: (card) =>
      writeArchive(card === undefined ? all : new Map([...all, ['card.md', new TextEncoder().encode(card)]])),
  };
  return { codec, body };
}

function settingOf(definition: CodecDefinition): string {
  if (definition.kind === 'int8-deflate') return `levels ${definition.levels}`;
  if (definition.kind === 'klt') return stepsOf(definition.parts);
  return definition.kind === 'learned' ? stepsOf(definition.latents) : '';
}

function stepsOf(parts: readonly { readonly step: number }[]): string {
  return `step ${[...new Set(parts.map(({ step }) => Number(step.toPrecision(4))))].join('/')}`;
}

function bodyOf(definition: CodecDefinition, entries: Entries): CodecBody {
  const { features } = definition;
  const needed = entriesOf(definition, entries);
  if (entries.size !== needed) {
    throw new IsthmusError('CODEC_INVALID', `this ${definition.kind} codec has ${needed} entries, not ${entries.size}`);
  }
  switch (definition.kind) {
    case 'raw-f32':
    case 'raw-f16':
      return rawBody(definition.kind, features);
    case 'int8-deflate':
      return int8DeflateBody(features, definition.levels);
    case 'klt':
      return kltBody(features, kltParts(definition, entries), definition.version);
    case 'learned':
      return learnedBody(learnedLatents(definition, entries));
  }
}

function entriesOf(definition: CodecDefinition, entries: Entries): number {
  if (definition.kind === 'klt') return kltEntryCount(definition, entries);
  return definition.kind === 'learned' ? 2 + definition.latents.length : 0;
}

function learnedLatents(
  { features, latents }: Extract<CodecDefinition, { kind: 'learned' }>,
  entries: Entries,
): Latent[] {
  const cut = new Set(features.map(({ name }) => name));
  return latents.map((latent, i) => {
    if (cut.has(latent.name)) {
      throw new IsthmusError('CODEC_INVALID', `latent ${i} of a learned codec has the name of a tensor at the cut`);
    }
    return { ...latent, model: readModel(entries.get(`tables-${i}.bin`) ?? new Uint8Array(), latent.components) };
  });
}
