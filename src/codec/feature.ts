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

/** Whether no value is infinite or NaN; a plain loop, ten times faster than `every`. */
export function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] - values[i] !== 0) return false;
  return true;
}

/** The inverse: tensors of the codec's dtypes and shapes. */
export function featureTensors(features: readonly FeatureTensor[], values: readonly Float32Array[]): Tensor[] {
  return features.map((feature, i) => fromFloat32(feature.dtype, feature.shape, values[i]));
}

/** Elements of each tensor of a feature. */
export function featureElements(features: readonly FeatureTensor[]): number[] {
  return features.map((feature) => elements(feature.shape));
}
