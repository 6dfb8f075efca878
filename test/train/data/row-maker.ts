import { tensor } from '../../../src/tensor.ts';
import type { Column } from '../../../src/train/data/row-file.ts';
import type { MakeRows } from '../../../src/train/data/rows.ts';

export const COLUMNS: readonly Column[] = [
  { name: 'feature', dtype: 'float16', shape: [1, 3] },
  { name: 'logits', dtype: 'float32', shape: [2, 1] },
  { name: 'tokens', dtype: 'int32', shape: [1, 5] },
];
/** Values that follow from file and row, with a note of what was made. */
export function maker(made: string[] = []): MakeRows {
  return async (file, rows) => {
    made.push(...rows.map((row) => `${file}:${row}`));
    const of = (row: number, i: number) => Math.sin(1 + 100 * file + 10 * row + i) * 10;
    const floats = (each: number) =>
      Float32Array.from({ length: rows.length * each }, (_, at) => of(rows[Math.floor(at / each)], at % each));
    return [
      tensor('float32', [rows.length, 3], floats(3)),
      tensor('float32', [2 * rows.length, 1], floats(2)),
      tensor(
        'int32',
        [rows.length, 5],
        Int32Array.from(floats(5), (value) => value * 1000),
      ),
    ];
  };
}
