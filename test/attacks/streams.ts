import type { Codec } from '../../src/codec/index.ts';
import { StreamReader, StreamWriter } from '../../src/entropy/coder.ts';
import { type EntropyModel, readModel } from '../../src/entropy/model.ts';
import { RansEncoder } from '../../src/entropy/rans.ts';
import { lanesFor } from '../../src/entropy/sequence.ts';
import { TableBank } from '../../src/entropy/tables.ts';
import { decodePlain, encodePlain } from './twins.ts';

/** An escape of any form, also of forms that no encoder writes. */
export interface Escape {
  readonly below: number;
  /** 0 to 31; 31 is forbidden. */
  readonly digits: number;
  readonly rest: number;
}

/** The integers of a body, both ways: in plain TypeScript, where a codec may use WebAssembly. */
export interface Stream {
  decode(body: Uint8Array): Int32Array[];
  encode(integers: readonly Int32Array[]): Uint8Array;
  /**
   * The stream of `integers`, with `given` instead of integer `at` of tensor `part`: right to its last state. Null where escapes have
   * another form than a static table's, or lanes.
   */
  readonly encodeWithEscape:
    | ((integers: readonly Int32Array[], part: number, at: number, given: Escape) => Uint8Array)
    | null;
  /** For each tensor, integers near which something changes: the first of an alphabet and the first past it. */
  readonly ends: readonly Int32Array[];
}

/** The stream of a `klt` or `learned` codec's packets; null for other kinds. */
export function streamOf(codec: Codec): Stream | null {
  if (codec.kind !== 'klt' && codec.kind !== 'learned') return null;
  const { parts, latents } = JSON.parse(new TextDecoder().decode(codec.entries.get('codec.json')));
  const models: EntropyModel[] = [];
  const lengths: number[] = [];
  for (const [i, { components, layout, vectors = layout.outer * layout.inner }] of (parts ?? latents).entries()) {
    models.push(readModel(codec.entries.get(`tables-${i}.bin`) as Uint8Array, components));
    lengths.push(vectors * components);
  }
  const banks = models.filter((model) => model instanceof TableBank);
  if (banks.length < models.length) return modelStream(models, lengths);
  return bankStream(banks, lengths);
}

function modelStream(models: readonly EntropyModel[], lengths: readonly number[]): Stream {
  return {
    decode(body) {
      const reader = new StreamReader(body);
      const integers = lengths.map((length) => new Int32Array(length));
      for (const [i, model] of models.entries()) model.code(reader, integers[i]);
      reader.finish();
      return integers;
    },
    encode(integers) {
      const writer = new StreamWriter();
      for (const [i, model] of models.entries()) model.code(writer, integers[i].slice());
      return writer.finish();
    },
    encodeWithEscape: null,
    ends: models.map(() => Int32Array.of(-15, 0, 15)),
  };
}

function bankStream(banks: readonly TableBank[], lengths: readonly number[]): Stream {
  const lanes = lanesFor(banks.map((model, i) => ({ model, length: lengths[i] })));
  const ends = banks.map(({ low, offset, size }) =>
    Int32Array.from({ length: 2 * size }, (_, i) => {
      const table = i >> 1;
      return i % 2 === 0 ? low[table] : low[table] + offset[table + 1] - offset[table] - 1;
    }),
  );
  return {
    decode: (body) => decodePlain(banks, body, lengths, lanes),
    encode: (integers) => encodePlain(banks, integers, lanes),
    encodeWithEscape:
      lanes > 1
        ? null
        : (integers, part, at, given) => {
            const encoder = new RansEncoder();
            for (let i = banks.length - 1; i >= 0; i--) {
              for (let j = integers[i].length - 1; j >= 0; j--) {
                pushInteger(
                  encoder,
                  banks[i],
                  j % banks[i].size,
                  integers[i][j],
                  i === part && j === at ? given : null,
                );
              }
            }
            return encoder.finish();
          },
    ends,
  };
}

/** docs/packet.md, "Integers and escapes", for one integer or for an escape that is given. */
function pushInteger(
  encoder: RansEncoder,
  bank: TableBank,
  table: number,
  integer: number,
  given: Escape | null,
): void {
  const { precision, low, offset, start, frequency } = bank;
  const last = offset[table + 1] - 1;
  const at = integer - low[table] + offset[table];
  if (given === null && at >= offset[table] && at < last) {
    encoder.push(start[at], frequency[at], precision);
    return;
  }
  const distance = at < offset[table] ? offset[table] - at : at - last + 1;
  const own = 31 - Math.clz32(distance);
  const { below, digits, rest } = given ?? { below: at < last ? 1 : 0, digits: own, rest: distance - 2 ** own };
  const high = Math.min(digits - 15, 15);
  if (digits > 15) encoder.pushBits((rest >>> 15) & (2 ** high - 1), high);
  if (digits > 0) encoder.pushBits(rest & (2 ** Math.min(digits, 15) - 1), Math.min(digits, 15));
  encoder.pushBits(digits, 5);
  encoder.pushBits(below, 1);
  encoder.push(start[last], frequency[last], precision);
}
