import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import type { SymbolCoder } from './coder.ts';
import { Histogram } from './histogram.ts';
import {
  checkNeighbourhood,
  NeighbourGrid,
  type Neighbourhood,
  readNeighbourhood,
  writeNeighbourhood,
} from './neighbourhood.ts';
import { TableBank } from './tables.ts';

const FORMAT = 4;
const PRECISION = 13;
/** Values of the component's own distribution that a context starts with: matters where few values were seen. */
const SHRINK = 64;

/** Static trained tables, one for each component and each context of already decoded neighbours. */
export class ContextModel {
  readonly components: number;
  readonly neighbourhood: Neighbourhood;
  readonly #bank: TableBank;

  private constructor(components: number, neighbourhood: Neighbourhood, bank: TableBank) {
    this.components = components;
    this.neighbourhood = neighbourhood;
    this.#bank = bank;
  }

  /** Counts sample features. Contexts that few values fall in stay near their component's own distribution. Throws `INVALID_ARGUMENT`. */
  static fit(samples: readonly Int32Array[], components: number, neighbourhood: Neighbourhood): ContextModel {
    checkNeighbourhood(neighbourhood);
    const contexts = neighbourhood.thresholds.length + 1;
    const histograms = Array.from({ length: components * contexts }, () => new Histogram());
    for (const sample of samples) {
      const grid = new NeighbourGrid(neighbourhood, sample.length / components, components);
      for (let i = 0, vector = 0; i < sample.length; vector++) {
        for (let c = 0; c < components; c++, i++) {
          histograms[c * contexts + grid.context(vector, c)].add(sample[i]);
          grid.set(vector, c, sample[i]);
        }
      }
    }
    for (let c = 0; c < components; c++) shrink(histograms.slice(c * contexts, (c + 1) * contexts));
    return new ContextModel(components, neighbourhood, TableBank.fromHistograms(histograms, PRECISION));
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const { components } = this;
    const contexts = this.neighbourhood.thresholds.length + 1;
    const grid = new NeighbourGrid(this.neighbourhood, Math.ceil(values.length / components), components);
    for (let i = 0, vector = 0; i < values.length; vector++) {
      for (let c = 0; c < components && i < values.length; c++, i++) {
        values[i] = this.#bank.codeOne(coder, c * contexts + grid.context(vector, c), values[i]);
        grid.set(vector, c, values[i]);
        coder.next();
      }
    }
  }

  /** The model as it stands in a codec file. */
  toBytes(): Uint8Array {
    const writer = new ByteWriter().u8(FORMAT).u32(this.components);
    writeNeighbourhood(writer, this.neighbourhood);
    return writer.put(this.#bank.toBytes()).finish();
  }

  /** Reads {@link toBytes}. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, components: number): ContextModel {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'context model');
    reader.u8();
    const stored = reader.u32();
    if (stored !== components)
      throw new IsthmusError('CODEC_INVALID', `context model: ${stored} components, expected ${components}`);
    const neighbourhood = readNeighbourhood(reader);
    const tables = components * (neighbourhood.thresholds.length + 1);
    return new ContextModel(components, neighbourhood, TableBank.fromBytes(reader.take(reader.remaining), tables));
  }
}

/** Adds to each histogram the values of all together, scaled down to {@link SHRINK} values. */
function shrink(histograms: readonly Histogram[]): void {
  const total = histograms.reduce((sum, { total }) => sum + total, 0);
  const low = Math.min(...histograms.map((h) => h.low));
  const high = Math.max(...histograms.map((h) => h.high));
  const shares = Array.from({ length: high - low + 1 }, (_, k) => {
    const count = histograms.reduce((sum, h) => sum + h.count(low + k), 0);
    return Math.round((count * SHRINK) / Math.max(total, 1));
  });
  for (const histogram of histograms) {
    for (const [k, share] of shares.entries()) for (let n = 0; n < share; n++) histogram.add(low + k);
  }
}
