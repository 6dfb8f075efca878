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
/** A scale of 256, past all levels. */
const MOST_BIAS = 2 ** 24;
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
export interface Weights {
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
  /** What neighbours add to mean and scale, as a codec file holds it. */
  readonly weights: Weights;
  /** 64 scales by 6 phases of the mean. */
  readonly bank: TableBank;

  private constructor(components: number, weights: Weights, bank: TableBank) {
    this.components = components;
    this.weights = weights;
    this.bank = bank;
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
      const walk = new Walk(weights, sample.length);
      for (let i = 0; i < sample.length; i++) {
        walk.predict(i);
        histograms[walk.table].add(walk.fold(sample[i]));
        walk.learn(i, sample[i]);
      }
    }
    return new PredictiveModel(components, weights, TableBank.fromHistograms(histograms, PRECISION));
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const { bank } = this;
    const walk = new Walk(this.weights, values.length);
    for (let i = 0; i < values.length; i++) {
      walk.predict(i);
      const value = walk.unfold(bank.codeOne(coder, walk.table, walk.fold(values[i]), 2 * MAX_SYMBOL));
      if (value > MAX_SYMBOL || value < -MAX_SYMBOL)
        throw new IsthmusError('PACKET_CORRUPT', `an escaped value is ${value}`);
      walk.learn(i, value);
      values[i] = value;
      coder.next();
    }
  }

  /** The model as it stands in a codec file. */
  toBytes(): Uint8Array {
    const { back, mean, bias, scale } = this.weights;
    const writer = new ByteWriter().u8(FORMAT).u32(this.components).u8(back.length);
    for (const each of back) writer.u16(each);
    for (const each of mean) writer.u16(each & 0xffff);
    for (const each of bias) writer.u32(each);
    for (const each of scale) writer.u16(each);
    return writer.put(this.bank.toBytes()).finish();
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
    const wrong = bias.find((each) => each < 1 || each > MOST_BIAS);
    if (wrong !== undefined) throw new IsthmusError('CODEC_INVALID', `predictive model: a scale of ${wrong} / 2^16`);
    const scale = u16s(components * (2 * terms + 1));
    const bank = TableBank.fromBytes(reader.take(reader.remaining), TABLES);
    return new PredictiveModel(components, { back, mean, bias, scale }, bank);
  }
}

/** Goes through a feature value by value: predicts each from those before, then learns what it was. All in int32. */
class Walk {
  /** In units of 2^-12. */
  mean = 0;
  table = 0;
  #nearest = 0;
  #below = false;
  #component = 0;
  #sum = 0;
  readonly #weights: Weights;
  readonly #components: number;
  /** How far back each neighbour lies; reaching before the feature finds the zeros of the border. */
  readonly #back: Int32Array;
  readonly #border: number;
  /** Values capped, and how far each was from its mean in units of 2^-4. */
  readonly #value: Int16Array;
  readonly #surprise: Uint8Array;

  constructor(weights: Weights, length: number) {
    this.#weights = weights;
    this.#components = weights.bias.length;
    this.#back = Int32Array.from(weights.back, (back) => Math.min(back * this.#components, length));
    this.#border = Math.max(...this.#back);
    this.#value = new Int16Array(this.#border + length);
    this.#surprise = new Uint8Array(this.#border + length);
  }

  /** Mean and table of value i, given all before it. */
  predict(i: number): void {
    const { mean, bias, scale } = this.#weights;
    const values = this.#value;
    const surprises = this.#surprise;
    const back = this.#back;
    const terms = back.length;
    const component = this.#component;
    const own = this.#border + i;
    const from = component * (2 * terms + 1);
    let centre = 0;
    // Each product is below 2^24 and the last below 2^28, so the sum stays below 2^30.
    let spread = bias[component] + ((this.#sum * scale[from + 2 * terms]) >>> 4);
    for (let k = 0; k < terms; k++) {
      const at = own - back[k];
      const value = values[at];
      if (value !== 0) {
        const magnitude = value < 0 ? -value : value;
        centre += mean[component * terms + k] * value;
        spread += scale[from + 2 * k] * (magnitude < MAGNITUDE_CAP >> 4 ? magnitude << 4 : MAGNITUDE_CAP);
      }
      spread += scale[from + 2 * k + 1] * surprises[at];
    }
    this.mean = centre;
    this.#nearest = (centre + HALF) >> MEAN_BITS;
    const offset = centre - (this.#nearest << MEAN_BITS);
    this.#below = offset < 0;
    this.table = levelOf(spread) * (PHASES.length + 1) + PHASE_OF[offset < 0 ? -offset : offset];
  }

  /** A value as its distance from the mean's nearest integer, on the mean's side where positive. */
  fold(value: number): number {
    return this.#below ? this.#nearest - value : value - this.#nearest;
  }

  unfold(folded: number): number {
    return this.#below ? this.#nearest - folded : folded + this.#nearest;
  }

  /** What value i turned out to be; returns its distance from the mean in units of 2^-4, at most 240. */
  learn(i: number, value: number): number {
    const near = capped(value);
    const difference = (near << MEAN_BITS) - this.mean;
    const surprise = Math.min(MAGNITUDE_CAP, (difference < 0 ? -difference : difference) >> (MEAN_BITS - 4));
    this.#value[this.#border + i] = near;
    this.#surprise[this.#border + i] = surprise;
    this.#sum = Math.min(SUM_CAP, this.#sum + surprise);
    if (++this.#component === this.#components) {
      this.#component = 0;
      this.#sum = 0;
    }
    return surprise;
  }
}

/** The phase of each distance of a mean from its nearest integer. */
const PHASE_OF = Uint8Array.from({ length: HALF + 1 }, (_, distance) => PHASES.filter((p) => p <= distance).length);

/** Quarter octave of a scale of 1 to 2^30, in units of 2^-16. */
function levelOf(scale: number): number {
  const octave = 31 - Math.clz32(scale);
  if (octave < LOWEST_OCTAVE) return 0;
  return Math.min(LEVELS - 1, 4 * (octave - LOWEST_OCTAVE) + ((scale >>> (octave - 2)) & 3));
}

function capped(value: number): number {
  return value > MEAN_CAP ? MEAN_CAP : Math.max(value, -MEAN_CAP);
}

function magnitudeOf(value: number): number {
  return Math.min(MAGNITUDE_CAP, Math.abs(value) * 16);
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
        const walk = new Walk(weights, sample.length);
        for (let i = 0; i < sample.length; i++) {
          if (i % components === 0) sum = 0;
          walk.predict(i);
          x[0] = 1;
          for (let k = 0; k < terms; k++) {
            const at = i - weights.back[k] * components;
            x[1 + 2 * k] = at < 0 ? 0 : magnitudeOf(sample[at]) / 16;
            x[2 + 2 * k] = at < 0 ? 0 : surprises[at];
          }
          x[size - 1] = Math.min(SUM_CAP / 16, sum);
          surprises[i] = walk.learn(i, sample[i]) / 16;
          sum += surprises[i];
          add(i % components, x, surprises[i]);
        }
      }
    },
    true,
  );
  for (let c = 0; c < components; c++) {
    const w = solved.subarray(c * size, (c + 1) * size);
    weights.bias[c] = Math.max(1, Math.min(MOST_BIAS, Math.round(w[0] * 2 ** 16)));
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
