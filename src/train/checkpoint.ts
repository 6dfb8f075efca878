import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { z } from 'zod';
import { IsthmusError, messageOf } from '../errors.ts';
import { readWhole, writeBeside } from '../files.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import { dataTypeOf, protoOf, tensorOf } from '../onnx/index.ts';
import { TensorProtoSchema } from '../onnx/onnx_pb.ts';
import { byteLength, type Tensor } from '../tensor.ts';
import type { TrainerState } from './trainer.ts';

/*
 * A checkpoint is a safetensors file, so that other programs can look into it: the length of the header (8 bytes,
 * little-endian), the header (JSON, padded with spaces to a multiple of 8), the tensors one after the other. All are
 * float32. `__metadata__` says what it is, of which training, after which step, and the SHA-256 of the whole file with
 * 64 zeros in the place of that hash.
 * https://github.com/huggingface/safetensors#format
 */
const FORMAT = 'isthmus checkpoint';
const VERSION = '1';
const NO_HASH = '0'.repeat(64);

const METADATA = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION, `this isthmus reads version ${VERSION}; update it`),
  training: z.string(),
  step: z.string().regex(/^\d{1,15}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const ENTRY = z.strictObject({
  dtype: z.literal('F32'),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/**
 * Writes what training goes on from, beside its place and renamed, so that the last checkpoint stays where this one
 * cannot be written. `training` identifies recipe and graph. Throws `FILE_UNWRITABLE`.
 */
export async function writeCheckpoint(path: string, training: string, { step, tensors }: TrainerState): Promise<void> {
  const names = Object.keys(tensors).sort();
  const data = names.map((name) => protoOf(name, tensors[name]).rawData);
  let end = 0;
  const entries = names.map((name, i) => {
    const start = end;
    end += data[i].length;
    return [name, { dtype: 'F32', shape: tensors[name].shape, data_offsets: [start, end] }];
  });
  const headerOf = (sha256: string) => {
    const metadata = { format: FORMAT, version: VERSION, training, step: `${step}`, sha256 };
    return frame(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  };
  const hash = hashOf([headerOf(NO_HASH), ...data]);
  await writeBeside(path, [headerOf(hash), ...data]);
}

/** A header with its length before it and spaces after it. */
function frame(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(text, 8);
  return bytes;
}

function hashOf(chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * Reads a checkpoint. Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `LIMIT_EXCEEDED`; `CHECKPOINT_INVALID` for a file that is
 * none, damaged, or of a later version; `CHECKPOINT_FOREIGN` for another training's.
 */
export async function readCheckpoint(
  path: string,
  training: string,
  options: { readonly limits?: Partial<Limits> } = {},
): Promise<TrainerState> {
  const limits = limitsOf(options.limits);
  const bytes = await readWhole(path, limits, 'checkpointBytes', 'the checkpoint');
  try {
    const checkpoint = parseCheckpoint(bytes, limits);
    if (checkpoint.training === training) return checkpoint;
  } catch (cause) {
    if (!(cause instanceof IsthmusError)) throw cause;
    throw new IsthmusError(cause.code, `${path}: ${cause.message}`, { cause });
  }
  throw new IsthmusError(
    'CHECKPOINT_FOREIGN',
    `${path} was made by another training: another model, recipe or data; go on with the ones it was made with, or name ` +
      'another file',
  );
}

/** A checkpoint's state, and the training that it belongs to. Throws `CHECKPOINT_INVALID`, `LIMIT_EXCEEDED`. */
export function parseCheckpoint(
  bytes: Uint8Array,
  limits: Readonly<Limits>,
): TrainerState & { readonly training: string } {
  const { text, dataStart } = headerIn(bytes, limits);
  const { __metadata__: metadata, ...entries } = attempt(() =>
    z.record(z.string(), z.unknown()).parse(JSON.parse(text)),
  );
  const { training, step, sha256 } = attempt(() => METADATA.parse(metadata));
  const header = frame(text.trimEnd().replace(`"${sha256}"`, `"${NO_HASH}"`));
  const data = bytes.subarray(dataStart);
  if (header.length !== dataStart || hashOf([header, data]) !== sha256) invalid('its hash is not that of its content');
  const tensors: Record<string, Tensor> = {};
  const parsed = Object.entries(entries).map(([name, value]) => ({ name, ...attempt(() => ENTRY.parse(value)) }));
  let end = 0;
  // By where they lie, because JavaScript's objects move keys such as "12" to the front.
  for (const { name, shape, data_offsets } of parsed.sort(
    (a, b) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  )) {
    within(limits, 'tensorRank', shape.length, `dimensions of tensor '${name}'`);
    const [start, stop] = data_offsets;
    if (start !== end || stop - start !== byteLength('float32', shape) || stop > data.length) {
      invalid(`tensor '${name}' does not lie where it should`);
    }
    tensors[name] = tensorOf(
      create(TensorProtoSchema, {
        name,
        dims: shape.map(BigInt),
        dataType: dataTypeOf('float32'),
        rawData: data.subarray(start, stop),
      }),
      limits,
    );
    end = stop;
  }
  if (end !== data.length) invalid('bytes follow the last tensor');
  return { training, step: Number(step), tensors };
}

function headerIn(bytes: Uint8Array, limits: Readonly<Limits>): { text: string; dataStart: number } {
  if (bytes.length < 8) invalid('it is too short');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(bytes.length - 8)) invalid('it is cut short, or no checkpoint');
  within(limits, 'checkpointHeaderBytes', Number(length), 'bytes of the header');
  const dataStart = 8 + Number(length);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return { text: attempt(() => decoder.decode(bytes.subarray(8, dataStart))), dataStart };
}

function attempt<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    return invalid(cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause), cause);
  }
}

function invalid(why: string, cause?: unknown): never {
  throw new IsthmusError(
    'CHECKPOINT_INVALID',
    `no checkpoint, or a damaged one: ${why}; start from another checkpoint, or anew`,
    { cause },
  );
}
