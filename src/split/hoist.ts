import { IsthmusError } from '../errors.ts';
import { symbolsOf } from '../onnx/dim.ts';
import type { Graph } from '../onnx/graph.ts';
import { cutGraph } from './cut.ts';
import { type Facts, factsOf, type Length } from './facts.ts';
import { type Flow, flowOf } from './flow.ts';
import { separate, Walk } from './separate.ts';

/** A tail in two: what depends on the feature alone, and what depends on the other inputs (tokens) too. */
export interface Hoisted {
  /** From the feature to `frontier`; `null` where nothing is worth computing ahead. */
  readonly once: Graph | null;
  /** From `frontier` and the other inputs to the outputs; the whole tail where `once` is `null`. */
  readonly each: Graph;
  /** What `each` reads of the feature. A feature that it reads as it is stands here too, and is no output of `once`. */
  readonly frontier: readonly string[];
}

/**
 * Takes out of a tail what depends on the feature alone (keys and values of a cross-attention, say), so that a decoder
 * computes it once and not for every token. Every tensor of the frontier has the feature's batch as its axis 0, so that
 * its rows can be picked and repeated. Throws `INVALID_ARGUMENT` for a name that is no input of the tail.
 */
export function hoistGraph(tail: Graph, features: readonly string[]): Hoisted {
  const frontier = constantUnder(tail, features);
  const given = new Set(features);
  if (frontier.every((name) => given.has(name))) return { once: null, each: tail, frontier: [...features] };
  const { head, tail: each } = cutGraph(tail, frontier);
  return { once: head, each, frontier };
}

/**
 * The last tensors that depend on no input but those named and that everything else reads: computed once, they stay
 * constant while other inputs change. Inputs named are given back where nothing can be computed from them alone, or
 * nothing else is an input. All have the batch of the first named input as axis 0: its own axis 0, or its only symbolic
 * length where that stands elsewhere (`[tokens, batch, width]`, or windows `[4*batch, …]`).
 */
export function constantUnder(graph: Graph, inputs: readonly string[]): string[] {
  const flow = flowOf(graph);
  const facts = factsOf(graph);
  const given = inputs.map((name) => {
    const tensor = flow.id.get(name);
    if (tensor === undefined || !flow.isInput(tensor)) {
      const names = flow.inputs.map((input) => `'${flow.names[input]}'`).join(', ');
      throw new IsthmusError('INVALID_ARGUMENT', `'${name}' is no input of the graph; its inputs are ${names}`);
    }
    return tensor;
  });
  if (flow.inputs.every((input) => given.includes(input))) return [...inputs];
  const frontier = frontierOf(flow, facts, given);
  const parts = separate(flow, facts, frontier);
  const parted = parts.sharedInputs.length === 0 && parts.sharedNodes.length === 0;
  // A size of the feature that cannot be told from the frontier ties the two halves together.
  return parted ? frontier.map((tensor) => flow.names[tensor]) : [...inputs];
}

function batchOf(facts: Facts, name: string): Length | undefined {
  const first = facts.shape(name)?.[0];
  const symbols = new Set(facts.dims(name)?.flatMap(symbolsOf));
  return first === 1 || symbols.size !== 1 ? first : [...symbols][0];
}

function frontierOf(flow: Flow, facts: Facts, given: readonly number[]): number[] {
  const live = new Walk(flow);
  live.back(flow.outputs, () => true);
  const varies = new Uint8Array(flow.names.length);
  for (const input of flow.inputs) if (!given.includes(input)) varies[input] = 1;
  const repeated = new Uint8Array(flow.nodes.length);
  for (let node = 0; node < flow.nodes.length; node++) {
    const isData = flow.writes[node].some((tensor) => flow.kinds[tensor] === 'data');
    const random = isData && !flow.reads[node].some((tensor) => flow.kinds[tensor] === 'data');
    if (!random && !flow.reads[node].some((tensor) => varies[tensor] === 1)) continue;
    repeated[node] = 1;
    for (const tensor of flow.writes[node]) varies[tensor] = 1;
  }
  const batch = batchOf(facts, flow.names[given[0]]);
  const isRows = (tensor: number) => batch !== undefined && facts.shape(flow.names[tensor])?.[0] === batch;
  const crosses = (tensor: number) =>
    flow.readers[tensor].some((node) => repeated[node] === 1 && live.taken[node] === 1) ||
    flow.outputs.includes(tensor);
  // From the outputs back, so that a node that has to be repeated after all is known before its inputs are looked at.
  const frontier: number[] = [];
  const look = (tensor: number): boolean => {
    if (flow.kinds[tensor] !== 'data' || varies[tensor] === 1 || live.seen[tensor] !== 1 || !crosses(tensor))
      return true;
    if (flow.producer[tensor] >= 0 && !isRows(tensor)) return false;
    frontier.push(tensor);
    return true;
  };
  for (let node = flow.nodes.length - 1; node >= 0; node--) {
    if (repeated[node] === 1) continue;
    if (!flow.writes[node].map(look).every(Boolean)) repeated[node] = 1;
  }
  for (const tensor of given) look(tensor);
  return frontier.reverse();
}
