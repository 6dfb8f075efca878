import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { dirname } from 'node:path';
import { IsthmusError, messageOf } from '../../errors.ts';
import { makeFolder } from '../../evaluate/index.ts';
import { throwIfAborted } from '../../evaluate/measure.ts';
import { readRange } from '../../files.ts';
import { byteLength, fromFloat32, halfToFloat, type NumericData, type Tensor, toFloat32 } from '../../tensor.ts';

/**
 * One tensor of every row. `shape` is that of one row with the axis first along which rows are stacked: n rows are
 * `[n * shape[0], …]`. Values of float16 are written from floats, to nearest, and read as float32.
 */
export interface Column {
  readonly name: string;
  readonly dtype: 'float16' | 'float32' | 'int32';
  readonly shape: readonly number[];
}

const SUM_BYTES = 32;
/** Columns start where any array may. */
const ALIGNMENT = 8;
/** Bytes that are read at once where all rows are looked through. */
const SCAN_BYTES = 2 ** 23;

/**
 * Rows on disk: row i is the record at i times the record's length, the SHA-256 of (key, i, values) and the values as
 * the machine holds them. A record whose checksum is not right, was never written or lies past the end is absent and can
 * be written at any time, so that a killed run leaves rows that are good and rows that are absent, and nothing else.
 */
export class RowFile {
  readonly path: string;
  readonly columns: readonly Column[];
  readonly #key: string;
  readonly #handle: FileHandle;
  readonly #offsets: readonly number[];
  readonly #recordBytes: number;

