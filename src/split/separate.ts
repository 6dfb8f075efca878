import type { Facts } from './facts.ts';
import type { Flow } from './flow.ts';

/** What a set of tensors makes of a graph. Nodes and tensors are numbers of the flow, in topological order. */
export interface Separation {
  readonly headNodes: readonly number[];
  readonly tailNodes: readonly number[];
  readonly headInputs: readonly number[];
  readonly tailInputs: readonly number[];
  /** Tensors of the cut that the tail reads or gives out. */
  readonly crossing: readonly number[];
  /** Sizes that the tail needs, known elsewhere, and computed in the tail from the dimensions of the cut. */
  readonly rebuilt: readonly number[];
  /**
   * Inputs that both sides take and no tensor of the cut stands for, and nodes on both sides that draw at random: where
   * there are some, the set does not separate.
   */
  readonly sharedInputs: readonly number[];
  readonly sharedNodes: readonly number[];
}

/** Whether a tensor's value can be put together from numbers and the dimensions named. */
export function rebuildable(flow: Flow, facts: Facts, tensor: number, lengths: ReadonlySet<string>): boolean {
  if (flow.kinds[tensor] !== 'shape') return false;
  const value = facts.value(flow.names[tensor]);
  return value?.every((length) => typeof length === 'number' || lengths.has(length)) ?? false;
}

/** Symbolic dimensions of tensors. */
export function lengthsOf(flow: Flow, facts: Facts, tensors: Iterable<number>): Set<string> {
  const lengths = new Set<string>();
  for (const tensor of tensors) {
    for (const length of facts.shape(flow.names[tensor]) ?? []) if (typeof length === 'string') lengths.add(length);
  }
  return lengths;
}

/**
 * Parts a flow at a set of tensors. The tail is what the outputs need up to the cut, the head what the cut needs up to
 * the inputs. Nodes that both need are copied to both. Sizes of tensors that the tail does not
 * have (`Shape` of the input, read by a `Reshape` in the tail, as dynamic batches make it) are taken from the cut.
 */
export function separate(flow: Flow, facts: Facts, cut: readonly number[]): Separation {
  const blocked = new Set(cut);
  const lengths = lengthsOf(flow, facts, cut);
  const tail = new Walk(flow);
  const crossing = new Set<number>();
  const sizes = new Set<number>();
  tail.back(flow.outputs, (tensor) => {
    if (blocked.has(tensor)) crossing.add(tensor);
    else if (rebuildable(flow, facts, tensor, lengths)) sizes.add(tensor);
    else return true;
    return false;
  });
  const local = sizes.size === 0 ? new Set<number>() : localSizes(flow, tail, blocked);
  tail.back(
    [...sizes].filter((tensor) => local.has(tensor)),
    (tensor) => {
      if (blocked.has(tensor)) crossing.add(tensor);
      return !blocked.has(tensor);
    },
  );
  const head = new Walk(flow);
  head.back(
    cut.filter((tensor) => !flow.isInput(tensor)),
    () => true,
  );
  return {
    headNodes: head.nodes(),
    tailNodes: tail.nodes(),
    headInputs: flow.inputs.filter((tensor) => head.seen[tensor] === 1),
    tailInputs: flow.inputs.filter((tensor) => tail.seen[tensor] === 1),
    crossing: cut.filter((tensor) => crossing.has(tensor)),
    rebuilt: [...sizes].filter((tensor) => !local.has(tensor)),
    sharedInputs: flow.inputs.filter((tensor) => head.seen[tensor] === 1 && tail.seen[tensor] === 1),
    sharedNodes: flow.randomNodes.filter((node) => head.taken[node] === 1 && tail.taken[node] === 1),
  };
}

/** Sizes that the tail can compute as the whole graph does, because it has every tensor that is measured. */
function localSizes(flow: Flow, tail: Walk, blocked: ReadonlySet<number>): Set<number> {
  const local = new Set<number>();
  const has = (tensor: number) =>
    blocked.has(tensor) ||
    flow.kinds[tensor] === 'constant' ||
    (flow.kinds[tensor] === 'data' ? tail.seen[tensor] === 1 : local.has(tensor));
  for (const node of flow.sizeNodes) {
    if (flow.reads[node].every(has)) for (const tensor of flow.writes[node]) local.add(tensor);
  }
  return local;
}

/** A walk from tensors back to what they are made of. */
export class Walk {
  readonly seen: Uint8Array;
  readonly taken: Uint8Array;
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
    this.seen = new Uint8Array(flow.names.length);
    this.taken = new Uint8Array(flow.nodes.length);
  }

  /** Goes back from tensors through those that `enter` lets pass. */
  back(from: readonly number[], enter: (tensor: number) => boolean): void {
    const { producer, reads } = this.#flow;
    const open = [...from];
    for (let tensor = open.pop(); tensor !== undefined; tensor = open.pop()) {
      if (this.seen[tensor] === 1 || !enter(tensor)) continue;
      this.seen[tensor] = 1;
      const node = producer[tensor];
      if (node < 0 || this.taken[node] === 1) continue;
      this.taken[node] = 1;
      for (const read of reads[node]) open.push(read);
    }
  }

  nodes(): number[] {
    const nodes: number[] = [];
    for (let node = 0; node < this.taken.length; node++) if (this.taken[node] === 1) nodes.push(node);
    return nodes;
  }
}
