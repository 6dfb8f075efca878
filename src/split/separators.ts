import { PostDominators } from './dominators.ts';
import type { Facts } from './facts.ts';
import type { Flow } from './flow.ts';
import { lengthsOf, rebuildable, Walk } from './separate.ts';

/**
 * What is the same in every search of a graph: where values come from, and which of them each tensor depends on. A
 * source is an input, or a node that draws at random and reads no data.
 */
export interface Sources {
  /** Vertex of each source: a tensor's number, or that of a node after all tensors. */
  readonly vertices: readonly number[];
  /** Words of 32 bits a row; row `t` has a bit for every source that tensor `t` depends on. */
  readonly reach: Uint32Array;
  readonly words: number;
  /** Symbolic dimensions that decide whether a size can be rebuilt. */
  readonly lengths: ReadonlySet<string>;
}

export function sourcesOf(flow: Flow, facts: Facts): Sources {
  const tensors = flow.names.length;
  const isData = (tensor: number) => flow.kinds[tensor] === 'data';
  const random = flow.nodes
    .map((_, node) => node)
    .filter((node) => flow.writes[node].some(isData) && !flow.reads[node].some(isData));
  const vertices = [...flow.inputs, ...random.map((node) => tensors + node)];
  const words = Math.ceil(vertices.length / 32);
  const reach = new Uint32Array(tensors * words);
  const set = (tensor: number, source: number) => {
    reach[tensor * words + (source >>> 5)] |= 1 << (source & 31);
  };
  for (const [source, tensor] of flow.inputs.entries()) set(tensor, source);
  const numberOf = new Map(random.map((node, i) => [node, flow.inputs.length + i]));
  for (let node = 0; node < flow.nodes.length; node++) {
    const own = numberOf.get(node);
    for (const made of flow.writes[node]) {
      if (own !== undefined) set(made, own);
      for (const read of flow.reads[node]) {
        for (let word = 0; word < words; word++) reach[made * words + word] |= reach[read * words + word];
      }
    }
  }
  const lengths = new Set<string>();
  for (const node of flow.sizeNodes) {
    for (const tensor of flow.writes[node]) {
      for (const length of facts.value(flow.names[tensor]) ?? []) if (typeof length === 'string') lengths.add(length);
    }
  }
  return { vertices, reach, words, lengths };
}

/**
 * Every tensor which, added to the `granted` ones, completes a cut, in topological order; each completes it alone.
 *
 * A tensor completes the cut when it post-dominates every source that it or a granted tensor depends on and that still
 * reaches an output past the granted ones. Which sizes can be rebuilt depends on the dimensions of the cut, so tensors
 * are looked at in groups of the same dimensions; most graphs have one or two such groups.
 */
export function separators(flow: Flow, facts: Facts, sources: Sources, granted: readonly number[] = []): number[] {
  const base = lengthsOf(flow, facts, granted);
  const groups = new Map<string, { lengths: Set<string>; tensors: number[] }>();
  for (const [tensor, kind] of flow.kinds.entries()) {
    if (kind !== 'data' || flow.producer[tensor] < 0) continue;
    const lengths = [...lengthsOf(flow, facts, [tensor])].filter((length) => sources.lengths.has(length)).sort();
    const key = lengths.join('\n');
    const group = groups.get(key);
    if (group) group.tensors.push(tensor);
    else groups.set(key, { lengths: new Set([...base, ...lengths]), tensors: [tensor] });
  }
  const found: number[] = [];
  for (const { lengths, tensors } of groups.values()) {
    found.push(...completing(flow, facts, sources, granted, lengths, tensors));
  }
  return found.sort((a, b) => flow.producer[a] - flow.producer[b] || a - b);
}

function completing(
  flow: Flow,
  facts: Facts,
  sources: Sources,
  granted: readonly number[],
  lengths: ReadonlySet<string>,
  candidates: readonly number[],
): number[] {
  const blocked = new Set(granted);
  const live = new Walk(flow);
  live.back(flow.outputs, (tensor) => !blocked.has(tensor) && !rebuildable(flow, facts, tensor, lengths));
  const { vertices, reach, words } = sources;
  const count = waysThrough(flow, live, vertices);
  const alive = vertices.map((vertex) => isAlive(flow, live, vertex));
  const needed = new Uint32Array(words);
  for (const [source, is] of alive.entries()) if (is) needed[source >>> 5] |= 1 << (source & 31);
  const before = new Uint32Array(words);
  for (const tensor of granted) for (let w = 0; w < words; w++) before[w] |= reach[tensor * words + w];
  return candidates.filter((tensor) => {
    if (live.seen[tensor] !== 1 || count[tensor] === 0) return false;
    // An output that nothing reads leaves nothing for the tail; beside other tensors, the tail passes it on.
    if (granted.length === 0 && !flow.readers[tensor].some((node) => live.taken[node] === 1)) return false;
    let sum = 0;
    for (let w = 0; w < words; w++) sum += ones((reach[tensor * words + w] | before[w]) & needed[w]);
    return sum === count[tensor];
  });
}

function isAlive(flow: Flow, live: Walk, vertex: number): boolean {
  const tensors = flow.names.length;
  return vertex < tensors ? live.seen[vertex] === 1 : live.taken[vertex - tensors] === 1;
}

/** For every vertex, how many sources have all their ways to the outputs through it. */
function waysThrough(flow: Flow, live: Walk, sources: readonly number[]): Int32Array {
  const tensors = flow.names.length;
  const end = tensors + flow.nodes.length;
  const outputs = new Set(flow.outputs);
  const tree = new PostDominators(end + 1, end);
  const addTensor = (tensor: number) => {
    if (live.seen[tensor] !== 1) return;
    const next: number[] = [];
    for (const node of flow.readers[tensor]) if (live.taken[node] === 1) next.push(tensors + node);
    if (outputs.has(tensor)) next.push(end);
    tree.add(tensor, next);
  };
  for (let node = flow.nodes.length - 1; node >= 0; node--) {
    if (live.taken[node] !== 1) continue;
    for (const tensor of flow.writes[node]) addTensor(tensor);
    tree.add(
      tensors + node,
      flow.writes[node].filter((tensor) => live.seen[tensor] === 1),
    );
  }
  for (const tensor of flow.inputs) addTensor(tensor);
  const count = new Int32Array(end + 1);
  for (const vertex of sources) if (tree.parent[vertex] >= 0) count[vertex] = 1;
  const pass = (vertex: number) => {
    if (tree.parent[vertex] >= 0) count[tree.parent[vertex]] += count[vertex];
  };
  for (const tensor of flow.inputs) pass(tensor);
  for (let node = 0; node < flow.nodes.length; node++) {
    if (live.taken[node] !== 1) continue;
    pass(tensors + node);
    for (const tensor of flow.writes[node]) if (live.seen[tensor] === 1) pass(tensor);
  }
  return count;
}

function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
