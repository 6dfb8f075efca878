import { IsthmusError } from '../errors.ts';
import { type Graph, isOp } from '../onnx/graph.ts';
import type { DType } from '../tensor.ts';
import { type Block, findBlocks } from './blocks.ts';
import { type Costs, costsOf, lengthsFor } from './costs.ts';
import { declarable, type Facts, factsOf, type Length } from './facts.ts';
import { type Flow, flowOf } from './flow.ts';
import { type Choice, interesting } from './interesting.ts';
import { separate } from './separate.ts';
import { separators, sourcesOf } from './separators.ts';
import { fewTensorCuts } from './several.ts';

/** A place to cut, with what it costs on both sides. */
export interface Cut {
  /** What crosses. A symbolic dimension is its name, an unknown one is `'?'`. */
  readonly tensors: readonly { readonly name: string; readonly dtype: DType; readonly shape: readonly Length[] }[];
  /** Raw bytes of the tensors at batch 1. */
  readonly bytes: number;
  /** Multiply-accumulates at batch 1. */
  readonly headMacs: number;
  readonly tailMacs: number;
  /** Parameters; one that both sides use counts on both. */
  readonly headParams: number;
  readonly tailParams: number;
  /** Head's share of the multiply-accumulates of both, 0 to 1. */
  readonly headShare: number;
  /** Inputs of the graph that the head takes, and those that the tail takes beside the cut. */
  readonly headInputs: readonly string[];
  readonly tailInputs: readonly string[];
  /** Where the graph repeats a structure: which of its repetitions this cut is in. */
  readonly block?: Block;
}

export interface CutsOptions {
  /** Tensors of a cut at most, 1 by default. */
  readonly maxTensors?: number;
  /** Every cut, and not only the interesting ones. */
  readonly all?: boolean;
  /** Lengths of symbolic dimensions. The batch is 1 if it is not given, others as short as the model allows. */
  readonly dims?: Readonly<Record<string, number>>;
}

/** A cut with its place in the flow. */
interface Placed extends Choice {
  readonly ids: readonly number[];
  readonly headNodes: readonly number[];
}

/**
 * The places where a graph can be cut, in topological order: every single tensor that parts some of the inputs from all
 * outputs, and with `maxTensors` above 1 sets of up to that many (complete in graphs of moderate size). Inputs that only
 * the tail needs go to the tail. Tensors of unknown element type or size are left out. Without `all`, those that a
 * better one beside them makes pointless are left out, too.
 *
 * Throws `ONNX_SHAPE` where the graph's shapes contradict each other, `INVALID_ARGUMENT` for `maxTensors` below 1 or
 * above 4.
 */
export function findCuts(graph: Graph, options: CutsOptions = {}): Cut[] {
  const most = options.maxTensors ?? 1;
  if (!Number.isInteger(most) || most < 1 || most > 4) {
    throw new IsthmusError('INVALID_ARGUMENT', `maxTensors must be a whole number from 1 to 4, got ${most}`);
  }
  const flow = flowOf(graph);
  const facts = factsOf(graph, options.dims);
  const sources = sourcesOf(flow, facts);
  const costs = costsOf(graph, flow, facts);
  const singles = separators(flow, facts, sources);
  const sets = singles.map((tensor) => [tensor]);
  if (most > 1) sets.push(...fewTensorCuts(flow, facts, sources, singles, most));
  const place = (ids: readonly number[]) => Math.max(...ids.map((tensor) => flow.producer[tensor]));
  const cuts = sets.flatMap((ids) => placed(flow, facts, costs, ids)).sort((a, b) => place(a.ids) - place(b.ids));
  const labelled = withBlocks(flow, costs, cuts);
  return (options.all ? labelled : interesting(labelled)).map(
    ({ ids: _ids, headNodes: _head, inputBytes: _bytes, layout: _layout, ...cut }) => cut,
  );
}

