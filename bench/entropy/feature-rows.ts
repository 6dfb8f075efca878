import { analyze, type Codec, type KltStatistics, type LinearTransform } from '../../src/codec/index.ts';
import {
  AdaptiveBinaryModel,
  AdaptiveModel,
  ContextModel,
  decodeSequences,
  type EntropyModel,
  encodeSequences,
  Histogram,
  lanesFor,
  type Neighbourhood,
  ParametricModel,
  PredictiveModel,
  SparseModel,
  TableBank,
} from '../../src/entropy/index.ts';
import type { Tensor } from '../../src/tensor.ts';
import { interleave, type Timing, type Work } from './rounds.ts';
import { readyFor, WAYS, type Way } from './ways.ts';

const GRID = 14;

/** Left, above and above to both sides in the grid of patches; the components before. */
const NEIGHBOURS: Neighbourhood = {
  terms: [
    { vector: 1, component: 0, weight: 2 },
    { vector: GRID, component: 0, weight: 2 },
    { vector: GRID - 1, component: 0, weight: 1 },
    { vector: GRID + 1, component: 0, weight: 1 },
    { vector: 0, component: 1, weight: 2 },
    { vector: 0, component: 2, weight: 1 },
  ],
  cap: 15,
  thresholds: [1, 2, 4, 7, 12, 20, 32],
};
const BACK = [1, GRID, GRID + 1, GRID - 1];

/** Bytes (the mean) and milliseconds a feature. */
export interface FeatureRow {
  readonly step: number;
  readonly what: string;
  readonly way: Way;
  readonly bytes: number;
  readonly encode: Timing;
  readonly decode: Timing;
}

/** Integers of the features at a step, by every entropy model, fitted on `training`. */
export async function measureModels(
  step: number,
  { transform }: KltStatistics,
  training: readonly Tensor[],
  features: readonly Tensor[],
  rounds: number,
): Promise<FeatureRow[]> {
  const integersOf = (by: LinearTransform, tensors: readonly Tensor[]) =>
    tensors.map(({ data }) => analyze(by, data as Float32Array, step));
  const whole = integersOf(transform, training);
  let components = 1;
  for (const values of whole) {
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== 0) components = Math.max(components, (i % transform.components) + 1);
    }
  }
  const used = {
    ...transform,
    components,
    basis: transform.basis.subarray(0, components * transform.layout.length),
  };
  const [samples, given] = [integersOf(used, training), integersOf(used, features)];
  const models: [string, EntropyModel][] = [
    ['static tables', staticBank(samples, components)],
    ['parametric (logistic)', ParametricModel.fit(samples, components, 'logistic')],
    ['sparse', SparseModel.fit(samples, components)],
    ['context', ContextModel.fit(samples, components, NEIGHBOURS)],
    ['adaptive binary', AdaptiveBinaryModel.fit(samples, components, NEIGHBOURS)],
    ['adaptive', new AdaptiveModel(components, NEIGHBOURS)],
    ['predictive', PredictiveModel.fit(samples, components, BACK)],
  ];
  const rows = models.flatMap(([what, model]) => {
    const lanes = lanesFor([{ model, length: given[0].length }]);
    const encode = (i: number) => encodeSequences([{ model, values: given[i] }], lanes);
    const streams = given.map((_, i) => encode(i));
    const outs = given.map((values) => new Int32Array(values.length));
    const decode = (i: number) => decodeSequences(streams[i], [{ model, values: outs[i] }], lanes);
    for (const [i, values] of given.entries()) {
      decode(i);
      if (values.some((value, j) => value !== outs[i][j])) throw new Error(`${what} gave other integers`);
    }
    return bothWays(step, what, streams, encode, decode);
  });
  return timed(rows, given.length, rounds);
}

/** Whole features through a codec. */
export function measurePacket(step: number, what: string, codec: Codec, features: readonly Tensor[], rounds: number) {
  const encode = (i: number) => codec.encode([features[i]]);
  const packets = features.map((_, i) => encode(i));
  const decode = (i: number) => codec.decode(packets[i]);
  return timed(bothWays(step, what, packets, encode, decode), features.length, rounds);
}

function staticBank(samples: readonly Int32Array[], components: number): TableBank {
  const histograms = Array.from({ length: components }, () => new Histogram());
  for (const values of samples) for (let i = 0; i < values.length; i++) histograms[i % components].add(values[i]);
  return TableBank.fit(histograms);
}

type Untimed = Omit<FeatureRow, 'encode' | 'decode'> & { readonly encode: Work; readonly decode: Work };

/** Rows of work on all features at once; `encode` and `decode` do that of one, by its number. */
function bothWays(
  step: number,
  what: string,
  coded: readonly Uint8Array[],
  encode: (i: number) => unknown,
  decode: (i: number) => unknown,
): Untimed[] {
  const bytes = coded.reduce((sum, { length }) => sum + length, 0) / coded.length;
  const work = (name: string, way: Way, one: (i: number) => unknown): Work => {
    const run = () => {
      for (let i = 0; i < coded.length; i++) one(i);
    };
    return { name: `${what} ${way} ${name}`, before: readyFor(way, () => one(0)), run };
  };
  return WAYS.map((way) => ({
    step,
    what,
    way,
    bytes,
    encode: work('encode', way, encode),
    decode: work('decode', way, decode),
  }));
}

/** Ways one after the other within a round, since a switch drops what is warm. */
async function timed(rows: readonly Untimed[], features: number, rounds: number): Promise<FeatureRow[]> {
  const ordered = WAYS.flatMap((way) => rows.filter((row) => row.way === way));
  const timings = await interleave(
    ordered.flatMap(({ encode, decode }) => [encode, decode]),
    rounds,
  );
  const each = ({ name }: Work): Timing => {
    const { runs, median, best } = timings.get(name) as Timing;
    return { runs, median: median / features, best: best / features };
  };
  return rows.map((row) => ({ ...row, encode: each(row.encode), decode: each(row.decode) }));
}
