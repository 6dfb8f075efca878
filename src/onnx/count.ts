import { messageOf } from '../errors.ts';
import type { DType } from '../tensor.ts';
import { add, type Dim, evaluate, maxDim, mul, printDim, symbolsOf } from './dim.ts';
import { type Graph, isOp, mainGraph, normalDomain } from './graph.ts';
import type { Value } from './infer/call.ts';
import { tripCount } from './infer/control.ts';
import { initializerValue } from './infer/declared.ts';
import { ruleOf } from './infer/rules.ts';
import type { Step } from './infer/trace.ts';
import { type Inferred, inferShapes, type NotInferred } from './infer.ts';
import { macsOf } from './macs.ts';
import type { GraphProto, NodeProto } from './onnx_pb.ts';
import { subgraphsOf } from './walk.ts';

export interface Count {
  /**
   * Multiply-accumulates of each node of the main graph, in order; nodes inside a subgraph or function count for the
   * node around it. 0 where they could not be counted, and then the node is in `unknown`.
   */
  readonly macs: readonly number[];
  readonly totalMacs: number;
  /**
   * Parameters by where they are stored: the name of an initializer of the main graph, or the first output of a node
   * that brings its own (Constant, or a node with subgraphs). What has none is left out.
   */
  readonly params: ReadonlyMap<string, number>;
  readonly totalParams: number;
  readonly unknown: readonly NotInferred[];
  /** What was assumed, such as one round of a loop whose number of rounds is data. */
  readonly notes: readonly string[];
}

/**
 * Counts multiply-accumulates and parameters. Convolutions, matrix products, recurrent cells and attention multiply;
 * everything else (element-wise operators, pools, norms, softmax, biases) counts 0. Of an If the branch that costs
 * more counts. Parameters are stored floats and small integers: not int64, bool and string tensors (shapes, indices,
 * masks) nor scalars in Constant nodes. A constant made by ConstantOfShape from a constant shape counts, too.
 * `bindings` gives lengths of symbolic dimensions, 1 by default. Throws what {@link inferShapes} throws.
 */
export function count(
  graph: Graph,
  inferred: Inferred = inferShapes(graph),
  bindings: Readonly<Record<string, number>> = {},
): Count {
  const counter = new MacCounter(bindings);
  const macs = inferred.steps.map((step) => counter.number(step));
  const params = paramsOf(mainGraph(graph), inferred.steps);
  return {
    macs,
    totalMacs: macs.reduce((a, b) => a + b, 0),
    params,
    totalParams: [...params.values()].reduce((a, b) => a + b, 0),
    unknown: [...counter.unknown.values()],
    notes: [...counter.notes],
  };
}

class MacCounter {
  readonly unknown = new Map<NodeProto, NotInferred>();
  readonly notes = new Set<string>();
  readonly #bindings: Readonly<Record<string, number>>;

  constructor(bindings: Readonly<Record<string, number>>) {
    this.#bindings = bindings;
  }

  number(step: Step): number {
    const macs = this.#macs(step);
    return typeof macs === 'number' ? macs : 0;
  }