  private constructor(path: string, key: string, columns: readonly Column[], handle: FileHandle) {
    this.path = path;
    this.columns = columns;
    this.#key = JSON.stringify([key, endianness(), columns.map(({ dtype, shape }) => [dtype, shape])]);
    this.#handle = handle;
    let end = SUM_BYTES;
    this.#offsets = columns.map(({ dtype, shape }) => {
      const start = end;
      end += Math.ceil(byteLength(dtype, shape) / ALIGNMENT) * ALIGNMENT;
      return start;
    });
    this.#recordBytes = end;
  }

  /** Opens the file, or makes an empty one. `key` says what the rows are of. Throws `FILE_UNWRITABLE`. */
  static async open(path: string, key: string, columns: readonly Column[]): Promise<RowFile> {
    await makeFolder(dirname(path));
    try {
      return new RowFile(path, key, columns, await open(path, constants.O_RDWR | constants.O_CREAT));
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  get recordBytes(): number {
    return this.#recordBytes;
  }

  /** Of rows 0 to `count - 1`, those that are absent, in order. Reads the whole file. Throws `ABORTED`, `FILE_UNREADABLE`. */
  async absent(count: number, signal?: AbortSignal): Promise<number[]> {
    const { size } = await this.#reading(() => this.#handle.stat());
    const written = Math.min(count, Math.floor(size / this.#recordBytes));
    const atOnce = Math.max(1, Math.floor(SCAN_BYTES / this.#recordBytes));
    const absent: number[] = [];
    for (let from = 0; from < written; from += atOnce) {
      throwIfAborted(signal);
      const rows = Math.min(atOnce, written - from);
      const bytes = await this.#reading(() =>
        readRange(this.#handle, from * this.#recordBytes, rows * this.#recordBytes),
      );
      for (let i = 0; i < rows; i++) {
        const record = bytes.subarray(i * this.#recordBytes, (i + 1) * this.#recordBytes);
        if (!this.#isGood(record, from + i)) absent.push(from + i);
      }
    }
    for (let row = written; row < count; row++) absent.push(row);
    return absent;
  }

  /**
   * Writes rows; `values` holds one tensor a column, the rows stacked. Throws `TENSOR_INVALID` for another shape or a float
   * that is not finite in the column's type, `FILE_UNWRITABLE` (a full disk): then those rows are absent, and others stay.
   */
  async write(rows: readonly number[], values: readonly Tensor[]): Promise<void> {
    const records = new Uint8Array(rows.length * this.#recordBytes);
    for (const [at, column] of this.columns.entries()) {
      const { data } = inColumn(column, rows.length, values[at]);
      const { buffer, byteOffset, byteLength: bytes } = data as NumericData;
      const each = bytes / rows.length;
      for (let i = 0; i < rows.length; i++) {
        const part = new Uint8Array(buffer, byteOffset + i * each, each);
        records.set(part, i * this.#recordBytes + this.#offsets[at]);
      }
    }
    for (const [i, row] of rows.entries()) {
      const record = records.subarray(i * this.#recordBytes, (i + 1) * this.#recordBytes);
      record.set(this.#sum(record, row));
    }
    try {
      // Rows that follow one another are written at once.
      for (let i = 0; i < rows.length; ) {
        let end = i + 1;
        while (end < rows.length && rows[end] === rows[end - 1] + 1) end++;
        await this.#writeAt(records.subarray(i * this.#recordBytes, end * this.#recordBytes), rows[i]);
        i = end;
      }
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }

  /** The values of a row, a tensor a column, written over `targets`. Throws `FILE_UNREADABLE` for a row that is absent. */
  async read(row: number, targets: readonly (Float32Array | Int32Array)[]): Promise<void> {
    const { buffer, byteOffset } = await this.#reading(async () => {
      const bytes = await readRange(this.#handle, row * this.#recordBytes, this.#recordBytes);
      if (!this.#isGood(bytes, row)) throw new Error(`row ${row} is damaged or was never made`);
      return bytes;
    });
    for (const [at, { dtype }] of this.columns.entries()) {
      const target = targets[at];
      const start = byteOffset + this.#offsets[at];
      if (dtype === 'float16') {
        halfToFloat(new Uint16Array(buffer as ArrayBuffer, start, target.length), target as Float32Array);
      } else {
        target.set(new (dtype === 'int32' ? Int32Array : Float32Array)(buffer as ArrayBuffer, start, target.length));
      }
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #writeAt(bytes: Uint8Array, row: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(
        bytes,
        done,
        bytes.length - done,
        row * this.#recordBytes + done,
      );
      done += bytesWritten;
    }
  }

  #sum(record: Uint8Array, row: number): Buffer {
    return createHash('sha256').update(`${this.#key} ${row}\n`).update(record.subarray(SUM_BYTES)).digest();
  }

  #isGood(record: Uint8Array, row: number): boolean {
    return record.length === this.#recordBytes && this.#sum(record, row).equals(record.subarray(0, SUM_BYTES));
  }

  async #reading<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw new IsthmusError(
        'FILE_UNREADABLE',
        `cannot read ${this.path}: ${messageOf(cause)}; run again, and what is missing is made anew`,
        { cause },
      );
    }
  }
}

/** The shape of stacked rows. */
export function stacked({ shape }: Column, rows: number): number[] {
  return [rows * shape[0], ...shape.slice(1)];
}

/** Stacked rows in the column's type. */
function inColumn(column: Column, rows: number, value: Tensor | undefined): Tensor {
  const shape = stacked(column, rows);
  if (value === undefined || `${value.shape}` !== `${shape}`) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `${rows} rows of '${column.name}' have the shape [${shape}], got [${value?.shape}]`,
    );
  }
  if (column.dtype === 'int32') {
    if (value.dtype === 'int32') return value;
    throw new IsthmusError('TENSOR_INVALID', `'${column.name}' is kept as int32, got ${value.dtype}`);
  }
  const floats = toFloat32(value);
  const kept = value.dtype === column.dtype ? value : fromFloat32(column.dtype, shape, floats);
  const bad = notFinite(kept);
  if (bad === -1) return kept;
  throw new IsthmusError(
    'TENSOR_INVALID',
    `'${column.name}' has the value ${floats[bad]}, which ${column.dtype} cannot hold; cut elsewhere`,
  );
}

/** Where a float of 16 or 32 bits is infinite or NaN; -1 where none is. */
function notFinite({ dtype, data }: Tensor): number {
  const values = data as NumericData;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (dtype === 'float16' ? (value & 0x7c00) === 0x7c00 : !Number.isFinite(value)) return i;
  }
  return -1;
}

function unwritable(path: string, cause: unknown): IsthmusError {
  const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
  return new IsthmusError(
    'FILE_UNWRITABLE',
    `cannot write ${path}: ${messageOf(cause)}; ${full ? 'make room' : 'check permissions'} or name another cache ` +
      'folder, and run again: what was finished is kept',
    { cause },
  );
}
