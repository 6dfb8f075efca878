import { parametricTable } from './second-decoder-parametric.ts';
import { type Bank, lanesOf, MOST, need, Stream, startsOf, takeLanes } from './second-decoder-stream.ts';

/*
 * Entropy models for the second decoder, after docs/codec-file.md ("Entropy models") and docs/packet.md ("Entropy models, by
 * format"). A model is a function that takes the integers of V vectors.
 */

export interface Model {
  /** The tables where the format is 1, which may have lanes. */
  bank?: Bank;
  take(stream: Stream, vectors: number): bigint[];
}

/** Fields one after the other; each number is a bigint. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  unsigned(width: number): bigint {
    need(this.left >= width, 'a field');
    let value = 0n;
    for (let i = width - 1; i >= 0; i--) value = value * 256n + BigInt(this.#bytes[this.#at + i]);
    this.#at += width;
    return value;
  }

  signed(width: number): bigint {
    return BigInt.asIntN(8 * width, this.unsigned(width));
  }

  /** `count` numbers, each within `least` and `most`. */
  list(count: number, width: number, least: bigint, most: bigint, signed = false): bigint[] {
    need(this.left >= count * width, 'fields');
    const list = Array.from({ length: count }, () => (signed ? this.signed(width) : this.unsigned(width)));
    for (const value of list) need(value >= least && value <= most, 'range');
    return list;
  }

  count(expected: number): void {
    need(this.unsigned(4) === BigInt(expected), 'as many as there are components');
  }

  bank(size: number): Bank {
    need(this.unsigned(1) === 1n, 'format of tables');
    const [precision] = this.list(1, 1, 8n, 15n);
    this.count(size);
    need(this.left >= 10 * size, 'tables');
    const tables = Array.from({ length: size }, () => {
      const [low] = this.list(1, 4, -MOST, MOST, true);
      const n = Number(this.unsigned(2));
      const frequencies = this.list(n, 2, 1n, 65535n);
      need(n >= 2 && frequencies.reduce((a, b) => a + b) === 1n << precision, 'sum');
      return { low, frequencies };
    });
    return { precision, tables };
  }

  end(): void {
    need(this.left === 0, 'nothing after the model');
  }
}

export function readModel(bytes: Uint8Array, C: number, newest: number): Model {
  const fields = new Fields(bytes);
  const format = bytes[0];
  need(format >= 1 && format <= newest, 'format');
  if (format > 1) fields.unsigned(1);
  const model = [staticModel, parametric, sparse, context, adaptiveBinary, adaptive, predictive][format - 1](fields, C);
  fields.end();
  return model;
}

export interface Part {
  model: Model;
  vectors: number;
}

/** The integers of a `klt` body, tensor after tensor. */
export function takeBody(body: Uint8Array, parts: readonly Part[], version: number): bigint[][] {
  if (version === 1) return takeStream(body, parts, 1);
  const starts = parts.map(({ model, vectors }) => (model.bank ? startsOf(model.bank, vectors) : [0, vectors]));
  if (starts.every(({ length }) => length === 2)) return takeStream(body, parts, 2);
  const segments = parts.flatMap(({ model }, part) =>
    starts[part].slice(1).map((end, s) => ({ part, model, vectors: end - starts[part][s] })),
  );
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let at = 4 * (segments.length - 1);
  need(body.length >= at, 'lengths');
  const integers: bigint[][] = parts.map(() => []);
  for (const [i, segment] of segments.entries()) {
    const length = i < segments.length - 1 ? view.getUint32(4 * i, true) : body.length - at;
    need(at + length <= body.length, 'a segment');
    const [taken] = takeStream(body.subarray(at, at + length), [segment], 2);
    integers[segment.part] = integers[segment.part].concat(taken);
    at += length;
  }
  return integers;
}

function takeStream(bytes: Uint8Array, parts: readonly Part[], version: number): bigint[][] {
  const banks = parts.flatMap(({ model, vectors }) => (model.bank ? [{ bank: model.bank, vectors }] : []));
  const lanes = version > 1 && banks.length === parts.length ? lanesOf(banks) : 1;
  const stream = new Stream(bytes, lanes);
  const integers =
    lanes === 32
      ? banks.map(({ bank, vectors }) => takeLanes(stream, bank, vectors))
      : parts.map(({ model, vectors }) => model.take(stream, vectors));
  stream.end();
  return integers;
}

