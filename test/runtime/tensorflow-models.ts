import * as tf from '@tensorflow/tfjs';
import { byteLength, type NumericDType, type Tensor } from '../../src/tensor.ts';

/** A dense layer that multiplies by `gain` and adds `bias`. */
export function scaled(name: string, units: number, gain: number, bias: number): tf.layers.Layer {
  return tf.layers.dense({
    name,
    units,
    kernelInitializer: tf.initializers.identity({ gain }),
    biasInitializer: tf.initializers.constant({ value: bias }),
  });
}

const apply = (layer: tf.layers.Layer, input: tf.SymbolicTensor | tf.SymbolicTensor[]) =>
  layer.apply(input) as tf.SymbolicTensor;

export function affineLayers(): tf.LayersModel {
  const x = tf.input({ shape: [3], name: 'x' });
  return tf.model({ inputs: x, outputs: [apply(scaled('y', 3, 2, 1), x), apply(scaled('z', 3, -1, 0), x)] });
}

export function sumLayers(): tf.LayersModel {
  const [a, b] = ['a', 'b'].map((name) => tf.input({ shape: [2], name }));
  return tf.model({ inputs: [a, b], outputs: apply(tf.layers.add({ name: 'sum' }), [a, b]) });
}

export function copyLayers(): tf.LayersModel {
  const x = tf.input({ shape: [2], name: 'x' });
  return tf.model({ inputs: x, outputs: apply(tf.layers.activation({ activation: 'linear', name: 'y' }), x) });
}

const seeded = (seed: number) => tf.initializers.glorotUniform({ seed });

/**
 * A small network of everything that makes cuts hard: a skip connection, a layer called twice, a nested model, and
 * normalization. Images of 8 x 8 to 5 numbers.
 */
export function branchedLayers(): tf.LayersModel {
  const conv = (name: string, filters: number, seed: number) =>
    tf.layers.conv2d({
      name,
      filters,
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
      kernelInitializer: seeded(seed),
    });
  const image = tf.input({ shape: [8, 8, 3], name: 'image' });
  const stem = apply(conv('stem', 4, 1), image);
  const shared = conv('shared', 4, 2);
  const twice = apply(shared, apply(shared, stem));
  const skip = apply(tf.layers.add({ name: 'skip' }), [stem, twice]);
  const norm = apply(tf.layers.batchNormalization({ name: 'norm' }), skip);
  const inner = tf.input({ shape: [8, 8, 4], name: 'inner_input' });
  const deep = apply(conv('deep', 6, 3), inner);
  const pooled = apply(tf.layers.globalAveragePooling2d({ name: 'pooled' }) as tf.layers.Layer, deep);
  const nested = tf.model({ name: 'nested', inputs: inner, outputs: pooled });
  const features = nested.apply(norm) as tf.SymbolicTensor;
  const answer = apply(
    tf.layers.dense({ name: 'answer', units: 5, activation: 'softmax', kernelInitializer: seeded(4) }),
    features,
  );
  return tf.model({ inputs: image, outputs: answer });
}

export interface NodeSpec {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, unknown>>;
}

const TYPES = { float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL', string: 'DT_STRING' } as const;
export type GraphType = keyof typeof TYPES;

export const typed = (dtype: GraphType, key = 'T') => ({ [key]: { type: TYPES[dtype] } });

/** A placeholder; -1 is an open dimension. */
export function placeholder(name: string, dtype: GraphType, shape?: readonly number[]): NodeSpec {
  const dims = shape && { shape: { shape: { dim: shape.map((size) => ({ size: String(size) })) } } };
  return { name, op: 'Placeholder', attr: { ...typed(dtype, 'dtype'), ...dims } };
}

/** What `model.json` and its one weight file hold of a graph. */
export function graphFiles(
  nodes: readonly NodeSpec[],
  weights: Readonly<Record<string, Tensor>> = {},
  signature?: object,
): { topology: object; specs: tf.io.WeightsManifestEntry[]; data: Uint8Array; signature?: object } {
  const specs = Object.entries(weights).map(([name, { dtype, shape }]) => ({
    name,
    dtype: dtype as 'float32',
    shape: [...shape],
  }));
  const sizes = Object.values(weights).map(({ dtype, shape }) => byteLength(dtype as NumericDType, shape));
  const data = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  Object.values(weights).forEach(({ data: values }, i) => {
    data.set(new Uint8Array((values as Float32Array).buffer, (values as Float32Array).byteOffset, sizes[i]), at);
    at += sizes[i];
  });
  const constants = Object.entries(weights).map(([name, { dtype, shape }]) => ({
    name,
    op: 'Const',
    attr: {
      ...typed(dtype as GraphType, 'dtype'),
      value: {
        tensor: {
          dtype: TYPES[dtype as GraphType],
          tensorShape: { dim: shape.map((size) => ({ size: String(size) })) },
        },
      },
    },
  }));
  const node = [...constants, ...nodes].map((each) => ({ input: [], attr: {}, ...each }));
  return { topology: { node, versions: { producer: 1 } }, specs, data, ...(signature ? { signature } : {}) };
}

/** A graph model as a user has it after loading. */
export async function graphModel(...given: Parameters<typeof graphFiles>): Promise<tf.GraphModel> {
  const { topology, specs, data, signature } = graphFiles(...given);
  return tf.loadGraphModel(
    tf.io.fromMemory({
      modelTopology: topology,
      weightSpecs: specs,
      weightData: data.buffer as ArrayBuffer,
      ...(signature ? { signature: signature as never } : {}),
    }),
  );
}
