import { IsthmusError } from '../errors.ts';
import type { Extension } from './extension.ts';

/** Adam with decoupled weight decay (Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019). */
export interface AdamW {
  readonly kind: 'adamw';
  /** Decay of the mean of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients; 0.999 by default. */
  readonly beta2?: number;
  /** Added to the root of the mean square; 1e-8 by default. */
  readonly epsilon?: number;
}

/** Stochastic gradient descent. Weight decay is decoupled, as in SGDW of the same paper. */
export interface Sgd {
  readonly kind: 'sgd';
  /** Decay of the sum of past gradients; 0 by default, which keeps none. */
  readonly momentum?: number;
  /** Whether the gradient is looked up one step ahead (Nesterov); needs a momentum. */
  readonly nesterov?: boolean;
}

export type OptimizerSpec = AdamW | Sgd;

/**
 * What one step feeds, by name; numbers, or the names of their scalars in a graph. `pace` is the factor of the update,
 * `keep` that of the weight (there with decay only), `floor` is added to the root of AdamW's mean square.
 */
export type StepScalars<T> = { readonly pace: T; readonly keep?: T; readonly floor?: T };

/** How one optimizer works. */
export interface Optimizer {
  /** What is kept of each weight between steps, in its shape, zeros at first. */
  readonly slots: readonly string[];
  /** The scalars of step `step` (from 1) at a learning rate and a weight decay, to be rounded once when they are fed. */
  scalars(step: number, rate: number, decay: number): StepScalars<number>;
  /** Writes one weight's step, from the tensors named to new ones named; the nodes read each as few times as can be. */
  update(
    nodes: Extension,
    from: WeightTensors & { readonly gradient: string },
    to: WeightTensors,
    by: StepScalars<string>,
  ): void;
}

/** Names of a weight and of what is kept of it, in the order of the optimizer's slots. */
export interface WeightTensors {
  readonly weight: string;
  readonly slots: readonly string[];
}

/** Throws `INVALID_ARGUMENT` for a decay outside [0, 1), an epsilon that is not positive, Nesterov without momentum. */
export function optimizerOf(spec: OptimizerSpec): Optimizer {
  if (spec.kind === 'adamw') return adamw(spec);
  if (spec.kind === 'sgd') return sgd(spec);
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `optimizer: kind is adamw or sgd, got '${(spec as { kind: unknown }).kind}'`,
  );
}

/**
 * The moments are kept divided by 1 - beta, which saves two passes over each tensor: m = beta1 m + g, v = beta2 v + g²,
 * and w = keep w - pace m / (√v + floor) with bias corrections, epsilon and those divisors inside pace and floor.
 */
function adamw({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamW): Optimizer {
  checkDecay('beta1', beta1);
  checkDecay('beta2', beta2);
  if (!(epsilon > 0)) throw new IsthmusError('INVALID_ARGUMENT', `optimizer: epsilon must be above 0, got ${epsilon}`);
  return {
    slots: ['adamw/mean', 'adamw/square'],
    scalars(step, rate, decay) {
      const root = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
      const pace = (rate * (1 - beta1)) / (1 - beta1 ** step) / root;
      return { pace, ...kept(rate, decay), floor: epsilon / root };
    },
    update(nodes, { weight, gradient, slots }, to, { pace, keep, floor }) {
      const m = decayed(nodes, slots[0], beta1, gradient, to.slots[0]);
      const v = decayed(nodes, slots[1], beta2, nodes.emit('Mul', [gradient, gradient]), to.slots[1]);
      const root = nodes.emit('Add', [nodes.emit('Sqrt', [v]), floor as string]);
      const move = nodes.emit('Mul', [nodes.emit('Div', [m, root]), pace]);
      moveWeight(nodes, weight, move, keep, to.weight);
    },
  };
}

/** b = momentum b + g, and w = keep w - pace b, or g + momentum b in b's place for Nesterov; as PyTorch's SGD has it. */
function sgd({ momentum = 0, nesterov = false }: Sgd): Optimizer {
  checkDecay('momentum', momentum);
  if (nesterov && momentum === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', 'optimizer: nesterov needs a momentum above 0, such as 0.9');
  }
  return {
    slots: momentum === 0 ? [] : ['sgd/momentum'],
    scalars: (_step, rate, decay) => ({ pace: rate, ...kept(rate, decay) }),
    update(nodes, { weight, gradient, slots: [buffer] }, to, { pace, keep }) {
      const b = buffer === undefined ? gradient : decayed(nodes, buffer, momentum, gradient, to.slots[0]);
      const direction = nesterov ? decayed(nodes, b, momentum, gradient) : b;
      const move = nodes.emit('Mul', [direction, pace]);
      moveWeight(nodes, weight, move, keep, to.weight);
    },
  };
}

function kept(rate: number, decay: number): { keep?: number } {
  return decay === 0 ? {} : { keep: 1 - rate * decay };
}

function decayed(nodes: Extension, sum: string, decay: number, added: string, as?: string): string {
  return nodes.emit('Add', [nodes.emit('Mul', [sum, nodes.number(decay)]), added], {}, as);
}

function moveWeight(nodes: Extension, weight: string, move: string, keep: string | undefined, as: string): void {
  nodes.emit('Sub', [keep === undefined ? weight : nodes.emit('Mul', [weight, keep]), move], {}, as);
}

function checkDecay(name: string, value: number): void {
  if (value >= 0 && value < 1) return;
  throw new IsthmusError('INVALID_ARGUMENT', `optimizer: ${name} must be at least 0 and below 1, got ${value}`);
}
