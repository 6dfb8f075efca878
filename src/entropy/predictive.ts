import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import type { SymbolCoder } from './coder.ts';
import { MAX_SYMBOL } from './escape.ts';
import { Histogram } from './histogram.ts';
import { leastSquares } from './least-squares.ts';
import { TableBank } from './tables.ts';

const FORMAT = 7;
/** Means and their weights are in units of 2^-12, magnitudes in units of 2^-4, scales in units of 2^-16. */
const MEAN_BITS = 12;
const HALF = 1 << (MEAN_BITS - 1);
/** Neighbours count up to this in a mean, so that eight of them with weights below 8 stay inside int32. */
const MEAN_CAP = 4095;
/** Magnitudes count up to 15, in units of 2^-4. */
const MAGNITUDE_CAP = 240;
const SUM_CAP = 0xffff;
const MOST_TERMS = 8;
/** Four scales an octave from 2^-11 to 2^5. */
const LEVELS = 64;
const LOWEST_OCTAVE = 5;
/** Where the distance of the mean from its nearest integer changes the table, in units of 2^-12: finest near 0, where sparse data lies. */
const PHASES = [82, 205, 410, 737, 1311];
const TABLES = LEVELS * (PHASES.length + 1);
const PRECISION = 13;
/** Samples that the Laplacian of a table's own scale counts for, where there is little data. */
const PRIOR = 64;

/** Weights of one model, component after component. */
interface Weights {
  /** Vectors back of each neighbour, the same component of each. */
  readonly back: readonly number[];
  /** [components, terms]: what a neighbour adds to the mean. */
  readonly mean: Int16Array;
  /** [components]: scale where all neighbours are 0. */
  readonly bias: Uint32Array;
  /** [components, 2 terms + 1]: what magnitudes and surprises of the neighbours, and the surprises so far in this vector, add. */
  readonly scale: Uint16Array;
}

/**
 * Tables chosen by a mean and a scale that are predicted from neighbours already decoded, with integers: the same component of
 * vectors before (in a grid: left, above …) tells both where the value lies and how uncertain that is, and how far the earlier
 * components of the same vector were from their means tells more about the scale. What is coded is the distance from the mean's
 * nearest integer, mirrored where the mean lies below it, with the table of its scale and of the mean's distance.
 * After the predictors of lossless image coding: X. Wu and N. Memon, "Context-based, adaptive, lossless image coding", IEEE Trans.
 * Communications 45(4), 1997. Tables are static and trained.
 */
export class PredictiveModel {
  readonly components: number;
  readonly #weights: Weights;
  readonly #bank: TableBank;

  private constructor(components: number, weights: Weights, bank: TableBank) {
    this.components = components;
    this.#weights = weights;
    this.#bank = bank;
  }

