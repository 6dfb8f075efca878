import { IsthmusError } from '../errors.ts';
import { AdaptiveModel } from './adaptive.ts';
import { AdaptiveBinaryModel } from './adaptive-binary.ts';
import { CostMeter, type SymbolCoder } from './coder.ts';
import { ContextModel } from './context.ts';
import { ParametricModel } from './parametric.ts';
import { PredictiveModel } from './predictive.ts';
import { SparseModel } from './sparse.ts';
import { TableBank } from './tables.ts';

/** Gives every integer of a feature its probability. Immutable: what a model learns while it codes lives in the call. */
export interface EntropyModel {
  /** Integers of a vector. */
  readonly components: number;
  /**
   * Codes `values`, vectors of the model's components one after the other, each within ±`MAX_SYMBOL`, with any coder. A reader
   * fills them. Throws `PACKET_CORRUPT` where a stream cannot be one of this model's.
   */
  code(coder: SymbolCoder, values: Int32Array): void;
  /** As it stands in a codec file: the first byte is the format. */
  toBytes(): Uint8Array;
}

/** Each format's reader, by the first byte of its files; 0 is none's. */
const READERS: readonly (((bytes: Uint8Array, components: number) => EntropyModel) | null)[] = [
  null,
  (bytes, components) => TableBank.fromBytes(bytes, components),
  ParametricModel.fromBytes,
  SparseModel.fromBytes,
  ContextModel.fromBytes,
  AdaptiveBinaryModel.fromBytes,
  AdaptiveModel.fromBytes,
  PredictiveModel.fromBytes,
];

/**
 * Reads `toBytes` of any model for vectors of `components` components. Throws `CODEC_VERSION` for a format that is not known,
 * `CODEC_INVALID` for bytes that are not whole and consistent. Memory is bounded by a multiple of the bytes.
 */
export function readModel(bytes: Uint8Array, components: number): EntropyModel {
  if (bytes.length === 0) throw new IsthmusError('CODEC_INVALID', 'an entropy model has no bytes');
  const reader = READERS[bytes[0]];
  if (!reader) {
    throw new IsthmusError(
      'CODEC_VERSION',
      `an entropy model has format ${bytes[0]}, known are 1 to ${READERS.length - 1}; a newer isthmus may know it`,
    );
  }
  return reader(bytes, components);
}

/** What `values` cost under a model: bits x 2^16, exact for the model's probabilities. */
export function modelCost(model: EntropyModel, values: Int32Array): number {
  const meter = new CostMeter();
  model.code(meter, values);
  return meter.cost;
}

/** The same for each of the components that vectors have; length `components`. */
export function modelCosts(model: EntropyModel, values: Int32Array, components: number): Float64Array {
  const costs = new Float64Array(components);
  const meter = new CostMeter();
  let before = 0;
  let component = 0;
  model.code(
    {
      symbol: (...given) => meter.symbol(...given),
      bit: (...given) => meter.bit(...given),
      raw: (...given) => meter.raw(...given),
      next: () => {
        costs[component] += meter.cost - before;
        before = meter.cost;
        component = (component + 1) % components;
      },
    },
    values,
  );
  return costs;
}
