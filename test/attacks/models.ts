import { AdaptiveModel } from '../../src/entropy/adaptive.ts';
import { AdaptiveBinaryModel } from '../../src/entropy/adaptive-binary.ts';
import { StreamReader, StreamWriter } from '../../src/entropy/coder.ts';
import { ContextModel } from '../../src/entropy/context.ts';
import { Histogram } from '../../src/entropy/histogram.ts';
import { type EntropyModel, readModel } from '../../src/entropy/model.ts';
import type { Neighbourhood } from '../../src/entropy/neighbourhood.ts';
import { ParametricModel } from '../../src/entropy/parametric.ts';
import { PredictiveModel } from '../../src/entropy/predictive.ts';
import { SparseModel } from '../../src/entropy/sparse.ts';
import { TableBank } from '../../src/entropy/tables.ts';
import { Dice } from './dice.ts';

/** An entropy model to attack, with integers and the stream that they make under it. */
export interface SampleModel {
  readonly name: string;
  readonly model: EntropyModel;
  readonly bytes: Uint8Array;
  readonly components: number;
  readonly values: Int32Array;
  readonly stream: Uint8Array;
}

const COMPONENTS = 3;
const VECTORS = 20;

const NEIGHBOURHOOD: Neighbourhood = {
  terms: [
    { vector: 1, component: 0, weight: 2 },
    { vector: 0, component: 1, weight: 1 },
    { vector: 5, component: -1, weight: 1 },
  ],
  cap: 15,
  thresholds: [1, 3, 9],
};

/** Integers with a peak at 0, and now and then one far out. */
function sample(seed: number): Int32Array {
  const dice = new Dice(seed, 0);
  return Int32Array.from({ length: COMPONENTS * VECTORS }, (_, i) => {
    const reach = dice.below(40) === 0 ? 2 ** dice.below(30) : 1 + (i % COMPONENTS) * 2;
    return dice.below(2) === 0 ? 0 : dice.below(2 * reach + 1) - reach;
  });
}

/** A model of each format, small; from the same seeds each time. */
export function sampleModels(): SampleModel[] {
  const samples = Array.from({ length: 8 }, (_, i) => sample(100 + i));
  const histograms = Array.from({ length: COMPONENTS }, () => new Histogram());
  for (const values of samples) for (const [i, value] of values.entries()) histograms[i % COMPONENTS].add(value);
  const models: [string, EntropyModel][] = [
    ['tables', TableBank.fromHistograms(histograms, 12)],
    ['parametric', ParametricModel.fit(samples, COMPONENTS, 'laplace')],
    ['sparse', SparseModel.fit(samples, COMPONENTS)],
    ['context', ContextModel.fit(samples, COMPONENTS, NEIGHBOURHOOD)],
    ['adaptive binary', AdaptiveBinaryModel.fit(samples, COMPONENTS, NEIGHBOURHOOD)],
    ['adaptive', new AdaptiveModel(COMPONENTS, NEIGHBOURHOOD)],
    ['predictive', PredictiveModel.fit(samples, COMPONENTS, [1, 5])],
  ];
  return models.map(([name, model]) => {
    const values = sample(7);
    const bytes = model.toBytes();
    return {
      name,
      model: readModel(bytes, COMPONENTS),
      bytes,
      components: COMPONENTS,
      values,
      stream: write(model, values),
    };
  });
}

export function write(model: EntropyModel, values: Int32Array): Uint8Array {
  const writer = new StreamWriter();
  model.code(writer, values.slice());
  return writer.finish();
}

export function read(model: EntropyModel, stream: Uint8Array, count: number): Int32Array {
  const reader = new StreamReader(stream);
  const values = new Int32Array(count);
  model.code(reader, values);
  reader.finish();
  return values;
}
