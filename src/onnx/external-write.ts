import { createHash } from 'node:crypto';
import { basename, dirname, extname, join } from 'node:path';
import { clearField, create } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import { openRegular, readRange, writeBeside } from '../files.ts';
import type { Graph } from './graph.ts';
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from './onnx_pb.ts';
import { writeGraph } from './read.ts';
import { tensorsOf } from './walk.ts';

export interface ExternalOptions {
  /** Name of the data file, beside the model. By default the model's name with a hash of the data, such as `m-1a2b3c4d.data`. */
  readonly name?: string;
  /** Raw bytes from which on a tensor is moved; 1024 by default. */
  readonly threshold?: number;
}

/** Regions start at multiples of a page, so that runtimes can map them. */
const ALIGNMENT = 4096;
const BLOCK = 2 ** 24;

interface Move {
  readonly tensor: TensorProto;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/**
 * Writes the large raw tensors of a graph into a data file beside `path` and gives the bytes of the model that refers
 * to it. The graph itself stays as it is. A file of the data file's name is left alone if it has the same bytes, and is
 * otherwise never replaced, since an older model may need it. Strings and typed lists stay in the model.
 * Throws `INVALID_ARGUMENT`, `FILE_UNWRITABLE`, and `ONNX_INVALID` where the model cannot be written.
 */
export async function moveToExternalData(graph: Graph, path: string, options: ExternalOptions): Promise<Uint8Array> {
  const moves = planMoves(graph, options.threshold ?? 1024);
  const hash = createHash('sha256');
  for (const chunk of chunksOf(moves)) hash.update(chunk);
  const digest = hash.digest('hex');
  const name = options.name ?? `${basename(path, extname(path))}-${digest.slice(0, 8)}.data`;
  if (!isPlainName(name) || name === basename(path)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `the data file's name must be a plain file name other than the model's, got '${name}'`,
    );
  }
  // Made before anything is written, so that a graph that cannot be written leaves nothing behind.
  const bytes = writeReferring(graph, moves, name);
  if (moves.length > 0) await writeData(join(dirname(path), name), moves, digest);
  return bytes;
}

function isPlainName(name: string): boolean {
  return !['', '.', '..'].includes(name) && !['/', '\\', ':', '\0'].some((mark) => name.includes(mark));
}

function planMoves(graph: Graph, threshold: number): Move[] {
  const moves: Move[] = [];
  let end = 0;
  for (const tensor of tensorsOf(graph)) {
    const bytes = tensor.rawData;
    if (bytes.length === 0 || bytes.length < threshold) continue;
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    moves.push({ tensor, bytes, offset });
    end = offset + bytes.length;
  }
  return moves;
}

function* chunksOf(moves: readonly Move[]): Generator<Uint8Array> {
  let end = 0;
  for (const { bytes, offset } of moves) {
    if (offset > end) yield new Uint8Array(offset - end);
    yield bytes;
    end = offset + bytes.length;
  }
}

/** The model's bytes with references in the place of data. The graph is changed and changed back, which copies no data. */
function writeReferring(graph: Graph, moves: readonly Move[], name: string): Uint8Array {
  const entry = (key: string, value: string | number) =>
    create(StringStringEntryProtoSchema, { key, value: String(value) });
  try {
    for (const { tensor, bytes, offset } of moves) {
      clearField(tensor, TensorProtoSchema.field.rawData);
      tensor.externalData = [entry('location', name), entry('offset', offset), entry('length', bytes.length)];
      tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    }
    return writeGraph(graph);
  } finally {
    for (const { tensor, bytes } of moves) {
      tensor.rawData = bytes;
      tensor.externalData = [];
      clearField(tensor, TensorProtoSchema.field.dataLocation);
    }
  }
}

async function writeData(path: string, moves: readonly Move[], digest: string): Promise<void> {
  const existing = await digestOf(path);
  if (existing === digest) return;
  if (existing !== undefined) {
    throw new IsthmusError(
      'FILE_UNWRITABLE',
      `${path} exists with other data, which a model may need; remove it or choose another name for the data file`,
    );
  }
  await writeBeside(path, chunksOf(moves));
}

/** SHA-256 of a file, `undefined` where there is none. */
async function digestOf(path: string): Promise<string | undefined> {
  let opened: Awaited<ReturnType<typeof openRegular>>;
  try {
    opened = await openRegular(path, 'the data file');
  } catch (thrown) {
    if (thrown instanceof IsthmusError && thrown.code === 'FILE_NOT_FOUND') return undefined;
    throw thrown;
  }
  const { handle, size } = opened;
  try {
    const hash = createHash('sha256');
    for (let at = 0; at < size; at += BLOCK) hash.update(await readRange(handle, at, Math.min(BLOCK, size - at)));
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}
