import { IsthmusError } from '../errors.ts';
import type { OpenOptions, OpenSession, Session } from '../runtime/session.ts';
import { asTensor, type Tensor, type TensorLike } from '../tensor.ts';
import type { Codec, FeatureTensor } from './codec.ts';

/** A codec's transforms, ready to run. For kinds that have none, both directions give back what they are given. */
export interface OpenTransforms {
  /** The tensors at the cut, batch 1, to those that the codec encodes. Throws `TENSOR_INVALID` and what the runtime throws. */
  analyze(feature: readonly TensorLike[]): Promise<readonly TensorLike[]>;
  /** What the codec decoded to the tensors at the cut. Throws as {@link analyze}. */
  synthesize(coded: readonly Tensor[]): Promise<readonly Tensor[]>;
  /** Frees the sessions. */
  release(): Promise<void>;
}

/**
 * Opens the transforms of a codec, so that it codes features: `codec.encode(await analyze(feature))` and
 * `synthesize(codec.decode(packet))`. A codec without transforms needs no runtime, and `open` is not called. What analysis and
 * synthesis compute may differ in its last bits between machines; the integers between them never do. Throws what `open` throws.
 */
export async function openTransforms(codec: Codec, open: OpenSession, options?: OpenOptions): Promise<OpenTransforms> {
  const { features, coded, entries, transforms } = codec;
  if (transforms === null) {
    return { analyze: async (feature) => feature, synthesize: async (decoded) => decoded, release: async () => {} };
  }
  const analysis = await open(entries.get('analysis.onnx') as Uint8Array, options);
  const synthesis = await open(entries.get('synthesis.onnx') as Uint8Array, options).catch(async (thrown) => {
    await analysis.release();
    throw thrown;
  });
  return {
    analyze: (feature) => runThrough(analysis, features, feature, coded),
    synthesize: (decoded) => runThrough(synthesis, coded, decoded, features),
    async release() {
      await analysis.release();
      await synthesis.release();
    },
  };
}

async function runThrough(
  session: Session,
  inputs: readonly FeatureTensor[],
  given: readonly TensorLike[],
  outputs: readonly FeatureTensor[],
): Promise<Tensor[]> {
  if (!Array.isArray(given) || given.length !== inputs.length) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `the transform takes ${inputs.length} tensor(s) (${inputs.map(({ name }) => name).join(', ')}), got ${given?.length}`,
    );
  }
  const feeds = inputs.map((wanted, i) => [wanted.name, ofShape(wanted, asTensor(given[i]), 'takes')]);
  const made = await session.run(Object.fromEntries(feeds));
  return outputs.map((wanted) => ofShape(wanted, made[wanted.name], 'is to give'));
}

/** A graph may leave its batch open, and what it declares need not be what it computes. */
function ofShape({ name, dtype, shape }: FeatureTensor, value: Tensor, what: string): Tensor {
  if (value.dtype === dtype && value.shape.join() === shape.join()) return value;
  throw new IsthmusError(
    'TENSOR_INVALID',
    `the transform ${what} '${name}' as ${dtype} [${shape}], not as ${value.dtype} [${value.shape}]`,
  );
}