  /**
   * Learns weights and tables from sample features. `back` are 1 to 8 distances in vectors: [1, 14, 15, 13] is left, above and the
   * two beside it in a grid 14 wide. Throws `INVALID_ARGUMENT`.
   */
  static fit(samples: readonly Int32Array[], components: number, back: readonly number[]): PredictiveModel {
    if (back.length < 1 || back.length > MOST_TERMS || back.some((b) => !Number.isInteger(b) || b < 1 || b > 0xffff)) {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `neighbours are 1 to 8 distances of 1 to 65535 vectors, got [${back}]`,
      );
    }
    const weights: Weights = {
      back,
      mean: new Int16Array(components * back.length),
      bias: new Uint32Array(components).fill(1 << LOWEST_OCTAVE),
      scale: new Uint16Array(components * (2 * back.length + 1)),
    };
    fitMeans(weights, samples, components);
    fitScales(weights, samples, components);
    const histograms = Array.from({ length: TABLES }, (_, table) => priorOf(table));
    for (const sample of samples) {
      walk(weights, components, sample, (state, i) => histograms[state.table].add(state.fold(sample[i])));
    }
    return new PredictiveModel(components, weights, TableBank.fromHistograms(histograms, PRECISION));
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const bank = this.#bank;
    walk(this.#weights, this.components, values, (state, i) => {
      const value = state.unfold(bank.codeOne(coder, state.table, state.fold(values[i]), 2 * MAX_SYMBOL));
      if (Math.abs(value) > MAX_SYMBOL) throw new IsthmusError('PACKET_CORRUPT', `an escaped value is ${value}`);
      values[i] = value;
    });
  }

  /** The model as it stands in a codec file. */
  toBytes(): Uint8Array {
    const { back, mean, bias, scale } = this.#weights;
    const writer = new ByteWriter().u8(FORMAT).u32(this.components).u8(back.length);
    for (const each of back) writer.u16(each);
    for (const each of mean) writer.u16(each & 0xffff);
    for (const each of bias) writer.u32(each);
    for (const each of scale) writer.u16(each);
    return writer.put(this.#bank.toBytes()).finish();
  }

  /** Reads {@link toBytes}. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, components: number): PredictiveModel {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'predictive model');
    reader.u8();
    const [stored, terms] = [reader.u32(), reader.u8()];
    if (stored !== components || terms < 1 || terms > MOST_TERMS) {
      throw new IsthmusError(
        'CODEC_INVALID',
        `predictive model: ${stored} components with ${terms} neighbours, expected ${components} with 1 to ${MOST_TERMS}`,
      );
    }
    const back = Array.from({ length: terms }, () => reader.u16());
    if (back.includes(0)) throw new IsthmusError('CODEC_INVALID', 'predictive model: a neighbour is the value itself');
    // Views of the bytes, so that nothing is allocated which the file does not hold.
    const u16s = (count: number) => {
      const piece = new ByteReader(reader.take(2 * count), 'CODEC_INVALID', 'predictive model');
      return Uint16Array.from({ length: count }, () => piece.u16());
    };
    const mean = new Int16Array(u16s(components * terms).buffer);
    const biases = new ByteReader(reader.take(4 * components), 'CODEC_INVALID', 'predictive model');
    const bias = Uint32Array.from({ length: components }, () => biases.u32());
    const scale = u16s(components * (2 * terms + 1));
    const bank = TableBank.fromBytes(reader.take(reader.remaining), TABLES);
    return new PredictiveModel(components, { back, mean, bias, scale }, bank);
  }
}

/** What is known of the next value before it is coded. */
class Prediction {
  /** In units of 2^-12. */
  mean = 0;
  nearest = 0;
  below = false;
  table = 0;

  set(mean: number, scale: number): void {
    this.mean = mean;
    this.nearest = (mean + HALF) >> MEAN_BITS;
    const offset = mean - (this.nearest << MEAN_BITS);
    this.below = offset < 0;
    const distance = this.below ? -offset : offset;
    let phase = 0;
    while (phase < PHASES.length && PHASES[phase] <= distance) phase++;
    this.table = levelOf(scale) * (PHASES.length + 1) + phase;
  }

  /** A value as its distance from the mean's nearest integer, on the mean's side where positive. */
  fold(value: number): number {
    return this.below ? this.nearest - value : value - this.nearest;
  }

  unfold(folded: number): number {
    return this.below ? this.nearest - folded : folded + this.nearest;
  }
}

/** Quarter octave of a scale in units of 2^-16. */
function levelOf(scale: number): number {
  const bounded = Math.min(scale, 0x3fffffff);
  const octave = 31 - Math.clz32(bounded);
  if (octave < LOWEST_OCTAVE) return 0;
  return Math.min(LEVELS - 1, 4 * (octave - LOWEST_OCTAVE) + ((bounded >>> (octave - 2)) & 3));
}

/** Calls `visit` at each value in order, with the prediction from those before; `visit` may fill values[i]. */
function walk(
  { back, mean, bias, scale }: Weights,
  components: number,
  values: Int32Array,
  visit: (state: Prediction, i: number) => void,
): void {
  const state = new Prediction();
  const terms = back.length;
  const offset = Int32Array.from(back, (b) => Math.min(b * components, values.length));
  const surprise = new Uint8Array(values.length);
  let component = 0;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    let centre = 0;
    let spread = bias[component] + Math.floor((sum * scale[component * (2 * terms + 1) + 2 * terms]) / 16);
    for (let k = 0; k < terms; k++) {
      const at = i - offset[k];
      if (at < 0) continue;
      centre += mean[component * terms + k] * capped(values[at]);
      const from = component * (2 * terms + 1) + 2 * k;
      spread += scale[from] * magnitudeOf(values[at]) + scale[from + 1] * surprise[at];
    }
    state.set(centre, spread);
    visit(state, i);
    surprise[i] = surpriseOf(values[i], centre);
    sum = Math.min(SUM_CAP, sum + surprise[i]);
    if (++component === components) {
      component = 0;
      sum = 0;
    }
  }
}

