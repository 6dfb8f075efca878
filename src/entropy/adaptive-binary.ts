import { ByteReader, ByteWriter } from '../bytes.ts';
import { IsthmusError } from '../errors.ts';
import type { SymbolCoder } from './coder.ts';
import { codeDistance, MAX_SYMBOL } from './escape.ts';
import {
  checkNeighbourhood,
  NeighbourGrid,
  type Neighbourhood,
  readNeighbourhood,
  writeNeighbourhood,
} from './neighbourhood.ts';

const FORMAT = 5;
/** States have 15 bits; what is coded has 13, where rANS with its 16-bit words loses least (15 bits lose 0.3 %). */
const STATE_BITS = 15;
const ONE = 1 << STATE_BITS;
const PRECISION = 13;
/** Magnitudes are counted out up to this, one flag a step; larger ones go on in Elias-gamma form. */
const FLAGS = 14;
/** A state moves by 2^-FAST and 2^-SLOW of its distance; what is coded is the mean of both, as in H.266 (9.3.4.3.2). */
const FAST = 5;
const SLOW = 8;
/** Probabilities stay this far from 0 and 1, out of 2^15: one unit of what is coded. */
const MARGIN = 4;
/** Starting states are kept as bytes: the logit's nearest of 256 steps, see {@link startOf}. */
const STARTS = 256;
/** Values of the component's other contexts that a context's starting state leans on. */
const SHRINK = 8;

/**
 * Adaptive binary arithmetic coding: a value is the flags "more than 0", "more than 1" … and a sign. Each flag has a probability
 * for its component, its context of decoded neighbours and its step, which starts where training left it and follows the
 * feature. After D. Marpe, H. Schwarz and T. Wiegand, "Context-based adaptive binary arithmetic coding in H.264/AVC" (2003).
 */
export class AdaptiveBinaryModel {
  readonly components: number;
  readonly neighbourhood: Neighbourhood;
  /** [components, contexts, FLAGS]: starting states. */
  readonly #start: Uint8Array;

  private constructor(components: number, neighbourhood: Neighbourhood, start: Uint8Array) {
    this.components = components;
    this.neighbourhood = neighbourhood;
    this.#start = start;
  }

  /** Starts where the flags of sample features say; without samples, at one half. Throws `INVALID_ARGUMENT`. */
  static fit(samples: readonly Int32Array[], components: number, neighbourhood: Neighbourhood): AdaptiveBinaryModel {
    checkNeighbourhood(neighbourhood);
    const contexts = neighbourhood.thresholds.length + 1;
    const seen = new Float64Array(components * contexts * FLAGS);
    const more = new Float64Array(components * contexts * FLAGS);
    for (const sample of samples) {
      const grid = new NeighbourGrid(neighbourhood, sample.length / components, components);
      for (let i = 0, vector = 0; i < sample.length; vector++) {
        for (let c = 0; c < components; c++, i++) {
          const at = (c * contexts + grid.context(vector, c)) * FLAGS;
          const magnitude = Math.abs(sample[i]);
          for (let k = 0; k < FLAGS && k <= magnitude; k++) {
            seen[at + k]++;
            if (magnitude > k) more[at + k]++;
          }
          grid.set(vector, c, sample[i]);
        }
      }
    }
    const start = new Uint8Array(seen.length);
    for (let c = 0; c < components; c++) {
      for (let k = 0; k < FLAGS; k++) {
        let [all, ones] = [1, 0.5];
        for (let x = 0; x < contexts; x++) {
          all += seen[(c * contexts + x) * FLAGS + k];
          ones += more[(c * contexts + x) * FLAGS + k];
        }
        for (let x = 0; x < contexts; x++) {
          const at = (c * contexts + x) * FLAGS + k;
          start[at] = startOf((more[at] + (SHRINK * ones) / all) / (seen[at] + SHRINK));
        }
      }
    }
    return new AdaptiveBinaryModel(components, neighbourhood, start);
  }

