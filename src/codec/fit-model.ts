import { type EntropyModel, Histogram, PredictiveModel, TableBank } from '../entropy/index.ts';
import { IsthmusError } from '../errors.ts';

/** 14 bits lose 0.02 % and give a component that is nearly always zero 0.0001 bit a value. */
const PRECISION = 14;

/** Integers of one tensor that the predictive model learns from, the first ones seen; five times as many save half a percent. */
const KEPT_INTEGERS = 2 ** 22;

/** Entropy models that integers can be coded with. */
export const KLT_MODELS = ['predictive', 'static'] as const;
export type KltModel = (typeof KLT_MODELS)[number];

/** What an entropy model learns from: integers of one tensor, a feature at a time. */
export class SeenIntegers {
  readonly #histograms: Histogram[];
  readonly #kept: Int32Array[] = [];
  #room = KEPT_INTEGERS;

  /** `components`: integers of a vector. */
  constructor(components: number) {
    this.#histograms = Array.from({ length: components }, () => new Histogram());
  }

  /** Adds the integers of a feature's vectors, one vector after the other. */
  add(integers: Int32Array): void {
    const components = this.#histograms.length;
    for (let j = 0, c = 0; j < integers.length; j++) {
      this.#histograms[c].add(integers[j]);
      if (++c === components) c = 0;
    }
    if (this.#room >= integers.length || this.#kept.length === 0) {
      this.#kept.push(integers);
      this.#room -= integers.length;
    }
  }

  /** One more than the last component that was ever not zero, at least 1. */
  used(): number {
    return Math.max(1, this.#histograms.findLastIndex((h) => h.low < 0 || h.high > 0) + 1);
  }

  /** A model of the first `components` of each vector. `back` are the neighbours that `predictive` looks at. */
  model(components: number, kind: KltModel, back: readonly number[]): EntropyModel {
    if (kind === 'static') return TableBank.fromHistograms(this.#histograms.slice(0, components), PRECISION);
    const all = this.#histograms.length;
    const kept = this.#kept.map((integers) => integers.filter((_, j) => j % all < components));
    return PredictiveModel.fit(kept, components, back);
  }
}

export interface LatentModelOptions {
  /** `predictive` unless told: fewest bytes. `static` codes several times faster. */
  readonly model?: KltModel;
  /** Vectors of a row where they lie in a grid; the side of a square where their number is one, with or without one vector before it. */
  readonly width?: number;
}

/**
 * Learns the entropy model of a latent from `samples`, the quantized latents of features: vectors of `components` integers, one
 * after the other. Throws `INVALID_ARGUMENT` where there are none, or of different lengths, or these are no whole vectors.
 */
export function fitLatentModel(
  samples: readonly Int32Array[],
  components: number,
  { model = 'predictive', width }: LatentModelOptions = {},
): EntropyModel {
  const length = samples[0]?.length ?? 0;
  const vectors = length / components;
  if (length === 0 || !Number.isInteger(vectors) || samples.some((sample) => sample.length !== length)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `a latent's model learns from samples of one length, a multiple of ${components} components; got ${samples.length} of ${length}`,
    );
  }
  const seen = new SeenIntegers(components);
  for (const sample of samples) seen.add(sample);
  return seen.model(components, model, neighbours(vectors, width));
}

/**
 * Vectors back at which neighbours stand: in a grid left, above, and above to both sides; where there is none, the two before. `width` is
 * that of a row of the grid; unless told, tokens are a grid where, with or without a class token, their number is a square.
 */
export function neighbours(vectors: number, width = squareSide(vectors)): number[] {
  return width > 2 && width < vectors ? [1, width, width + 1, width - 1] : [1, 2];
}

function squareSide(vectors: number): number {
  return [vectors, vectors - 1].map(Math.sqrt).find(Number.isInteger) ?? 1;
}
