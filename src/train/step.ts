import { differentiate } from '../autodiff/index.ts';
import { type Graph, mainGraph } from '../onnx/index.ts';
import type { Tensor } from '../tensor.ts';
import {
  checkOptions,
  initialWeights,
  planOf,
  type StateTensor,
  type StepOptions,
  type TrainedWeight,
} from './plan.ts';
import { applyGraph, forwardGraph, gradientGraph, wholeGraph, withNodesFor } from './step-graphs.ts';
import { SQUARES, type UpdatePlace, updateScalars } from './update.ts';

/**
 * The graphs of a training step. `whole` does all of it in one run. Where the gradients of several batches are added up,
 * `gradient` adds those of one (inputs `sums`, outputs their `next`) and `apply` does the rest. `forward` only measures.
 *
 * Outputs are, beside the state: `loss` and what is reported, of all but `apply`; `squares`, the sum of squares of
 * each weight's gradient in the order of `weights`, of `whole` and `apply`.
 */
export interface TrainingStep {
  readonly whole: Graph;
  readonly gradient: Graph;
  readonly apply: Graph;
  readonly forward: Graph;
  readonly loss: string;
  readonly report: readonly string[];
  readonly squares: string;
  /** In the order in which the backward pass finishes their gradients. */
  readonly weights: readonly TrainedWeight[];
  /** Sums of gradients, one a weight; zeros at first. */
  readonly sums: readonly StateTensor[];
  /** The scalars to feed in step `step` (from 1) at a learning rate; `batches` gradients were added up. */
  scalars(place: UpdatePlace, step: number, rate: number, batches: number): Record<string, Tensor>;
}

/**
 * Builds the graphs of a training step for a graph with a scalar loss: loss, gradients (reverse mode), clipping by the
 * global norm, and the optimizer.
 * Throws `INVALID_ARGUMENT` for options that cannot be, names that are no float32 initializers of the graph or named
 * twice; and what `differentiate` throws.
 */
export function trainingStep(graph: Graph, options: StepOptions): TrainingStep {
  checkOptions(graph, options);
  const weights = initialWeights(graph, options.groups);
  const { loss, report = [], rules, checkpoint } = options;
  const names = [...weights.keys()];
  const differentiated = differentiate(graph, { of: loss, with: names, rules, checkpoint });
  const { node, output } = mainGraph(differentiated);
  const madeAt = new Map(node.flatMap((each, i) => each.output.map((name) => [name, i])));
  const gradients = new Map(names.map((name, i) => [name, output[i + 1].name]));
  const plan = planOf(options, weights, (name) => {
    const gradient = gradients.get(name) as string;
    return { name: gradient, at: madeAt.get(gradient) as number };
  });
  const backward = withNodesFor(graph, differentiated, report);
  return {
    whole: wholeGraph(backward, plan),
    gradient: gradientGraph(backward, plan),
    apply: applyGraph(backward, plan),
    forward: forwardGraph(graph, plan),
    loss,
    report,
    squares: SQUARES,
    weights: plan.weights,
    sums: plan.weights.map(({ sum }) => sum),
    scalars: (place, step, rate, batches) => updateScalars(plan, place, step, rate, batches),
  };
}
