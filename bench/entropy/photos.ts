import { existsSync } from 'node:fs';
import {
  analyze,
  type Codec,
  type CodecSource,
  type KltStatistics,
  kltCodecs,
  kltStatistics,
  type LinearTransform,
} from '../../src/codec/index.ts';
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
import { cutNetwork, openNetwork } from '../../src/network.ts';
import { writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { openSuite, prepare, readSplit } from '../../src/tasks/index.ts';
import type { Tensor } from '../../src/tensor.ts';
import { interleave, type Timing, type Work } from './rounds.ts';
import { readyFor, WAYS, type Way } from './ways.ts';

const CUT = 'after block 6';
const GRID = 14;
/** Quantization steps that bring a feature to about 5.7, 2 and 0.9 kB with static tables. */
const STEPS = [0.9, 2.2, 3.5];

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

export interface PhotoResult {
  readonly cut: string;
  readonly fitted: number;
  readonly measured: number;
  /** Integers of the features, by entropy model; no frame. */
  readonly models: readonly FeatureRow[];
  /** Whole features through `codec.encode` and `codec.decode`. */
  readonly packets: readonly FeatureRow[];
}

export interface PhotoOptions {
  /** Training photos to fit on, and photos of the validation split to measure. */
  readonly fit: number;
  readonly measure: number;
  readonly rounds: number;
}

/** Features of real photos at three rates. Null where the folder of photos is not there. */
export async function measurePhotos(folder: string, options: PhotoOptions): Promise<PhotoResult | null> {
  if (!existsSync(`${folder}/suite.json`)) return null;
  const { training, features } = await featuresOf(folder, options);
  const source: CodecSource = { features: [{ name: 'feature', dtype: 'float32', shape: features[0].shape }] };
  const stream = async function* () {
    for (const feature of training) yield [feature];
  };
  const statistics = await kltStatistics(source, stream);
  const models: FeatureRow[] = [];
  const packets: FeatureRow[] = [];
  const codecs = {
    static: await kltCodecs(source, statistics, stream, STEPS, { model: 'static' }),
    predictive: await kltCodecs(source, statistics, stream, STEPS, { model: 'predictive' }),
  };
  for (const [i, step] of STEPS.entries()) {
    models.push(...(await measureModels(step, statistics[0], training, features, options.rounds)));
    for (const [what, { [i]: codec }] of Object.entries(codecs)) {
      packets.push(...(await measurePacket(step, what, codec, features, options.rounds)));
    }
  }
  return { cut: CUT, fitted: training.length, measured: features.length, models, packets };
}

async function featuresOf(folder: string, { fit, measure }: PhotoOptions) {
  const suite = await openSuite(folder);
  const { graph, input } = await openNetwork(suite, 'classification');
  const cut = suite.cuts[CUT];
  const session = await openOnnxRuntimeNode(writeGraph(cutNetwork(graph, cut, input.name).head));
  const run = async (split: string, count: number): Promise<Tensor[]> => {
    const features: Tensor[] = [];
    for (const { path } of (await readSplit(suite, 'classification', split)).slice(0, count)) {
      features.push((await session.run({ [input.name]: await prepare(path, input) }))[cut[0]]);
    }
    return features;
  };
  const all = { training: await run('train', fit), features: await run('val', measure) };
  await session.release();
  return all;
}

async function measureModels(
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
    const encode = (values: Int32Array) => encodeSequences([{ model, values }], lanes);
    const streams = given.map(encode);
    const outs = given.map((values) => new Int32Array(values.length));
    const decodeAll = () => {
      for (const [i, stream] of streams.entries()) decodeSequences(stream, [{ model, values: outs[i] }], lanes);
    };
    decodeAll();
    if (given.some((values, i) => values.some((value, j) => value !== outs[i][j]))) {
      throw new Error(`${what} gave other integers`);
    }
    return bothWays(step, what, streams, () => given.map(encode), decodeAll);
  });
  return timed(rows, given.length, rounds);
}

function measurePacket(step: number, what: string, codec: Codec, features: readonly Tensor[], rounds: number) {
  const encode = () => features.map((feature) => codec.encode([feature]));
  const packets = encode();
  const decode = () => packets.map((packet) => codec.decode(packet));
  return timed(bothWays(step, what, packets, encode, decode), features.length, rounds);
}

function staticBank(samples: readonly Int32Array[], components: number): TableBank {
  const histograms = Array.from({ length: components }, () => new Histogram());
  for (const values of samples) for (let i = 0; i < values.length; i++) histograms[i % components].add(values[i]);
  return TableBank.fit(histograms);
}

type Untimed = Omit<FeatureRow, 'encode' | 'decode'> & { readonly encode: Work; readonly decode: Work };

/** Rows of work on all features at once. */
function bothWays(
  step: number,
  what: string,
  coded: readonly Uint8Array[],
  encode: () => unknown,
  decode: () => unknown,
): Untimed[] {
  const bytes = coded.reduce((sum, { length }) => sum + length, 0) / coded.length;
  return WAYS.map((way) => ({
    step,
    what,
    way,
    bytes,
    encode: { name: `${what} ${way} encode`, before: readyFor(way, encode), run: encode },
    decode: { name: `${what} ${way} decode`, before: readyFor(way, decode), run: decode },
  }));
}

async function timed(rows: readonly Untimed[], features: number, rounds: number): Promise<FeatureRow[]> {
  const timings = await interleave(
    rows.flatMap(({ encode, decode }) => [encode, decode]),
    rounds,
  );
  const each = ({ name }: Work): Timing => {
    const { runs, median, best } = timings.get(name) as Timing;
    return { runs, median: median / features, best: best / features };
  };
  return rows.map((row) => ({ ...row, encode: each(row.encode), decode: each(row.decode) }));
}
