import type { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';

/**
 * Which integers that are already coded tell how large the next one is. The context of a value is the number of `thresholds` that
 * are at most the sum of weight * min(|neighbour|, cap); neighbours outside the feature count 0.
 */
export interface Neighbourhood {
  /**
   * Places counted back from the value: `vector` vectors and `component` components. { vector: 1, component: 0 } is the same
   * component of the vector before, in a grid 14 wide { vector: 14, component: 0 } the one above; `component` may be negative where
   * `vector` is above 0. Weights are 1 to 255.
   */
  readonly terms: readonly { readonly vector: number; readonly component: number; readonly weight: number }[];
  /** Magnitudes count up to this; 1 to 255. */
  readonly cap: number;
  /** Rising, 1 to 65535; one context more than there are thresholds. */
  readonly thresholds: readonly number[];
}

const MOST_TERMS = 32;
const MOST_THRESHOLDS = 63;
const FARTHEST = 0x7fff;

/** Why a neighbourhood cannot be used, or null. */
function fault({ terms, cap, thresholds }: Neighbourhood): string | null {
  const whole = (n: number, low: number, high: number) => Number.isInteger(n) && n >= low && n <= high;
  if (terms.length > MOST_TERMS || thresholds.length > MOST_THRESHOLDS)
    return `${terms.length} terms and ${thresholds.length} thresholds, the most are ${MOST_TERMS} and ${MOST_THRESHOLDS}`;
  for (const [i, { vector, component, weight }] of terms.entries()) {
    const back = vector > 0 || component > 0;
    if (!back || !whole(vector, 0, FARTHEST) || !whole(component, -FARTHEST, FARTHEST) || !whole(weight, 1, 255))
      return `term ${i} is ${vector} vectors and ${component} components back with weight ${weight}, which is not decoded before`;
  }
  if (!whole(cap, 1, 255)) return `a cap of ${cap}, expected 1 to 255`;
  for (const [i, threshold] of thresholds.entries()) {
    if (!whole(threshold, 1, 0xffff) || threshold <= (thresholds[i - 1] ?? 0))
      return `threshold ${i} is ${threshold}; thresholds rise from 1 to 65535`;
  }
  return null;
}

/** Throws `INVALID_ARGUMENT` for a neighbourhood that a decoder could not follow. */
export function checkNeighbourhood(neighbourhood: Neighbourhood): void {
  const why = fault(neighbourhood);
  if (why !== null) throw new IsthmusError('INVALID_ARGUMENT', `a neighbourhood has ${why}`);
}

export function writeNeighbourhood(writer: ByteWriter, { terms, cap, thresholds }: Neighbourhood): void {
  writer.u8(terms.length).u8(cap).u8(thresholds.length);
  for (const { vector, component, weight } of terms)
    writer
      .u16(vector)
      .u16(component & 0xffff)
      .u8(weight);
  for (const threshold of thresholds) writer.u16(threshold);
}

/** Reads {@link writeNeighbourhood}. Throws `CODEC_INVALID`. */
export function readNeighbourhood(reader: ByteReader): Neighbourhood {
  const [termCount, cap, thresholdCount] = [reader.u8(), reader.u8(), reader.u8()];
  const terms = Array.from({ length: termCount }, () => ({
    vector: reader.u16(),
    component: (reader.u16() << 16) >> 16,
    weight: reader.u8(),
  }));
  const thresholds = Array.from({ length: thresholdCount }, () => reader.u16());
  const neighbourhood = { terms, cap, thresholds };
  const why = fault(neighbourhood);
  if (why !== null) throw new IsthmusError('CODEC_INVALID', `a neighbourhood has ${why}`);
  return neighbourhood;
}

/**
 * The magnitudes of a feature as it is coded, capped, with a border of zeros so that no neighbour needs a check. Takes at most
 * six bytes a value, whatever the neighbourhood says.
 */
export class NeighbourGrid {
  readonly #cap: number;
  readonly #thresholds: readonly number[];
  readonly #stride: number;
  readonly #first: number;
  readonly #magnitude: Uint8Array;
  /** For each term how far back it lies in `#magnitude`, and its weight. */
  readonly #back: Int32Array;
  readonly #weight: Int32Array;

  constructor({ terms, cap, thresholds }: Neighbourhood, vectors: number, components: number) {
    // A term that reaches out of every feature of this size counts 0 for all values.
    const inside = terms.filter((t) => t.vector < vectors && Math.abs(t.component) < components);
    const before = Math.max(0, ...inside.map((t) => t.component));
    const after = Math.max(0, ...inside.map((t) => -t.component));
    const above = Math.max(0, ...inside.map((t) => t.vector));
    this.#cap = cap;
    this.#thresholds = thresholds;
    this.#stride = before + components + after;
    this.#first = above * this.#stride + before;
    this.#magnitude = new Uint8Array((above + vectors) * this.#stride);
    this.#back = Int32Array.from(inside, (t) => t.vector * this.#stride + t.component);
    this.#weight = Int32Array.from(inside, (t) => t.weight);
  }

  /** The context of a value; all values before it were {@link set}. */
  context(vector: number, component: number): number {
    const at = this.#first + vector * this.#stride + component;
    const thresholds = this.#thresholds;
    let sum = 0;
    for (let k = 0; k < this.#back.length; k++) sum += this.#weight[k] * this.#magnitude[at - this.#back[k]];
    let context = 0;
    while (context < thresholds.length && thresholds[context] <= sum) context++;
    return context;
  }

  set(vector: number, component: number, value: number): void {
    const magnitude = value < 0 ? -value : value;
    this.#magnitude[this.#first + vector * this.#stride + component] = Math.min(magnitude, this.#cap);
  }
}