  /** Throws `PACKET_CORRUPT`. */
  code(coder: SymbolCoder, values: Int32Array): void {
    const { components } = this;
    const contexts = this.neighbourhood.thresholds.length + 1;
    const fast = Uint16Array.from(this.#start, (start) => STATES[start]);
    const slow = fast.slice();
    const grid = new NeighbourGrid(this.neighbourhood, Math.ceil(values.length / components), components);
    for (let i = 0, vector = 0; i < values.length; vector++) {
      for (let c = 0; c < components && i < values.length; c++, i++) {
        const at = (c * contexts + grid.context(vector, c)) * FLAGS;
        const given = Math.abs(values[i]);
        let magnitude = 0;
        while (magnitude < FLAGS) {
          const k = at + magnitude;
          const one = Math.max(MARGIN, Math.min(ONE - MARGIN, (fast[k] + slow[k]) >>> 1));
          const flag = coder.bit(one >>> (STATE_BITS - PRECISION), PRECISION, given > magnitude ? 1 : 0);
          const target = flag === 1 ? ONE - 1 : 0;
          fast[k] += (target - fast[k]) >> FAST;
          slow[k] += (target - slow[k]) >> SLOW;
          if (flag === 0) break;
          magnitude++;
        }
        if (magnitude === FLAGS) magnitude += codeDistance(coder, given - FLAGS);
        if (magnitude > MAX_SYMBOL) throw new IsthmusError('PACKET_CORRUPT', `a magnitude is ${magnitude}`);
        if (magnitude > 0 && coder.raw(1, values[i] < 0 ? 1 : 0) === 1) magnitude = -magnitude;
        values[i] = magnitude;
        grid.set(vector, c, magnitude);
        coder.next();
      }
    }
  }

  /** The model as it stands in a codec file. */
  toBytes(): Uint8Array {
    const writer = new ByteWriter().u8(FORMAT).u32(this.components);
    writeNeighbourhood(writer, this.neighbourhood);
    return writer.put(this.#start).finish();
  }

  /** Reads {@link toBytes}. Throws `CODEC_INVALID`. */
  static fromBytes(bytes: Uint8Array, components: number): AdaptiveBinaryModel {
    const reader = new ByteReader(bytes, 'CODEC_INVALID', 'adaptive binary model');
    reader.u8();
    const stored = reader.u32();
    if (stored !== components)
      throw new IsthmusError('CODEC_INVALID', `adaptive binary model: ${stored} components, expected ${components}`);
    const neighbourhood = readNeighbourhood(reader);
    const start = reader.take(components * (neighbourhood.thresholds.length + 1) * FLAGS).slice();
    reader.end();
    return new AdaptiveBinaryModel(components, neighbourhood, start);
  }
}

/**
 * Probabilities of the starting states, out of 2^15: 128 of a geometric row from 1/2 down, and their complements. A row of
 * p * 475 / 512 reaches 2^-14.7 after 127 steps and so covers the margin.
 */
const STATES = ((): Uint16Array => {
  const states = new Uint16Array(STARTS);
  let p = ONE << 15;
  for (let k = 0; k < STARTS / 2; k++) {
    const state = Math.floor(p / 2 ** 16);
    states[STARTS / 2 - 1 - k] = Math.max(state, MARGIN);
    states[STARTS / 2 + k] = Math.min(ONE - state, ONE - MARGIN);
    p = Math.floor((p * 475) / 512);
  }
  return states;
})();

/** The starting state nearest to a probability, by the cost of coding one with the other. */
function startOf(probability: number): number {
  let best = 0;
  let least = Infinity;
  for (let s = 0; s < STARTS; s++) {
    const p = STATES[s] / ONE;
    const cost = -probability * Math.log2(p) - (1 - probability) * Math.log2(1 - p);
    if (cost < least) [best, least] = [s, cost];
  }
  return best;
}
