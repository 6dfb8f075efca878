import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import { apportion } from './apportion.ts';
import type { SymbolCoder } from './coder.ts';
import { costOf } from './cost.ts';
import { SCALES, SHAPES, type Shape, shapeWeights } from './shapes.ts';
import { type Table, TableBank } from './tables.ts';

const FORMAT = 2;
/** 14 bits, as for tables that are counted: 15 cost 0.1 % more, in the coder. */
const FIT_PRECISION = 14;
/** Escapes cost about this many bits beside the escape symbol, for the choice of a scale. */
const ESCAPE_BITS = 8;

/** Laplace, Gaussian or logistic tables around 0, named by one byte each: their scale. */
export class ParametricModel {
  readonly shape: Shape;
  readonly precision: number;
  /** [components]: scale indices, see {@link shapeWeights}. */
  readonly scales: Uint8Array;
  /** One table for each scale that is used; `#table[c]` is component c's. */
  readonly bank: TableBank;
  readonly #table: Uint16Array;

  /**
   * Makes the tables of these scale indices, 0 to 103, with `precision` of 12 to 15 bits. Throws `INVALID_ARGUMENT`.
   */
  constructor(shape: Shape, precision: number, scales: Uint8Array) {
    if (!SHAPES.includes(shape) || ![12, 13, 14, 15].includes(precision) || scales.some((s) => s >= SCALES)) {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `parametric tables: shape '${shape}', ${precision} bits, scales up to ${Math.max(...new Set(scales))}; known are ` +
          `${SHAPES.join(', ')}, 12 to 15 bits, scales 0 to ${SCALES - 1}`,
      );
    }
    this.shape = shape;
    this.precision = precision;
    this.scales = scales;
    const used = [...new Set(scales)].sort((a, b) => a - b);
    this.#table = Uint16Array.from(scales, (scale) => used.indexOf(scale));
    this.bank = TableBank.fromFrequencies(
      used.map((scale) => tableOf(shape, scale, precision)),
      precision,
    );
  }

  /** The scale of least integer cost for each component of sample features. */
  static fit(samples: readonly Int32Array[], components: number, shape: Shape): ParametricModel {
    const counts = Array.from({ length: components }, () => new Map<number, number>());
    for (const sample of samples) {
      for (let i = 0; i < sample.length; i++) {
        const magnitude = Math.abs(sample[i]);
        const of = counts[i % components];
        of.set(magnitude, (of.get(magnitude) ?? 0) + 1);
      }
    }
    const tables = Array.from({ length: SCALES }, (_, scale) => tableOf(shape, scale, FIT_PRECISION));
    const scales = Uint8Array.from(counts, (of) => {
      let best = 0;
      let least = Infinity;
      for (const [scale, { low, frequencies }] of tables.entries()) {
        let cost = 0;
        for (const [magnitude, count] of of) {
          const inside = magnitude <= -low;
          const place = inside ? magnitude - low : frequencies.length - 1;
          const past = inside ? 0 : (ESCAPE_BITS + 31 - Math.clz32(magnitude + low)) * 2 ** 16;
          cost += count * (costOf(frequencies[place], FIT_PRECISION) + past);
        }
        if (cost < least) [best, least] = [scale, cost];
      }
      return best;
    });
    return new ParametricModel(shape, FIT_PRECISION, scales);
  }

  /** Integers of a vector. */
  get components(): number {
    return this.scales.length;
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const components = this.scales.length;
    for (let i = 0, c = 0; i < values.length; i++) {
      values[i] = this.bank.codeOne(coder, this.#table[c], values[i]);
      coder.next();
      if (++c === components) c = 0;
    }
  }

  /** The model as it stands in a codec file: a byte a component. */
  toBytes(): Uint8Array {
    const writer = new ByteWriter().u8(FORMAT).u8(SHAPES.indexOf(this.shape)).u8(this.precision);
    return writer.u32(this.scales.length).put(this.scales).finish();
  }

  /** Reads {@link toBytes}. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, components: number): ParametricModel {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'parametric model');
    reader.u8();
    const [shape, precision, stored] = [SHAPES[reader.u8()], reader.u8(), reader.u32()];
    if (shape === undefined || precision < 12 || precision > 15 || stored !== components) {
      throw new IsthmusError(
        'CODEC_INVALID',
        `parametric model: shape ${shape}, ${precision} bits, ${stored} components, expected ${components} of 12 to 15 bits`,
      );
    }
    const scales = reader.take(components).slice();
    reader.end();
    const wrong = scales.find((scale) => scale >= SCALES);
    if (wrong !== undefined)
      throw new IsthmusError('CODEC_INVALID', `parametric model: scale ${wrong} is past ${SCALES - 1}`);
    return new ParametricModel(shape, precision, scales);
  }
}

/**
 * Tables that were worked out, which takes up to 20 ms each: a codec file of 200 bytes can ask for 104 of them. There are 1248 in
 * all, so that those who read many files, and hostile ones, pay once.
 */
const compiled = new Map<string, Table>();

function tableOf(shape: Shape, scale: number, precision: number): Table {
  const key = `${shape} ${scale} ${precision}`;
  let table = compiled.get(key);
  if (!table) {
    const { weights, tails } = shapeWeights(shape, scale);
    table = apportion(weights, tails, precision);
    compiled.set(key, table);
  }
  return table;
}
