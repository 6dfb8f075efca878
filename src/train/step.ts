import { create } from '@bufbuild/protobuf';
import { type DifferentiateOptions, differentiate } from '../autodiff/index.ts';
import { IsthmusError } from '../errors.ts';
import { buildGraph, type Graph, mainGraph, opsetOf, tensorOf, type ValueSpec, valueInfo } from '../onnx/index.ts';
import { GraphProtoSchema, ModelProtoSchema, type NodeProto, type TensorProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { Extension } from './extension.ts';
import { type Optimizer, type OptimizerSpec, optimizerOf, type StepScalars } from './optimizer.ts';

/** Weights that are trained alike. */
export interface WeightGroup {
  /** Names of float32 initializers. */
  readonly weights: readonly string[];
  /** Factor of the step's learning rate; 1 by default. */
  readonly rate?: number;
  /** Weight decay, a step's share of it the learning rate times this; 0 by default. */
  readonly decay?: number;
}

export interface StepOptions extends Pick<DifferentiateOptions, 'rules'> {
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

/**
 * The graphs of a training step. `whole` does all of it in one run. Where the gradients of several batches are added up,
 * `gradient` adds those of one (inputs `sums`, outputs their `next`) and `apply` does the rest.
 *
 * Outputs are, beside the state: `loss` and what is reported, of `whole` and `gradient`; `squares`, the sum of squares of
 * each weight's gradient in the order of `weights`, of `whole` and `apply`.
 */
export interface TrainingStep {
  readonly whole: Graph;
  readonly gradient: Graph;
  readonly apply: Graph;
  readonly loss: string;
  readonly report: readonly string[];
  readonly squares: string;
  /** In the order in which the backward pass finishes their gradients. */
  readonly weights: readonly TrainedWeight[];
  /** Sums of gradients, one a weight; zeros at first. */
  readonly sums: readonly StateTensor[];
  /** The scalars to feed in step `step` (from 1) at a learning rate; `batches` gradients were added up. */
  scalars(graph: 'whole' | 'apply', step: number, rate: number, batches: number): Record<string, Tensor>;
}

/**
 * Builds the graphs of a training step for a graph with a scalar loss: loss, gradients (reverse mode), clipping by the
 * global norm, and the optimizer.
 * Throws `INVALID_ARGUMENT` for options that cannot be, names that are no float32 initializers of the graph or named
 * twice; and what `differentiate` throws.
 */
export function trainingStep(graph: Graph, options: StepOptions): TrainingStep {
  const optimizer = optimizerOf(options.optimizer);
  checkOptions(graph, options);
  const differentiated = differentiate(graph, {
    of: options.loss,
    with: options.groups.flatMap(({ weights }) => weights),
    rules: options.rules,
  });
  const [loss, ...gradients] = mainGraph(differentiated).output.map(({ name }) => name);
  const initial = initialWeights(graph, options.groups);
  const named = [...initial.keys()].map((name, i) => ({ name, gradient: gradients[i] }));
  const ordered = inBackwardOrder(mainGraph(differentiated).node, named);
  const backward = withReports(graph, differentiated, options.report ?? []);
  const plan = planOf(options, optimizer, initial, ordered);
  return {
    whole: wholeGraph(backward, plan, loss, ordered),
    gradient: gradientGraph(backward, plan, loss, ordered),
    apply: applyGraph(backward, plan),
    loss,
    report: options.report ?? [],
    squares: SQUARES,
    weights: plan.weights,
    sums: plan.sums,
    scalars: (which, step, rate, batches) => scalarsOf(options, optimizer, which, step, rate, batches),
  };
}

const SQUARES = 'gradient/squares';

/** One weight with the group that it belongs to, and its gradient in the backward graph. */
interface Named {
  readonly name: string;
  readonly gradient: string;
}

interface Plan {
  readonly options: StepOptions;
  readonly optimizer: Optimizer;
  readonly weights: readonly TrainedWeight[];
  readonly sums: readonly StateTensor[];
  /** Index of the group of each weight. */
  readonly groupOf: ReadonlyMap<string, number>;
}

function planOf(
  options: StepOptions,
  optimizer: Optimizer,
  initial: ReadonlyMap<string, Tensor>,
  ordered: readonly Named[],
): Plan {
  const weights = ordered.map(({ name }): TrainedWeight => {
    const start = initial.get(name) as Tensor;
    return {
      weight: kept(name, start),
      slots: optimizer.slots.map((slot) => kept(`${slot}/${name}`, zerosLike(start))),
      ...(options.average === undefined ? {} : { average: kept(`average/${name}`, start) }),
    };
  });
  const sums = weights.map(({ weight }) => kept(`sum/${weight.name}`, zerosLike(weight.initial)));
  const groupOf = new Map(options.groups.flatMap((group, i) => group.weights.map((name) => [name, i])));
  return { options, optimizer, weights, sums, groupOf };
}

function kept(name: string, initial: Tensor): StateTensor {
  return { name, next: `next/${name}`, initial };
}

function zerosLike({ shape, data }: Tensor): Tensor {
  return tensor('float32', shape, new Float32Array(data.length));
}

// The three graphs

function wholeGraph(backward: Graph, plan: Plan, loss: string, ordered: readonly Named[]): Graph {
  const states = plan.weights.flatMap(({ weight, slots, average }) => [
    weight,
    ...slots,
    ...(average ? [average] : []),
  ]);
  const trained = withInputs(backward, plan.weights, states);
  const nodes = new Extension(trained);
  optimize(
    nodes,
    plan,
    ordered.map(({ gradient }) => gradient),
  );
  return nodes.build([...scalars([loss, ...(plan.options.report ?? [])]), squaresSpec(plan), ...states.map(outputOf)]);
}

function gradientGraph(backward: Graph, plan: Plan, loss: string, ordered: readonly Named[]): Graph {
  const nodes = new Extension(
    withInputs(backward, plan.weights, [...plan.weights.map(({ weight }) => weight), ...plan.sums]),
  );
  for (const [i, { gradient }] of ordered.entries()) {
    nodes.emit('Add', [plan.sums[i].name, gradient], {}, plan.sums[i].next);
  }
  return nodes.build([...scalars([loss, ...(plan.options.report ?? [])]), ...plan.sums.map(outputOf)]);
}

function applyGraph(backward: Graph, plan: Plan): Graph {
  const states = plan.weights.flatMap(({ weight, slots, average }) => [
    weight,
    ...slots,
    ...(average ? [average] : []),
  ]);
  const empty = buildGraph({
    opset: opsetOf(backward),
    irVersion: Number(irVersionOf(backward)),
    inputs: [...states, ...plan.sums].map(inputOf),
    outputs: [],
    nodes: [],
  });
  const nodes = new Extension(empty);
  const share = nodes.input({ name: SHARE, dtype: 'float32', shape: [] });
  optimize(
    nodes,
    plan,
    plan.sums.map(({ name }) => name),
    share,
  );
  return nodes.build([squaresSpec(plan), ...states.map(outputOf)]);
}

const SHARE = 'train/share';

/** Writes norm, clipping, the optimizer and the moving average. `share` is one over the number of gradients added up. */
function optimize(nodes: Extension, plan: Plan, gradients: readonly string[], share?: string): void {
  const { options, optimizer, weights, groupOf } = plan;
  const squares = nodes.emit(
    'Concat',
    gradients.map((each) => sumOfSquares(nodes, each)),
    { axis: 0 },
    SQUARES,
  );
  const factor = gradientFactor(nodes, squares, options.clip, share);
  const groups = options.groups.map((group, i) => groupScalars(nodes, optimizer, group, i));
  const average =
    options.average === undefined ? undefined : nodes.input({ name: AVERAGE, dtype: 'float32', shape: [] });
  for (const [i, trained] of weights.entries()) {
    const gradient = factor === undefined ? gradients[i] : nodes.emit('Mul', [gradients[i], factor]);
    const { weight, slots } = trained;
    optimizer.update(
      nodes,
      { weight: weight.name, gradient, slots: slots.map(({ name }) => name) },
      { weight: weight.next, slots: slots.map(({ next }) => next) },
      groups[groupOf.get(weight.name) as number],
    );
    if (trained.average && average) {
      const gap = nodes.emit('Mul', [nodes.emit('Sub', [trained.average.name, weight.next]), average]);
      nodes.emit('Add', [weight.next, gap], {}, trained.average.next);
    }
  }
}

const AVERAGE = 'train/average';

function sumOfSquares(nodes: Extension, gradient: string): string {
  const flat = nodes.emit('Reshape', [gradient, nodes.ints([-1])]);
  return nodes.emit('ReduceSumSquare', [flat], { keepdims: 1 });
}

/** What gradients are multiplied with: their share, and clip / norm where that is below 1, as PyTorch's clip_grad_norm_. */
function gradientFactor(nodes: Extension, squares: string, clip?: number, share?: string): string | undefined {
  if (clip === undefined) return share;
  const root = nodes.emit('Sqrt', [nodes.emit('ReduceSum', [squares], { keepdims: 0 })]);
  const norm = share === undefined ? root : nodes.emit('Mul', [root, share]);
  const ratio = nodes.emit('Div', [nodes.number(clip), nodes.emit('Add', [norm, nodes.number(1e-6)])]);
  const factor = nodes.emit('Min', [ratio, nodes.number(1)]);
  return share === undefined ? factor : nodes.emit('Mul', [factor, share]);
}

function groupScalars(nodes: Extension, optimizer: Optimizer, group: WeightGroup, index: number): StepScalars<string> {
  const names = Object.keys(optimizer.scalars(1, 1, group.decay ?? 0)) as (keyof StepScalars<number>)[];
  const inputs = names.map((name) => {
    return [name, nodes.input({ name: `train/${name}/${index}`, dtype: 'float32', shape: [] })];
  });
  return Object.fromEntries(inputs) as StepScalars<string>;
}

function scalarsOf(
  { groups, average }: StepOptions,
  optimizer: Optimizer,
  graph: 'whole' | 'apply',
  step: number,
  rate: number,
  batches: number,
): Record<string, Tensor> {
  const fed: [name: string, value: number][] = groups.flatMap((group, i) =>
    Object.entries<number>({ ...optimizer.scalars(step, rate * (group.rate ?? 1), group.decay ?? 0) }).map(
      ([name, value]): [string, number] => [`train/${name}/${i}`, value],
    ),
  );
  // In the first steps the average forgets faster, so that where training started does not stay in it.
  if (average !== undefined) fed.push([AVERAGE, Math.min(average, (1 + step) / (10 + step))]);
  if (graph === 'apply') fed.push([SHARE, 1 / batches]);
  return Object.fromEntries(fed.map(([name, value]) => [name, tensor('float32', [], Float32Array.of(value))]));
}

// Parts of graphs

/** The graph with trained weights, and what else is kept, as inputs. No input has a default value, so that constants stay. */
function withInputs(graph: Graph, trained: readonly TrainedWeight[], states: readonly StateTensor[]): Graph {
  const main = mainGraph(graph);
  const weights = new Set(trained.map(({ weight }) => weight.name));
  const initializer = main.initializer.filter(({ name }) => !weights.has(name));
  const constants = new Set(main.initializer.map(({ name }) => name));
  return create(ModelProtoSchema, {
    ...graph,
    irVersion: irVersionOf(graph),
    graph: create(GraphProtoSchema, {
      ...main,
      initializer,
      input: [
        ...main.input.filter(({ name }) => !constants.has(name)),
        ...states.map(inputOf).map(({ name, dtype, shape }) => valueInfo(name, dtype, shape)),
      ],
    }),
  });
}

/** Before IR version 4 every initializer had to be an input too. */
function irVersionOf({ irVersion }: Graph): bigint {
  return irVersion < 8n ? 8n : irVersion;
}

function inputOf({ name, initial }: StateTensor): ValueSpec {
  return { name, dtype: 'float32', shape: initial.shape };
}

function outputOf({ next, initial }: StateTensor): ValueSpec {
  return { name: next, dtype: 'float32', shape: initial.shape };
}

function scalars(names: readonly string[]): ValueSpec[] {
  return names.map((name) => ({ name, dtype: 'float32' }));
}

function squaresSpec({ weights }: Plan): ValueSpec {
  return { name: SQUARES, dtype: 'float32', shape: [weights.length] };
}

/** The backward graph with the nodes, inputs and constants of `graph` that reported tensors need besides. */
function withReports(graph: Graph, backward: Graph, report: readonly string[]): Graph {
  const whole = mainGraph(graph);
  const main = mainGraph(backward);
  const made = new Set(main.node.flatMap(({ output }) => output));
  const needed = new Set(report.filter((name) => !made.has(name)));
  const added: NodeProto[] = [];
  for (const node of whole.node.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    added.push(node);
    for (const name of usesOf(node)) if (!made.has(name)) needed.add(name);
  }
  const lacking = <T extends { name: string }>(all: readonly T[], present: readonly T[]) =>
    all.filter(({ name }) => needed.has(name) && present.every((each) => each.name !== name));
  return create(ModelProtoSchema, {
    ...backward,
    graph: create(GraphProtoSchema, {
      ...main,
      node: [...main.node, ...added.reverse()],
      input: [...main.input, ...lacking(whole.input, main.input)],
      initializer: [...main.initializer, ...lacking(whole.initializer, main.initializer)],
    }),
  });
}

/** Weights by when the node that makes their gradient runs. */
function inBackwardOrder(nodes: readonly NodeProto[], named: readonly Named[]): Named[] {
  const at = new Map(nodes.flatMap(({ output }, i) => output.map((name) => [name, i])));
  return named.toSorted((a, b) => (at.get(a.gradient) as number) - (at.get(b.gradient) as number));
}

// Checks

function initialWeights(graph: Graph, groups: readonly WeightGroup[]): Map<string, Tensor> {
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

function checkOptions(graph: Graph, { groups, clip, average, report = [] }: StepOptions): void {
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
