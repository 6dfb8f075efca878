import type { NodeProto } from '../onnx/onnx_pb.ts';
import { subgraphsOf, usesOf } from '../onnx/walk.ts';
import { isFloat } from './activity.ts';
import { ancestors } from './ancestors.ts';
import type { Backward } from './backward.ts';

/** Operators that draw anew whenever they run. */
const RANDOM: ReadonlySet<string> = new Set([
  'Bernoulli',
  'Dropout',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
]);

/** Operators that read lengths and no elements. */
const SHAPE_ONLY: ReadonlySet<string> = new Set(['Shape', 'Size', 'ConstantOfShape']);

/**
 * Rewrites what the backward pass reads of the forward pass: what lies before the last checkpoints, and is none, is
 * computed again from those when it is first needed, so that it takes no memory in between (Chen et al. 2016, "Training
 * deep nets with sublinear memory cost"). Integers and booleans, what is drawn at random, and what nodes with subgraphs
 * make is kept.
 *
 * ONNX Runtime merges nodes that compute the same, and may run a node as soon as its inputs are there, or as late as its
 * output is needed. So what is computed again starts from checkpoints, and inputs of the graph, in a shape that depends on
 * the values of the gradient that has come so far, and of the `gradients` that are given out and done by then.
 */
export function recompute(
  forward: readonly NodeProto[],
  inputs: ReadonlySet<string>,
  checkpoints: ReadonlySet<string>,
  gradients: ReadonlySet<string>,
  g: Backward,
): void {
  const again = nodesAgain(forward, checkpoints, g);
  const order = new Map(forward.map((node, i) => [node, i]));
  /** The tensor of the backward pass that stands for one of the forward pass. */
  const standIn = new Map<string, string>();
  let gradient: string | undefined;
  /** Gradients given out that nothing which is computed again waits for yet. */
  let done: string[] = [];

  const waiting = () => {
    const zero = gradient === undefined ? undefined : g.zeroAfter([...new Set([gradient, ...done])]);
    done = [];
    return zero;
  };
  const bring = (names: readonly string[]) => {
    const missing = new Set<NodeProto>();
    const open = [...names];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const node = again.get(name);
      if (node === undefined || standIn.has(name) || missing.has(node)) continue;
      missing.add(node);
      open.push(...node.input);
    }
    if (missing.size === 0) return;
    const zero = waiting();
    const delayed = (name: string) => {
      const isStart = checkpoints.has(name) || inputs.has(name);
      if (isStart && !standIn.has(name) && zero !== undefined) standIn.set(name, g.delayed(name, zero));
      return standIn.get(name) ?? name;
    };
    for (const node of [...missing].sort((a, b) => (order.get(a) as number) - (order.get(b) as number))) {
      const outputs = g.repeat(node, node.input.map(delayed));
      for (const [i, name] of node.output.entries()) if (again.has(name)) standIn.set(name, outputs[i]);
    }
  };

  const made = new Set(forward.flatMap(({ output }) => output));
  /** Outputs of the backward pass that follow from elements of the forward pass. */
  const variable = new Set<string>();
  for (const node of g.nodes.splice(0)) {
    bring(node.input);
    const isVariable = !SHAPE_ONLY.has(node.opType) && node.input.some((name) => made.has(name) || variable.has(name));
    node.input = node.input.map((name) => (again.has(name) ? (standIn.get(name) as string) : name));
    g.nodes.push(node);
    if (!isVariable) continue;
    for (const name of node.output) {
      variable.add(name);
      if (gradients.has(name)) done.push(name);
    }
    if (isFloat(g.dtype(node.output[0]))) gradient = node.output[0];
  }
}

/** What is computed again: tensors that checkpoints depend on, with the nodes that make them. */
function nodesAgain(
  forward: readonly NodeProto[],
  checkpoints: ReadonlySet<string>,
  g: Backward,
): Map<string, NodeProto> {
  const again = new Map<string, NodeProto>();
  for (const node of ancestors(forward, [...checkpoints])) {
    if (RANDOM.has(node.opType) || subgraphsOf(node).length > 0 || usesOf(node).length === 0) continue;
    for (const name of node.output) {
      if (name !== '' && !checkpoints.has(name) && isFloat(g.dtype(name))) again.set(name, node);
    }
  }
  return again;
}
