import { IsthmusError } from '../errors.ts';
import { describeNode, type Graph, mainGraph, normalDomain, opsetOf, trueInputs } from '../onnx/graph.ts';
import type { NodeProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';
import { type Activity, activityOf, isFloat, pathTo } from './activity.ts';
import { ancestors } from './ancestors.ts';
import { assemble } from './assemble.ts';
import { Backward } from './backward.ts';
import { type Known, knownOf } from './known.ts';
import { recompute } from './recompute.ts';
import type { Rule } from './rule.ts';
import { RULES } from './rules/rules.ts';

export interface DifferentiateOptions {
  /** The tensor to differentiate: a scalar loss. Of a larger tensor the sum of its elements is differentiated. */
  readonly of: string;
  /** Float tensors to differentiate by: inputs, initializers or what a node makes. */
  readonly with: readonly string[];
  /**
   * Rules for further operators, or instead of isthmus' own, by operator; one of another domain than ONNX's own by
   * `domain.Operator`, such as `com.microsoft.FastGelu`.
   */
  readonly rules?: Readonly<Record<string, Rule>>;
  /**
   * Tensors of the forward pass, such as the outputs of a network's blocks. What lies before the last of them is not kept
   * for the backward pass, but computed again from the nearest of them when it is needed: less memory for up to one more
   * forward pass. All is kept by default.
   */
  readonly checkpoint?: readonly string[];
}

/** The oldest operator set whose operators the rules write. */
const OLDEST_OPSET = 13;

/**
 * A graph of standard operators that computes a loss and its gradients, in reverse mode (Griewank & Walther, Evaluating
 * Derivatives, ch. 3). Its outputs are, in order, the loss and `grad/NAME` for each name of `with`, of that tensor's
 * shape and element type (`grad/grad/NAME` where the graph already has a `grad/NAME`, so that a derivative can be
 * differentiated again). Its inputs and initializers are those of `graph` that it needs. A tensor that the loss does not
 * depend on has a gradient of zeros. Integers and booleans, such as shapes and indices, count as constants.
 *
 * Where a function has a corner the gradient is that of one side, or shared among equals (Max, ReduceMax). `Round` is
 * straight-through: its gradient is that of the identity, as quantizers are trained with.
 *
 * Throws `INVALID_ARGUMENT` for a name that is no float tensor of the main graph; `ONNX_UNSUPPORTED` for an operator on
 * the way that has no rule, or an attribute that its rule does not cover, with the node and the path to it, and for
 * operator sets before 13; `ONNX_SHAPE` where a rule needs a rank or type that shape inference does not know.
 */
export function differentiate(graph: Graph, options: DifferentiateOptions): Graph {
  const opset = opsetOf(graph);
  if (opset < OLDEST_OPSET) {
    throw new IsthmusError(
      'ONNX_UNSUPPORTED',
      `graphs of operator set ${OLDEST_OPSET} and later can be differentiated, this one has ${opset}; export it again with a later one`,
    );
  }
  const known = knownOf(graph);
  const wanted = [...new Set(options.with)];
  if (wanted.length === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', 'with: no tensor is named; name at least one to differentiate by');
  }
  const checkpoints = new Set(options.checkpoint);
  for (const name of [options.of, ...wanted, ...checkpoints]) checkTensor(graph, known, name);

  const forward = ancestors(mainGraph(graph).node, [options.of, ...wanted]);
  const active = activityOf(forward, wanted, (name) => known.get(name)?.dtype);
  const backward = new Backward(graph, known, active);
  const gradients = sweep(forward, options, active, backward);
  const outputs = wanted.map((name) => backward.name(gradients(name) ?? backward.zerosLike(name), `grad/${name}`));
  backward.keep(outputs);
  if (checkpoints.size > 0) {
    const inputs = new Set(trueInputs(mainGraph(graph)).map(({ name }) => name));
    const results = new Set(wanted.map((name) => gradients(name) ?? ''));
    recompute(forward, inputs, checkpoints, results, backward);
  }
  return assemble(graph, known, backward, forward, options.of, wanted, outputs);
}

/** Carries the gradient of the loss back through the nodes, last to first. Gives the gradient at each tensor. */
function sweep(
  forward: readonly NodeProto[],
  options: DifferentiateOptions,
  active: Activity,
  g: Backward,
): (name: string) => string | undefined {
  const contributions = new Map<string, string[]>([[options.of, [g.onesLike(options.of)]]]);
  const total = (name: string) => {
    const parts = contributions.get(name);
    if (parts === undefined) return undefined;
    const sum = g.sum(parts);
    contributions.set(name, [sum]);
    return sum;
  };
  for (const node of forward.toReversed()) {
    if (!node.output.some((name) => active.has(name) && contributions.has(name))) continue;
    if (!usesOf(node).some((name) => active.has(name))) continue;
    const dy = node.output.map((name) => (name === '' ? undefined : total(name)));
    const dx = ruleOf(node, options.rules ?? {}, active)(node, g, dy);
    for (const [i, name] of node.input.entries()) {
      const part = dx[i];
      if (part === undefined || !active.has(name)) continue;
      contributions.set(name, [...(contributions.get(name) ?? []), part]);
    }
  }
  return total;
}

function ruleOf(node: NodeProto, own: Readonly<Record<string, Rule>>, active: Activity): Rule {
  const domain = normalDomain(node.domain);
  const key = domain === '' ? node.opType : `${domain}.${node.opType}`;
  for (const rules of [own, RULES]) if (Object.hasOwn(rules, key)) return rules[key];
  throw new IsthmusError(
    'ONNX_UNSUPPORTED',
    `${describeNode(node)} has no rule to differentiate operator ${key}; ` +
      `it lies on the path ${pathTo(node, active)}; give one as rules: { '${key}': … }`,
  );
}

function checkTensor(graph: Graph, known: ReadonlyMap<string, Known>, name: string): void {
  const main = mainGraph(graph);
  const exists =
    name !== '' &&
    (main.input.some((each) => each.name === name) ||
      main.initializer.some((each) => each.name === name) ||
      main.sparseInitializer.some((each) => each.values?.name === name) ||
      main.node.some((node) => node.output.includes(name)));
  if (!exists) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `the graph has no tensor '${name}'; name an input, an initializer or what a node of its main graph makes`,
    );
  }
  const dtype = known.get(name)?.dtype;
  if (!isFloat(dtype)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `'${name}' is of type ${dtype}; only float tensors can be differentiated`,
    );
  }
}
