import type { Facts } from './facts.ts';
import type { Flow } from './flow.ts';
import { separate, Walk } from './separate.ts';
import { type Sources, separators } from './separators.ts';

/** Steps that the complete search may take (nodes and edges walked), about a second. */
const MAX_STEPS = 30_000_000;
/** Sets that are found at most: two chains side by side have as many pairs as the product of their lengths. */
const MAX_SETS = 20_000;

/**
 * Cuts of 2 to `most` tensors none of which can be left out. Complete where the graph is small enough for the search
 * (pairs up to a few thousand nodes); in larger ones, those that some order of running the nodes passes through: the
 * file's own, every node as early as it can, and every node as late as it can.
 */
export function fewTensorCuts(
  flow: Flow,
  facts: Facts,
  sources: Sources,
  singles: readonly number[],
  most: number,
): number[][] {
  const found = new Map<string, number[]>();
  const looked = new Set<string>();
  const isSingle = new Set(singles);
  const step = flow.nodes.length + flow.reads.reduce((sum, reads) => sum + reads.length, 0);
  let checks = (10 * MAX_STEPS) / step;
  const add = (tensors: readonly number[]) => {
    const cut = [...tensors].sort((a, b) => flow.producer[a] - flow.producer[b] || a - b);
    const key = cut.join();
    if (looked.has(key) || found.size >= MAX_SETS || checks <= 0) return;
    looked.add(key);
    // A tensor that is a cut by itself and depends on all that the others depend on makes them needless.
    if (cut.some((tensor) => isSingle.has(tensor) && coversAll(sources, tensor, cut))) return;
    checks -= cut.length + 1;
    if (isMinimal(flow, facts, cut)) found.set(key, cut);
  };
  for (const cut of passedThrough(flow, most)) add(cut);
  const live = new Walk(flow);
  live.back(flow.outputs, () => true);
  const candidates = [...flow.names.keys()].filter(
    (tensor) => live.seen[tensor] === 1 && flow.kinds[tensor] !== 'constant' && flow.producer[tensor] >= 0,
  );
  candidates.sort((a, b) => flow.producer[a] - flow.producer[b] || a - b);
  const rank = new Map(candidates.map((tensor, i) => [tensor, i]));
  // Sets grow in topological order, so that each is met once.
  const grow = (granted: readonly number[], size: number) => {
    const last = granted.length === 0 ? -1 : (rank.get(granted[granted.length - 1]) as number);
    if (granted.length + 1 === size) {
      for (const tensor of separators(flow, facts, sources, granted)) {
        if ((rank.get(tensor) ?? -1) > last) add([...granted, tensor]);
      }
      return;
    }
    for (let next = last + 1; next < candidates.length && found.size < MAX_SETS; next++) {
      grow([...granted, candidates[next]], size);
    }
  };
  for (let size = 2; size <= most; size++) {
    if (step * candidates.length ** (size - 1) > MAX_STEPS) break;
    grow([], size);
  }
  return [...found.values()];
}

function coversAll({ reach, words }: Sources, tensor: number, others: readonly number[]): boolean {
  for (let word = 0; word < words; word++) {
    const own = reach[tensor * words + word];
    if (others.some((other) => (reach[other * words + word] | own) >>> 0 !== own)) return false;
  }
  return true;
}

/** Whether the tensors are a cut, and none of them can be left out with the same inputs on the head's side. */
function isMinimal(flow: Flow, facts: Facts, tensors: readonly number[]): boolean {
  const inputs = headInputs(flow, facts, tensors);
  if (inputs === undefined) return false;
  return tensors.every((left) => {
    const fewer = headInputs(
      flow,
      facts,
      tensors.filter((tensor) => tensor !== left),
    );
    return fewer?.join() !== inputs.join();
  });
}

/** The inputs that the head of a cut takes; `undefined` where the tensors are no cut or one lies behind the others. */
function headInputs(flow: Flow, facts: Facts, tensors: readonly number[]): readonly number[] | undefined {
  const parts = separate(flow, facts, tensors);
  const isCut =
    parts.headInputs.length > 0 &&
    parts.sharedInputs.length === 0 &&
    parts.sharedNodes.length === 0 &&
    parts.crossing.length === tensors.length &&
    parts.tailNodes.some((node) => flow.reads[node].some((tensor) => tensors.includes(tensor)));
  return isCut ? parts.headInputs : undefined;
}

/** Sets of 2 to `most` tensors that are all that is alive at some moment while nodes run in one of three orders. */
function* passedThrough(flow: Flow, most: number): Generator<number[]> {
  for (const order of orders(flow)) {
    for (const withSizes of [false, true]) yield* aliveSets(flow, order, most, withSizes);
  }
}

function orders(flow: Flow): number[][] {
  const nodes = [...flow.nodes.keys()];
  const early = new Int32Array(nodes.length);
  for (const node of nodes) {
    for (const read of flow.reads[node]) {
      if (flow.producer[read] >= 0) early[node] = Math.max(early[node], early[flow.producer[read]] + 1);
    }
  }
  const late = new Int32Array(nodes.length);
  for (const node of [...nodes].reverse()) {
    for (const made of flow.writes[node]) {
      for (const reader of flow.readers[made]) late[node] = Math.max(late[node], late[reader] + 1);
    }
  }
  return [nodes, nodes.toSorted((a, b) => early[a] - early[b]), nodes.toSorted((a, b) => late[b] - late[a])];
}

/** `withSizes`: whether tensors that say only sizes count; without, they are hoped to be rebuilt in the tail. */
function* aliveSets(flow: Flow, order: readonly number[], most: number, withSizes: boolean): Generator<number[]> {
  const live = new Walk(flow);
  live.back(flow.outputs, () => true);
  const counts = (tensor: number) => flow.kinds[tensor] === 'data' || (withSizes && flow.kinds[tensor] === 'shape');
  const reads = (node: number) =>
    live.taken[node] === 1 && (withSizes || flow.writes[node].some((tensor) => flow.kinds[tensor] === 'data'));
  const left = Int32Array.from(flow.readers, (readers) => readers.filter(reads).length);
  for (const tensor of flow.outputs) left[tensor]++;
  const alive = new Set<number>();
  let inputsAlive = 0;
  const begun = new Set<number>();
  for (const node of order) {
    if (!reads(node)) continue;
    for (const tensor of flow.reads[node]) {
      if (!counts(tensor)) continue;
      left[tensor]--;
      if (flow.isInput(tensor)) {
        if (!begun.has(tensor) && left[tensor] > 0) inputsAlive++;
        if (begun.has(tensor) && left[tensor] === 0) inputsAlive--;
        begun.add(tensor);
      } else if (left[tensor] === 0) alive.delete(tensor);
    }
    for (const tensor of flow.writes[node]) if (counts(tensor) && left[tensor] > 0) alive.add(tensor);
    if (inputsAlive === 0 && alive.size >= 2 && alive.size <= most) yield [...alive];
  }
}