/**
 * The lengths that {@link findCuts} takes for symbolic dimensions of the inputs that `dims` does not give: 1 for the
 * batch, for others the smallest power of two that leaves no tensor empty.
 */
export function assumedLengths(graph: Graph, dims: Readonly<Record<string, number>> = {}): Record<string, number> {
  return lengthsFor(flowOf(graph), factsOf(graph, dims));
}

/** Operators that change layout or type alone. */
const LAYOUT = ['Reshape', 'Transpose', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity', 'Cast', 'Dropout'];

/** The cut of some tensors; none where one of them has no known size. */
function placed(flow: Flow, facts: Facts, costs: Costs, ids: readonly number[]): Placed[] {
  const sizes = ids.map(costs.bytes);
  if (sizes.some((size) => size === undefined)) return [];
  const { headNodes, tailNodes, headInputs, tailInputs } = separate(flow, facts, ids);
  const headMacs = costs.macs(headNodes);
  const tailMacs = costs.macs(tailNodes);
  const names = (tensors: readonly number[]) => tensors.map((tensor) => flow.names[tensor]);
  const last = flow.nodes[flow.producer[ids[ids.length - 1]]];
  return [
    {
      tensors: names(ids).map((name) => ({
        name,
        dtype: facts.dtype(name) as DType,
        shape: declarable(facts.shape(name)) as Length[],
      })),
      bytes: sizes.reduce<number>((sum, size) => sum + (size as number), 0),
      headMacs,
      tailMacs,
      headParams: costs.params(headNodes),
      tailParams: costs.params(tailNodes),
      headShare: headMacs + tailMacs === 0 ? 0 : headMacs / (headMacs + tailMacs),
      headInputs: names(headInputs),
      tailInputs: names(tailInputs),
      ids,
      headNodes,
      inputBytes: headInputs.reduce((sum, input) => sum + (costs.bytes(input) ?? Number.POSITIVE_INFINITY), 0),
      layout: LAYOUT.some((op) => isOp(last, op)),
    },
  ];
}

/** Labels the single-tensor cuts on the longest way through the graph by what is computed between them. */
function withBlocks(flow: Flow, costs: Costs, cuts: readonly Placed[]): Placed[] {
  const chain = longestChain(
    flow,
    cuts.filter((cut) => cut.ids.length === 1),
  );
  const seen = new Uint8Array(flow.nodes.length);
  const between = chain.map((cut) => {
    const added = cut.headNodes.filter((node) => seen[node] === 0);
    for (const node of added) seen[node] = 1;
    return added.filter((node) => flow.writes[node].some((tensor) => flow.kinds[tensor] === 'data'));
  });
  const signatures = between.map((nodes, i) => {
    const { dtype, shape } = chain[i].tensors[0];
    return `${nodes.map((node) => flow.nodes[node].opType).join()} ${dtype}[${shape}]`;
  });
  const blocks = findBlocks(signatures, (at) => costs.macs(between[at]) > 0);
  const blockOf = new Map(chain.map((cut, i) => [cut, blocks[i]]));
  return cuts.map((cut) => {
    const block = blockOf.get(cut);
    return block ? { ...cut, block } : cut;
  });
}

/** The longest sequence of cuts each of which lies in the head of the next. */
function longestChain(flow: Flow, cuts: readonly Placed[]): Placed[] {
  const length = new Int32Array(cuts.length).fill(1);
  const previous = new Int32Array(cuts.length).fill(-1);
  let end = -1;
  for (const [i, cut] of cuts.entries()) {
    const maker = flow.producer[cut.ids[0]];
    const next = cuts.findIndex((other, j) => j > i && other.headNodes.includes(maker));
    if (next >= 0 && length[i] + 1 > length[next]) {
      length[next] = length[i] + 1;
      previous[next] = i;
    }
    if (end < 0 || length[i] > length[end]) end = i;
  }
  const chain: Placed[] = [];
  for (let at = end; at >= 0; at = previous[at]) chain.unshift(cuts[at]);
  return chain;
}
