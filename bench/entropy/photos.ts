import { existsSync } from 'node:fs';
import { type CodecSource, kltCodecs, kltStatistics } from '../../src/codec/index.ts';
import { cutNetwork, openNetwork } from '../../src/network.ts';
import { writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { openSuite, prepare, readSplit } from '../../src/tasks/index.ts';
import type { Tensor } from '../../src/tensor.ts';
import { type FeatureRow, measureModels, measurePacket } from './feature-rows.ts';

const CUT = 'after block 6';
/** Quantization steps that bring a feature to about 5.7, 2 and 0.9 kB with static tables. */
const STEPS = [1, 1.9, 2.6];

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