function capped(value: number): number {
  return value > MEAN_CAP ? MEAN_CAP : Math.max(value, -MEAN_CAP);
}

function magnitudeOf(value: number): number {
  const magnitude = Math.abs(value) * 16;
  return Math.min(magnitude, MAGNITUDE_CAP);
}

/** How far a value is from its mean, in units of 2^-4. */
function surpriseOf(value: number, mean: number): number {
  const distance = Math.floor(Math.abs(value * 2 ** MEAN_BITS - mean) / 2 ** (MEAN_BITS - 4));
  return Math.min(distance, MAGNITUDE_CAP);
}

/** Least-squares means, one component after the other. */
function fitMeans(weights: Weights, samples: readonly Int32Array[], components: number): void {
  const terms = weights.back.length;
  const solved = leastSquares(components, terms, (add) => {
    const x = new Float64Array(terms);
    for (const sample of samples) {
      for (let i = 0; i < sample.length; i++) {
        for (let k = 0; k < terms; k++) x[k] = capped(sample[i - weights.back[k] * components] ?? 0);
        add(i % components, x, capped(sample[i]));
      }
    }
  });
  for (let i = 0; i < solved.length; i++) {
    weights.mean[i] = Math.round(Math.max(-7.9, Math.min(7.9, solved[i])) * 2 ** MEAN_BITS);
  }
}

/** Least-squares scales without negative weights, given the means. */
function fitScales(weights: Weights, samples: readonly Int32Array[], components: number): void {
  const terms = weights.back.length;
  const size = 2 * terms + 2;
  const solved = leastSquares(
    components,
    size,
    (add) => {
      const x = new Float64Array(size);
      for (const sample of samples) {
        const surprises = new Float64Array(sample.length);
        let sum = 0;
        walk(weights, components, sample, ({ mean }, i) => {
          if (i % components === 0) sum = 0;
          x[0] = 1;
          for (let k = 0; k < terms; k++) {
            const at = i - weights.back[k] * components;
            x[1 + 2 * k] = at < 0 ? 0 : magnitudeOf(sample[at]) / 16;
            x[2 + 2 * k] = at < 0 ? 0 : surprises[at];
          }
          x[size - 1] = Math.min(SUM_CAP / 16, sum);
          surprises[i] = surpriseOf(sample[i], mean) / 16;
          sum += surprises[i];
          add(i % components, x, surprises[i]);
        });
      }
    },
    true,
  );
  for (let c = 0; c < components; c++) {
    const w = solved.subarray(c * size, (c + 1) * size);
    weights.bias[c] = Math.max(1, Math.min(2 ** 24, Math.round(w[0] * 2 ** 16)));
    for (let k = 1; k < size; k++) {
      const unit = k === size - 1 ? 2 ** 16 : 2 ** 12;
      weights.scale[c * (size - 1) + k - 1] = Math.min(0xffff, Math.round(w[k] * unit));
    }
  }
}

/** The Laplacian of a table's own scale and mean, as a few samples: what a table is where data never went. */
function priorOf(table: number): Histogram {
  const histogram = new Histogram();
  const level = Math.floor(table / (PHASES.length + 1));
  const scale = 2 ** (LOWEST_OCTAVE - 16 + (level + 0.5) / 4);
  const centre = (PHASES[(table % (PHASES.length + 1)) - 1] ?? 0) / 2 ** MEAN_BITS;
  const tail = (x: number) => (x < 0 ? 1 - 0.5 * Math.exp(x / scale) : 0.5 * Math.exp(-x / scale));
  const reach = Math.ceil(6 * scale) + 1;
  for (let value = -reach; value <= reach; value++) {
    const samples = Math.round(PRIOR * (tail(value - 0.5 - centre) - tail(value + 0.5 - centre)));
    for (let k = 0; k < samples; k++) histogram.add(value);
  }
  return histogram;
}
