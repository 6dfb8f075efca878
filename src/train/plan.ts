import type { DifferentiateOptions } from '../autodiff/index.ts';
import { IsthmusError } from '../errors.ts';
import { type Graph, mainGraph, tensorOf } from '../onnx/index.ts';
import type { TensorProto } from '../onnx/onnx_pb.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { type Optimizer, type OptimizerSpec, optimizerOf } from './optimizer.ts';

/** Weights that are trained alike. */
export interface WeightGroup {
  /** Names of float32 initializers. */
  readonly weights: readonly string[];
  /** Factor of the step's learning rate; 1 by default. */
  readonly rate?: number;
  /** Weight decay, a step's share of it the learning rate times this; 0 by default. */
  readonly decay?: number;
}

export interface StepOptions extends Pick<DifferentiateOptions, 'rules' | 'checkpoint'> {
  /** The scalar to lessen. */
  readonly loss: string;
  /** What is trained. Other initializers stay constants, which a runtime can fold and prepack. */
  readonly groups: readonly WeightGroup[];
  readonly optimizer: OptimizerSpec;
  /** Gradients are scaled down together where their global norm is above this. */
  readonly clip?: number;
  /** Further float32 scalars that a step gives. */
  readonly report?: readonly string[];
  /** Decay of an exponential moving average of the weights, such as 0.999; none is kept by default. */
  readonly average?: number;
}

/** A tensor that is kept from step to step: fed as input `name`, given back as output `next`. */
export interface StateTensor {
  readonly name: string;
  readonly next: string;
  readonly initial: Tensor;
}

/** The tensors of one trained weight. */
export interface TrainedWeight {
  readonly weight: StateTensor;
  /** What the optimizer keeps. */
  readonly slots: readonly StateTensor[];
  readonly average?: StateTensor;
}

/** A trained weight and where its gradient is. */
export interface PlannedWeight extends TrainedWeight {
  /** Tensor of the differentiated graph. */
  readonly gradient: string;
  /** Sum of the gradients of several batches; zeros at first. */
  readonly sum: StateTensor;
  /** Index of its group. */
  readonly group: number;
}

/** What the graphs of a step are made of. */
export interface StepPlan {
  readonly options: StepOptions;
  readonly optimizer: Optimizer;
  /** In the order in which the backward pass finishes their gradients. */
  readonly weights: readonly PlannedWeight[];
}

/** The plan of a step; `gradientOf` tells a weight's gradient, and when the backward pass has it. */
export function planOf(
  options: StepOptions,
  weights: ReadonlyMap<string, Tensor>,
  gradientOf: (weight: string) => { readonly name: string; readonly at: number },
): StepPlan {
  const optimizer = optimizerOf(options.optimizer);
  const planned = options.groups.flatMap((group, index) =>
    group.weights.map((name): PlannedWeight & { at: number } => {
      const initial = weights.get(name) as Tensor;
      const gradient = gradientOf(name);
      return {
        weight: kept(name, initial),
        slots: optimizer.slots.map((slot) => kept(`${slot}/${name}`, zerosLike(initial))),
        ...(options.average === undefined ? {} : { average: kept(`average/${name}`, initial) }),
        gradient: gradient.name,
        sum: kept(`sum/${name}`, zerosLike(initial)),
        group: index,
        at: gradient.at,
      };
    }),
  );
  return { options, optimizer, weights: planned.sort((a, b) => a.at - b.at) };
}

/** All tensors that are kept from step to step. */
export function statesOf(weights: readonly TrainedWeight[]): StateTensor[] {
  return weights.flatMap(({ weight, slots, average }) => [weight, ...slots, ...(average ? [average] : [])]);
}

function kept(name: string, initial: Tensor): StateTensor {
  return { name, next: `next/${name}`, initial };
}

function zerosLike({ shape, data }: Tensor): Tensor {
  return tensor('float32', shape, new Float32Array(data.length));
}

/** The weights that the groups name, as they are in the graph. Throws `INVALID_ARGUMENT`. */
export function initialWeights(graph: Graph, groups: readonly WeightGroup[]): Map<string, Tensor> {
  const protos = new Map<string, TensorProto>(mainGraph(graph).initializer.map((each) => [each.name, each]));
  const weights = new Map<string, Tensor>();
  for (const name of groups.flatMap((group) => group.weights)) {
    const proto = protos.get(name);
    if (proto === undefined) {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `the graph has no initializer '${name}'; only initializers are trained`,
      );
    }
    if (weights.has(name))
      throw new IsthmusError('INVALID_ARGUMENT', `weight '${name}' is named twice; each has one group`);
    const value = tensorOf(proto);
    if (value.dtype !== 'float32') {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `weight '${name}' is ${value.dtype}; only float32 weights are trained`,
      );
    }
    weights.set(name, value);
  }
  return weights;
}

/** Throws `INVALID_ARGUMENT` for options that cannot be. */
export function checkOptions(graph: Graph, { groups, clip, average, report = [] }: StepOptions): void {
  const made = new Set(mainGraph(graph).node.flatMap(({ output }) => output));
  const unknown = report.find((name) => !made.has(name));
  if (unknown !== undefined) {
    throw new IsthmusError('INVALID_ARGUMENT', `report: no node of the graph makes '${unknown}'`);
  }
  if (groups.every(({ weights }) => weights.length === 0)) {
    throw new IsthmusError('INVALID_ARGUMENT', 'groups name no weight; name at least one to train');
  }
  for (const { rate = 1, decay = 0 } of groups) {
    if (rate >= 0 && decay >= 0 && Number.isFinite(rate + decay)) continue;
    throw new IsthmusError('INVALID_ARGUMENT', `a group's rate and decay are at least 0, got ${rate} and ${decay}`);
  }
  if (clip !== undefined && !(clip > 0))
    throw new IsthmusError('INVALID_ARGUMENT', `clip must be above 0, got ${clip}`);
  if (average !== undefined && !(average >= 0 && average < 1)) {
    throw new IsthmusError('INVALID_ARGUMENT', `average must be at least 0 and below 1, got ${average}`);
  }
}
