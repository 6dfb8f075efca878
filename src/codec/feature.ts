import { IsthmusError } from '../errors.ts';
import { asTensor, elements, fromFloat32, type Tensor, type TensorLike, toFloat32 } from '../tensor.ts';
import type { FeatureTensor } from './codec.ts';

/**
 * The values of a feature as float32, one array a tensor, checked against what the codec is made for.
 * Throws `TENSOR_INVALID`, also for a value that is not finite where `finite` is asked.
 */
export function featureValues(
  features: readonly FeatureTensor[],
  given: readonly TensorLike[],
  finite: boolean,
): Float32Array[] {
  if (!Array.isArray(given) || given.length !== features.length) {
    throw new IsthmusError(
      'TENSOR_INVALID',
      `the codec is made for ${features.length} tensor(s) (${features.map((f) => f.name).join(', ')}), got ${given?.length}`,
    );
  }
  return features.map((feature, i) => {
    const tensor = asTensor(given[i]);
    if (tensor.dtype !== feature.dtype || tensor.shape.join() !== feature.shape.join()) {
      throw new IsthmusError(
        'TENSOR_INVALID',
        `feature '${feature.name}' needs ${feature.dtype} [${feature.shape}], got ${tensor.dtype} [${tensor.shape}]`,
      );
    }
    const values = toFloat32(tensor);
    if (finite && !allFinite(values)) {
      throw new IsthmusError('TENSOR_INVALID', `feature '${feature.name}' holds a value that is not finite`);
    }
    return values;
  });
}

/** Whether no value is infinite or NaN: zero times such a value is NaN. Four sums that do not wait for each other. */
export function allFinite(values: Float32Array): boolean {
  const { length } = values;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    s0 += values[i] * 0;
    s1 += values[i + 1] * 0;
    s2 += values[i + 2] * 0;
    s3 += values[i + 3] * 0;
  }
  for (; i < length; i++) s0 += values[i] * 0;
  return !Number.isNaN(s0 + s1 + s2 + s3);
}

/** The inverse: tensors of the codec's dtypes and shapes. */
export function featureTensors(features: readonly FeatureTensor[], values: readonly Float32Array[]): Tensor[] {
  return features.map((feature, i) => fromFloat32(feature.dtype, feature.shape, values[i]));
}

/** Elements of each tensor of a feature. */
export function featureElements(features: readonly FeatureTensor[]): number[] {
  return features.map((feature) => elements(feature.shape));
}