  #macs(step: Step): Dim {
    try {
      return this.#bound(step, this.#raw(step));
    } catch (thrown) {
      this.#note(step, messageOf(thrown));
      return 0;
    }
  }

  #raw(step: Step): Dim {
    const { node } = step;
    if (step.expansion) return this.#sum(step.expansion);
    if (step.bodies.size === 0) {
      const known = ruleOf(normalDomain(node.domain), node.opType) !== undefined;
      if (!known) this.#note(step, 'the operator is not known');
      if (subgraphsOf(node).length > 0) this.#note(step, 'what its subgraphs cost is not known');
      return macsOf(step);
    }
    const bodies = [...step.bodies.values()].map((steps) => this.#sum(steps));
    if (isOp(node, 'If')) return bodies.reduce(maxDim);
    return bodies.map((body) => (body === 0 ? 0 : mul(body, this.#rounds(step)))).reduce(add);
  }

  #sum(steps: readonly Step[]): Dim {
    return steps.map((step) => this.#macs(step)).reduce(add, 0);
  }

  /** Rounds of a Loop or Scan; 1, with a note, where they are data. */
  #rounds(step: Step): Dim {
    const rounds = isOp(step.node, 'Loop') ? tripCount(step) : scanLength(step);
    const value = rounds === undefined ? undefined : this.#evaluate(rounds);
    if (value !== undefined && value < 2 ** 31) return value;
    this.notes.add(`${nameOf(step.node)} (${step.node.opType}): how often it runs is data; counted once`);
    return 1;
  }

  #bound(step: Step, macs: Dim): number {
    const value = this.#evaluate(macs);
    if (value !== undefined && value >= 0) return value;
    if (value !== undefined) {
      this.#note(step, `with these lengths (1 where none is given) a dimension is negative (${printDim(macs)})`);
      return 0;
    }
    this.#note(step, `it depends on lengths that are not known (${printDim(macs)})`);
    return 0;
  }

  /** With 1 for every symbol that is not bound; `undefined` where a length is known to nobody. */
  #evaluate(dim: Dim): number | undefined {
    const names = symbolsOf(dim).filter((name) => !Object.hasOwn(this.#bindings, name));
    if (names.some((name) => name.startsWith('?'))) return undefined;
    return evaluate(dim, { ...Object.fromEntries(names.map((name) => [name, 1])), ...this.#bindings });
  }

  #note(step: Step, why: string): void {
    const { node, origin } = step;
    this.unknown.set(origin, { node: nameOf(node), opType: node.opType, why });
  }
}

function nameOf(node: NodeProto): string {
  return node.name || (node.output.find((name) => name !== '') ?? '');
}

/** The scanned length: that of the first scan output or, without one, of the first scan input along axis 0. */
function scanLength(step: Step): Dim | undefined {
  const count = step.node.attribute.find((attribute) => attribute.name === 'num_scan_inputs');
  const axes = step.node.attribute.find((attribute) => attribute.name === 'scan_input_axes')?.ints ?? [];
  const shape = step.inputs[step.inputs.length - Number(count?.i ?? 0)]?.shape;
  return shape?.[Number(axes[0] ?? 0) + (Number(axes[0] ?? 0) < 0 ? shape.length : 0)];
}

const NOT_LEARNED: ReadonlySet<DType | undefined> = new Set<DType | undefined>(['int64', 'uint64', 'bool', 'string']);

/** Elements of a stored tensor that are parameters. */
function learned({ dtype, shape }: Value): number {
  if (NOT_LEARNED.has(dtype) || shape === undefined) return 0;
  return shape.reduce<number>((size, length) => (typeof length === 'number' ? size * length : 0), 1);
}

function paramsOf(main: GraphProto, steps: readonly Step[]): Map<string, number> {
  const params = new Map<string, number>();
  const keep = (name: string | undefined, size: number) => {
    if (size > 0 && name !== undefined) params.set(name, size);
  };
  for (const [name, size] of initializersOf(main)) keep(name, size);
  const constants = new Set(initializersOf(main).keys());
  const seen = new Set<NodeProto>();
  for (const step of steps) {
    const name = step.node.output.find((output) => output !== '');
    if (isOp(step.node, 'Constant') && name !== undefined) constants.add(name);
    const filled = isOp(step.node, 'ConstantOfShape') && constants.has(step.node.input[0]);
    keep(name, filled && step.outputs[0] ? learned(step.outputs[0]) : ownParams(step, seen));
  }
  return params;
}

function initializersOf(graph: GraphProto): Map<string, number> {
  const sizes = new Map(graph.initializer.map((proto) => [proto.name, learned(initializerValue(proto))]));
  for (const { values } of graph.sparseInitializer)
    if (values) sizes.set(values.name, learned(initializerValue(values)));
  return sizes;
}

/** Parameters stored in a node: in its own constant, in all its subgraphs, and in a function that it is first to call. */
function ownParams(step: Step, seen: Set<NodeProto>): number {
  let size = storedIn(step.origin);
  for (const inner of step.expansion ?? []) {
    if (seen.has(inner.origin)) continue;
    seen.add(inner.origin);
    size += ownParams(inner, seen);
  }
  return size;
}

function storedIn(node: NodeProto): number {
  if (isOp(node, 'Constant')) return constantParams(node);
  let size = 0;
  for (const graph of subgraphsOf(node)) {
    for (const each of initializersOf(graph).values()) size += each;
    for (const inner of graph.node) size += storedIn(inner);
  }
  return size;
}

/** A Constant's floats; a sparse one's stored values. */
function constantParams(node: NodeProto): number {
  let size = 0;
  for (const { t, sparseTensor, floats } of node.attribute) {
    const proto = t ?? sparseTensor?.values;
    size += floats.length + (proto && proto.dims.length > 0 ? learned(initializerValue(proto)) : 0);
  }
  return size;
}
