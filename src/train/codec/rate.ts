import { type Tensor, tensor } from '../../tensor.ts';
import type { Extension } from '../extension.ts';

/** Below this a probability counts as this, so that its logarithm stays finite; 30 bits. */
const LEAST = 2 ** -30;

/**
 * Writes the rate of noisy latents, in bits of each row: float32 `[batch]`. Each component has a logistic density of its own
 * around zero, convolved with the noise: P = F((z + step/2) / scale) - F((z - step/2) / scale), F the sigmoid (the factorized
 * prior of Ballé et al. 2018, appendix 6.1, with one scale a component). `latents` is `[batch, vectors, components]`, `step`
 * `[batch, 1, 1]`, `logScale` `[components]`.
 */
export function writeRate(nodes: Extension, latents: string, step: string, logScale: string): string {
  const scale = nodes.emit('Exp', [logScale]);
  // In the lower tail, where the difference of two sigmoids keeps its digits.
  const tail = nodes.emit('Neg', [nodes.emit('Abs', [latents])]);
  const half = nodes.emit('Mul', [step, nodes.number(0.5)]);
  const below = (edge: string) => nodes.emit('Sigmoid', [nodes.emit('Div', [edge, scale])]);
  const mass = nodes.emit('Sub', [below(nodes.emit('Add', [tail, half])), below(nodes.emit('Sub', [tail, half]))]);
  const nats = nodes.emit('Log', [nodes.emit('Max', [mass, nodes.number(LEAST)])]);
  const sum = nodes.emit('ReduceSum', [nats, nodes.ints([1, 2])], { keepdims: 0 });
  return nodes.emit('Mul', [sum, nodes.number(-1 / Math.LN2)]);
}

/** Where log-scales start for components of these variances: a logistic's deviation is π/√3 scales. */
export function initialLogScales(variances: Float64Array): Tensor {
  const scales = Float32Array.from(variances, (variance) =>
    Math.log((Math.sqrt(variance) * Math.sqrt(3)) / Math.PI + 0.02),
  );
  return tensor('float32', [scales.length], scales);
}
