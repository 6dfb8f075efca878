import type { Codec } from '../../src/codec/index.ts';
import { RansDecoder, RansEncoder, TableBank } from '../../src/entropy/index.ts';
import { elements } from '../../src/tensor.ts';

/** An escape of any form, also of forms that no encoder writes. */
export interface Escape {
  readonly below: number;
  /** 0 to 31; 31 is forbidden. */
  readonly digits: number;
  readonly rest: number;
}

/** The integers of a body, both ways. */
export interface Stream {
  decode(body: Uint8Array): Int32Array[];
  encode(integers: readonly Int32Array[]): Uint8Array;
  /** The stream of `integers`, with `given` instead of integer `at` of tensor `part`: right to its last state. */
  encodeWithEscape(integers: readonly Int32Array[], part: number, at: number, given: Escape): Uint8Array;
  /** For each tensor, the first integer of each table's alphabet and the first past it: where escapes begin. */
  readonly ends: readonly Int32Array[];
}

interface Table {
  readonly low: number;
  readonly frequencies: readonly number[];
  readonly starts: readonly number[];
}

/** The stream of a codec's packets: kind `klt` with tables of format 1; null for others. */
export function streamOf(codec: Codec): Stream | null {
  if (codec.kind !== 'klt') return null;
  const { parts, version } = JSON.parse(new TextDecoder().decode(codec.entries.get('codec.json')));
  if (version !== 1) return null;
  const banks: TableBank[] = [];
  const tables: Table[][] = [];
  const lengths: number[] = [];
  for (const [i, { shape }] of codec.features.entries()) {
    const bytes = codec.entries.get(`tables-${i}.bin`) as Uint8Array;
    const { components, layout } = parts[i];
    banks.push(TableBank.fromBytes(bytes, components));
    tables.push(tablesOf(bytes));
    lengths.push((elements(shape) / layout.length) * components);
  }
  return {
    decode(body) {
      const decoder = new RansDecoder(body);
      const integers = banks.map((bank, i) => {
        const values = new Int32Array(lengths[i]);
        bank.decode(decoder, values);
        return values;
      });
      decoder.finish();
      return integers;
    },
    encode(integers) {
      const encoder = new RansEncoder();
      for (let i = banks.length - 1; i >= 0; i--) banks[i].encode(integers[i], encoder);
      return encoder.finish();
    },
    encodeWithEscape(integers, part, at, given) {
      const encoder = new RansEncoder();
      for (let i = banks.length - 1; i >= 0; i--) {
        for (let j = integers[i].length - 1; j >= 0; j--) {
          const table = tables[i][j % tables[i].length];
          pushInteger(encoder, banks[i].precision, table, integers[i][j], i === part && j === at ? given : null);
        }
      }
      return encoder.finish();
    },
    ends: tables.map((list) =>
      Int32Array.from(list.flatMap(({ low, frequencies }) => [low, low + frequencies.length - 1])),
    ),
  };
}

function tablesOf(bytes: Uint8Array): Table[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 6;
  return Array.from({ length: view.getUint32(2, true) }, () => {
    const low = view.getInt32(offset, true);
    const symbols = view.getUint16(offset + 4, true);
    const frequencies = Array.from({ length: symbols }, (_, i) => view.getUint16(offset + 6 + 2 * i, true));
    offset += 6 + 2 * symbols;
    let sum = 0;
    const starts = frequencies.map((frequency) => {
      sum += frequency;
      return sum - frequency;
    });
    return { low, frequencies, starts };
  });
}

/** docs/packet.md, "Integers and escapes", for one integer or for an escape that is given. */
function pushInteger(encoder: RansEncoder, precision: number, table: Table, integer: number, given: Escape | null) {
  const { low, frequencies, starts } = table;
  const last = frequencies.length - 1;
  const k = integer - low;
  if (given === null && k >= 0 && k < last) {
    encoder.push(starts[k], frequencies[k], precision);
    return;
  }
  const distance = k < 0 ? -k : k - last + 1;
  const ownDigits = 31 - Math.clz32(distance);
  const { below, digits, rest } = given ?? { below: k < 0 ? 1 : 0, digits: ownDigits, rest: distance - 2 ** ownDigits };
  if (digits > 15) encoder.pushBits((rest >>> 15) & (2 ** Math.min(digits - 15, 15) - 1), Math.min(digits - 15, 15));
  if (digits > 0) encoder.pushBits(rest & (2 ** Math.min(digits, 15) - 1), Math.min(digits, 15));
  encoder.pushBits(digits, 5);
  encoder.pushBits(below, 1);
  encoder.push(starts[last], frequencies[last], precision);
}
