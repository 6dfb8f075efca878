import { createHash } from 'node:crypto';
import { access, constants, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import envPaths from 'env-paths';
import { IsthmusError, messageOf } from '../errors.ts';
import { writeBeside } from '../files.ts';
import { allocate, type DType, type NumericData, type Tensor, tensor } from '../tensor.ts';

/**
 * What is kept: features at a cut, what tasks' losses feel there, answers of the reference, codecs fitted for a run, finished points;
 * `rows` are files of many records with a form and checksums of their own (`src/train/data/row-file.ts`).
 */
export type CacheKind = 'features' | 'sensitivities' | 'answers' | 'codecs' | 'points' | 'rows';

const SUM_BYTES = 32;

/** The folder that the user's system keeps caches in. */
export function defaultCacheFolder(): string {
  return envPaths('isthmus', { suffix: '' }).cache;
}

/**
 * A key of everything that decides a result: the SHA-256 of the parts' JSON. Model and image bytes go in as
 * {@link contentHash}.
 */
export function cacheKey(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

export function contentHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Results on disk by content hash. An entry is a checksum and its bytes, written beside and renamed; one that is
 * damaged or cannot be read counts as absent, so that it is made again. Deleting the folder loses only time.
 */
export class Cache {
  readonly folder: string;

  constructor(folder: string = defaultCacheFolder()) {
    this.folder = folder;
  }

  async read(kind: CacheKind, key: string): Promise<Uint8Array | undefined> {
    const entry = await readFile(this.path(kind, key)).catch(() => undefined);
    if (entry === undefined || entry.length < SUM_BYTES) return undefined;
    const bytes = entry.subarray(SUM_BYTES);
    const sum = createHash('sha256').update(bytes).digest();
    return sum.equals(entry.subarray(0, SUM_BYTES)) ? bytes : undefined;
  }

  /** Throws `FILE_UNWRITABLE`. */
  async write(kind: CacheKind, key: string, bytes: Uint8Array): Promise<void> {
    const sum = createHash('sha256').update(bytes).digest();
    const path = this.path(kind, key);
    await makeFolder(dirname(path));
    await writeBeside(path, [sum, bytes]);
  }

  async readJson<T>(kind: CacheKind, key: string): Promise<T | undefined> {
    const bytes = await this.read(kind, key);
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T);
  }

  /** Throws `FILE_UNWRITABLE`. */
  async writeJson(kind: CacheKind, key: string, value: unknown): Promise<void> {
    await this.write(kind, key, Buffer.from(JSON.stringify(value)));
  }

  /** Entries and bytes of the whole folder. */
  async size(): Promise<{ readonly entries: number; readonly bytes: number }> {
    const files = await readdir(this.folder, { recursive: true, withFileTypes: true }).catch(() => []);
    let entries = 0;
    let bytes = 0;
    for (const file of files) {
      if (!file.isFile()) continue;
      entries++;
      bytes += (await stat(join(file.parentPath, file.name)).catch(() => ({ size: 0 }))).size;
    }
    return { entries, bytes };
  }

  /** Where an entry is kept. */
  path(kind: CacheKind, key: string): string {
    return join(this.folder, kind, key.slice(0, 2), key);
  }
}

/** Makes a folder and those above it. Throws `FILE_UNWRITABLE`, also for one that is there and cannot be written into. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeMissing(resolve(path));
    await access(path, constants.W_OK);
  } catch (cause) {
    throw new IsthmusError('FILE_UNWRITABLE', `cannot write into ${path}: ${messageOf(cause)}; name another folder`, {
      cause,
    });
  }
}

/** Not `mkdir`'s own recursion: it never ends where a file system (/proc) says of an existing parent that it is not there. */
async function makeMissing(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  if (found) throw new Error('there is a file of that name');
  const above = dirname(path);
  if (above !== path) await makeMissing(above);
  await mkdir(path).catch((thrown: NodeJS.ErrnoException) => {
    // Another process was faster.
    if (thrown.code !== 'EEXIST') throw thrown;
  });
}

/** Float tensors as bytes, exact: a line of JSON (names of types and shapes), then the values as the machine holds them. */
export function packTensors(tensors: readonly Tensor[]): Uint8Array {
  const header = JSON.stringify({
    endian: ENDIAN,
    tensors: tensors.map(({ dtype, shape }) => ({ dtype, shape })),
  });
  const views = tensors.map(({ data }) => {
    const { buffer, byteOffset, byteLength } = data as NumericData;
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
  return Buffer.concat([Buffer.from(`${header}\n`), ...views]);
}

/** The inverse of {@link packTensors}; undefined for bytes that a machine of the other byte order wrote. */
export function unpackTensors(bytes: Uint8Array): Tensor[] | undefined {
  const end = bytes.indexOf(10);
  const header = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString('utf8')) as {
    endian: string;
    tensors: { dtype: DType; shape: number[] }[];
  };
  if (header.endian !== ENDIAN) return undefined;
  let offset = end + 1;
  return header.tensors.map(({ dtype, shape }) => {
    const data = allocate(
      dtype,
      shape.reduce((a, b) => a * b, 1),
    ) as NumericData;
    const target = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    target.set(bytes.subarray(offset, offset + data.byteLength));
    offset += data.byteLength;
    return tensor(dtype, shape, data);
  });
}

const ENDIAN = endianness();
