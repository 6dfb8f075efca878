import { create } from '@bufbuild/protobuf';
import { buildGraph, type Graph, mainGraph, opsetOf, type ValueSpec, valueInfo } from '../onnx/index.ts';
import { GraphProtoSchema, ModelProtoSchema, type NodeProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';
import { Extension } from './extension.ts';
import { type StateTensor, type StepPlan, statesOf, type TrainedWeight } from './plan.ts';
import { SQUARES, writeUpdate } from './update.ts';

/** All of a step: `backward` and the update. */
export function wholeGraph(backward: Graph, plan: StepPlan): Graph {
  const states = statesOf(plan.weights);
  const nodes = new Extension(withInputs(backward, plan.weights, states));
  writeUpdate(nodes, plan, 'whole');
  return nodes.build([...lossAndReports(plan), squaresSpec(plan), ...states.map(outputOf)]);
}

/** Adds the gradients of one batch to their sums. */
export function gradientGraph(backward: Graph, plan: StepPlan): Graph {
  const sums = plan.weights.map(({ sum }) => sum);
  const nodes = new Extension(withInputs(backward, plan.weights, [...weightsOf(plan), ...sums]));
  for (const { gradient, sum } of plan.weights) nodes.emit('Add', [sum.name, gradient], {}, sum.next);
  return nodes.build([...lossAndReports(plan), ...sums.map(outputOf)]);
}

/** The update by sums of gradients. */
export function applyGraph(backward: Graph, plan: StepPlan): Graph {
  const states = statesOf(plan.weights);
  const empty = buildGraph({
    opset: opsetOf(backward),
    irVersion: Number(irVersionOf(backward)),
    inputs: [...states, ...plan.weights.map(({ sum }) => sum)].map(inputOf),
    outputs: [],
    nodes: [],
  });
  const nodes = new Extension(empty);
  writeUpdate(nodes, plan, 'apply');
  return nodes.build([squaresSpec(plan), ...states.map(outputOf)]);
}

/** Loss and reports alone. */
export function forwardGraph(graph: Graph, plan: StepPlan): Graph {
  const nothing = create(ModelProtoSchema, {
    ...graph,
    graph: create(GraphProtoSchema, { ...mainGraph(graph), node: [], input: [], initializer: [], output: [] }),
  });
  const { loss, report = [] } = plan.options;
  return new Extension(
    withInputs(withNodesFor(graph, nothing, [loss, ...report]), plan.weights, weightsOf(plan)),
  ).build(lossAndReports(plan));
}

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

function weightsOf({ weights }: StepPlan): StateTensor[] {
  return weights.map(({ weight }) => weight);
}

function lossAndReports({ options: { loss, report = [] } }: StepPlan): ValueSpec[] {
  return [loss, ...report].map((name) => ({ name, dtype: 'float32' }));
}

function squaresSpec({ weights }: StepPlan): ValueSpec {
  return { name: SQUARES, dtype: 'float32', shape: [weights.length] };
}

/** The backward graph with the nodes, inputs and constants of `graph` that further tensors need besides. */
export function withNodesFor(graph: Graph, backward: Graph, names: readonly string[]): Graph {
  const whole = mainGraph(graph);
  const main = mainGraph(backward);
  const made = new Set(main.node.flatMap(({ output }) => output));
  const needed = new Set(names.filter((name) => !made.has(name)));
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