/** Goes through all vectors, each component in turn. */
function inTurn(vectors: number, C: number, one: (v: number, c: number, known: readonly bigint[]) => bigint): bigint[] {
  const known: bigint[] = [];
  for (let v = 0; v < vectors; v++) for (let c = 0; c < C; c++) known.push(one(v, c, known));
  return known;
}

const magnitudeOf = (x: bigint): bigint => (x < 0n ? -x : x);
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const log2 = (n: bigint): bigint => BigInt(n.toString(2).length - 1);

function staticModel(fields: Fields, C: number): Model {
  const bank = fields.bank(C);
  return { bank, take: (stream, vectors) => inTurn(vectors, C, (_, c) => stream.integer(bank, c)) };
}

function parametric(fields: Fields, C: number): Model {
  const [shape] = fields.list(1, 1, 0n, 2n);
  const [precision] = fields.list(1, 1, 12n, 15n);
  fields.count(C);
  const scales = fields.list(C, 1, 0n, 103n);
  return {
    take(stream, vectors) {
      const bank = { precision, tables: scales.map((s) => parametricTable(Number(shape), s, precision)) };
      return inTurn(vectors, C, (_, c) => stream.integer(bank, c));
    },
  };
}

function sparse(fields: Fields, C: number): Model {
  fields.count(C);
  const some = fields.list(C, 2, 1n, 2n ** 14n - 1n);
  const negative = fields.list(C, 2, 1n, 2n ** 14n - 1n);
  const bank = fields.bank(C);
  return {
    take: (stream, vectors) =>
      inTurn(vectors, C, (_, c) => {
        if (!stream.bit(some[c], 14n)) return 0n;
        const below = stream.bit(negative[c], 14n);
        const magnitude = 1n + stream.integer(bank, c);
        need(magnitude >= 1n && magnitude <= MOST, 'magnitude');
        return below ? -magnitude : magnitude;
      }),
  };
}

interface Neighbourhood {
  contexts: number;
  of(known: readonly bigint[], v: number, c: number): number;
}

function neighbourhood(fields: Fields, C: number): Neighbourhood {
  const [termCount] = fields.list(1, 1, 0n, 32n);
  const [cap] = fields.list(1, 1, 1n, 255n);
  const [thresholdCount] = fields.list(1, 1, 0n, 63n);
  const terms = Array.from({ length: Number(termCount) }, () => {
    const [vector] = fields.list(1, 2, 0n, 32767n);
    const [component] = fields.list(1, 2, -32767n, 32767n, true);
    const [weight] = fields.list(1, 1, 1n, 255n);
    need(vector > 0n || component > 0n, 'back');
    return { vector: Number(vector), component: Number(component), weight };
  });
  const thresholds = fields.list(Number(thresholdCount), 2, 1n, 65535n);
  need(
    thresholds.every((t, i) => i === 0 || t > thresholds[i - 1]),
    'rising',
  );
  return {
    contexts: thresholds.length + 1,
    of(known, v, c) {
      let sum = 0n;
      for (const { vector, component, weight } of terms) {
        const [row, column] = [v - vector, c - component];
        if (row < 0 || column < 0 || column >= C) continue;
        sum += weight * least(magnitudeOf(known[row * C + column]), cap);
      }
      return thresholds.filter((t) => t <= sum).length;
    },
  };
}

function context(fields: Fields, C: number): Model {
  fields.count(C);
  const near = neighbourhood(fields, C);
  const bank = fields.bank(C * near.contexts);
  return {
    take: (stream, vectors) =>
      inTurn(vectors, C, (v, c, known) => stream.integer(bank, c * near.contexts + near.of(known, v, c))),
  };
}

/** What formats 5 and 6 end with. */
function signed(stream: Stream, magnitude: bigint): bigint {
  need(magnitude <= MOST, 'magnitude');
  return magnitude !== 0n && stream.raw(1) === 1n ? -magnitude : magnitude;
}

const STATES = ((): bigint[] => {
  const states: bigint[] = [];
  let p = 2n ** 30n;
  for (let j = 0; j < 128; j++) {
    const share = p / 65536n;
    states[127 - j] = share > 4n ? share : 4n;
    states[128 + j] = least(32768n - share, 32764n);
    p = (p * 475n) / 512n;
  }
  return states;
})();

