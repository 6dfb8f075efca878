import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IsthmusError } from '../../errors.ts';
import type { Cache } from '../../evaluate/index.ts';
import { batchesOf, throwIfAborted } from '../../evaluate/measure.ts';
import { allocate, elements, type Tensor, tensor } from '../../tensor.ts';
import { type Column, RowFile, stacked } from './row-file.ts';

export interface RowsOptions {
  readonly cache: Cache;
  /** Cache keys of the files that hold the rows, one after the other: of each version of the training pictures, say. */
  readonly keys: readonly string[];
  /** Rows in each file. */
  readonly rowsPerFile: number;
  readonly columns: readonly Column[];
}

export interface FillOptions {
  /** Rows that are made at once. */
  readonly batch: number;
  readonly signal?: AbortSignal;
  /** Told how many rows there are, of all. */
  readonly onRows?: (done: number, total: number) => void;
}

/** Makes rows of the file with that number, one tensor a column, stacked. */
export type MakeRows = (file: number, rows: readonly number[]) => Promise<readonly Tensor[]>;

/**
 * Rows of tensors in the cache's folder, made once and read in any order, never all in memory. A row is good or absent
 * ({@link RowFile}), so that a run that was killed is gone on with, and damaged rows are made again.
 */
export class Rows {
  readonly #files: readonly RowFile[];
  readonly #rowsPerFile: number;

  private constructor(files: readonly RowFile[], rowsPerFile: number) {
    this.#files = files;
    this.#rowsPerFile = rowsPerFile;
  }

  /** Throws `FILE_UNWRITABLE`. */
  static async open({ cache, keys, rowsPerFile, columns }: RowsOptions): Promise<Rows> {
    const files: RowFile[] = [];
    try {
      for (const key of keys) files.push(await RowFile.open(cache.path('rows', key), key, columns));
    } catch (thrown) {
      await Promise.all(files.map((file) => file.close()));
      throw thrown;
    }
    return new Rows(files, rowsPerFile);
  }

  get count(): number {
    return this.#files.length * this.#rowsPerFile;
  }

  get columns(): readonly Column[] {
    return this.#files[0].columns;
  }

  /**
   * Makes the rows that are absent. Throws `ABORTED` between batches, `FILE_UNWRITABLE` where there is not enough room (asked
   * for before anything is made) or the disk fills; what was made stays. Throws what `make` throws.
   */
  async fill(make: MakeRows, { batch, signal, onRows }: FillOptions): Promise<void> {
    const absent: (readonly number[])[] = [];
    for (const file of this.#files) absent.push(await file.absent(this.#rowsPerFile, signal));
    const missing = absent.reduce((sum, rows) => sum + rows.length, 0);
    if (missing > 0) await checkRoom(this.#files[0], missing);
    let done = this.count - missing;
    onRows?.(done, this.count);
    for (const [at, file] of this.#files.entries()) {
      for (const rows of batchesOf(absent[at], batch)) {
        throwIfAborted(signal);
        await file.write(rows, await make(at, rows));
        done += rows.length;
        onRows?.(done, this.count);
      }
    }
  }

  /**
   * Rows in the order asked for, one tensor a column, stacked, float16 as float32. Row r is row `r % rowsPerFile` of file
   * `floor(r / rowsPerFile)`. Throws `INVALID_ARGUMENT` for a row that does not exist, `FILE_UNREADABLE` for one that is damaged.
   */
  async read(rows: readonly number[]): Promise<Tensor[]> {
    const columns = this.columns.map((column) => {
      const dtype = column.dtype === 'float16' ? 'float32' : column.dtype;
      const length = elements(column.shape);
      const data = allocate(dtype, rows.length * length) as Float32Array | Int32Array;
      return { length, data, value: tensor(dtype, stacked(column, rows.length), data) };
    });
    await Promise.all(
      rows.map((row, i) => {
        if (!(Number.isInteger(row) && row >= 0 && row < this.count)) {
          throw new IsthmusError('INVALID_ARGUMENT', `there is no row ${row}; rows are 0 to ${this.count - 1}`);
        }
        const file = this.#files[Math.floor(row / this.#rowsPerFile)];
        const targets = columns.map(({ length, data }) => data.subarray(i * length, (i + 1) * length));
        return file.read(row % this.#rowsPerFile, targets);
      }),
    );
    return columns.map(({ value }) => value);
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }
}

/** Throws `FILE_UNWRITABLE` where the file system has less room than rows need. */
async function checkRoom({ path, recordBytes }: RowFile, rows: number): Promise<void> {
  const folder = dirname(path);
  const { bavail, bsize } = await statfs(folder);
  const needed = rows * recordBytes;
  if (needed <= bavail * bsize) return;
  throw new IsthmusError(
    'FILE_UNWRITABLE',
    `${rows} rows need ${gigabytes(needed)} in ${folder}, where ${gigabytes(bavail * bsize)} are free; make room or name ` +
      'another cache folder',
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