function adaptiveBinary(fields: Fields, C: number): Model {
  fields.count(C);
  const near = neighbourhood(fields, C);
  const start = fields.list(C * near.contexts * 14, 1, 0n, 255n);
  return {
    take(stream, vectors) {
      const fast = start.map((s) => STATES[Number(s)]);
      const slow = [...fast];
      return inTurn(vectors, C, (v, c, known) => {
        const first = (c * near.contexts + near.of(known, v, c)) * 14;
        for (let k = 0; k < 14; k++) {
          const middle = (fast[first + k] + slow[first + k]) >> 1n;
          const one = least(middle > 4n ? middle : 4n, 32764n) >> 2n;
          const more = stream.bit(one, 13n);
          const target = more ? 32767n : 0n;
          fast[first + k] += (target - fast[first + k]) >> 5n;
          slow[first + k] += (target - slow[first + k]) >> 8n;
          if (!more) return signed(stream, BigInt(k));
        }
        return signed(stream, 14n + stream.distance());
      });
    },
  };
}

function adaptive(fields: Fields, C: number): Model {
  fields.count(C);
  const near = neighbourhood(fields, C);
  return {
    take(stream, vectors) {
      const learnt = Array.from({ length: near.contexts }, () => ({
        n: 0n,
        F: Array.from({ length: 16 }, (_, k) => 32768n - (32768n >> BigInt(k))),
      }));
      return inTurn(vectors, C, (v, c, known) => {
        const state = learnt[near.of(known, v, c)];
        const starts = state.F.map((F, k) => ((F * (16384n - 16n)) >> 15n) + BigInt(k));
        const m = stream.take(14n, (slot) => {
          const index = starts.findLastIndex((s) => s <= slot);
          return { index, s: starts[index], f: (starts[index + 1] ?? 16384n) - starts[index] };
        });
        const rate = least(7n, 3n + log2(state.n + 1n) / 2n);
        state.F = state.F.map((F, k) => (k === 0 ? F : F + (((k > m ? 32768n : 0n) - F) >> rate)));
        state.n = least(state.n + 1n, 1024n);
        return signed(stream, m < 15 ? BigInt(m) : 15n + stream.distance());
      });
    },
  };
}

function predictive(fields: Fields, C: number): Model {
  fields.count(C);
  const T = Number(fields.list(1, 1, 1n, 8n)[0]);
  const back = fields.list(T, 2, 1n, 65535n).map(Number);
  const means = fields.list(C * T, 2, -32768n, 32767n, true);
  const bias = fields.list(C, 4, 1n, 2n ** 24n);
  const weights = fields.list(C * (2 * T + 1), 2, 0n, 65535n);
  const bank = fields.bank(384);
  return {
    take(stream, vectors) {
      const near: bigint[] = [];
      const surprises: bigint[] = [];
      let sum = 0n;
      return inTurn(vectors, C, (v, c) => {
        if (c === 0) sum = 0n;
        const own = weights.slice(c * (2 * T + 1), (c + 1) * (2 * T + 1));
        let mean = 0n;
        let scale = bias[c] + ((sum * own[2 * T]) >> 4n);
        for (let t = 0; t < T; t++) {
          if (v < back[t]) continue;
          const at = (v - back[t]) * C + c;
          mean += means[c * T + t] * near[at];
          scale += own[2 * t] * least(240n, 16n * magnitudeOf(near[at])) + own[2 * t + 1] * surprises[at];
        }
        const nearest = (mean + 2048n) >> 12n;
        const d = mean - nearest * 4096n;
        const phase = [82n, 205n, 410n, 737n, 1311n].filter((p) => p <= magnitudeOf(d)).length;
        const o = log2(scale);
        const level = o < 5n ? 0n : least(63n, 4n * (o - 5n) + ((scale >> (o - 2n)) % 4n));
        const y = stream.integer(bank, Number(6n * level) + phase, 2n * MOST);
        const x = d < 0n ? nearest - y : nearest + y;
        need(magnitudeOf(x) <= MOST, 'integer');
        const clamped = x < 0n ? -least(-x, 4095n) : least(x, 4095n);
        const surprise = least(240n, magnitudeOf(clamped * 4096n - mean) >> 8n);
        near.push(clamped);
        surprises.push(surprise);
        sum = least(65535n, sum + surprise);
        return x;
      });
    },
  };
}
