import { clone } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import { valueInfo } from '../onnx/build.ts';
import { describeNode, type Graph, mainGraph } from '../onnx/graph.ts';
import { type NodeProto, type ValueInfoProto, ValueInfoProtoSchema } from '../onnx/onnx_pb.ts';
import { subgraphsOf } from '../onnx/walk.ts';
import { extract } from './extract.ts';
import { declarable, type Facts, factsOf } from './facts.ts';
import { type Flow, flowOf } from './flow.ts';
import { nearest } from './nearest.ts';
import { rebuildSizes } from './rebuild.ts';
import { type Separation, separate } from './separate.ts';

/** The two graphs that a cut makes. */
export interface Halves {
  /** From the graph's inputs to the cut. Its outputs are the tensors of the cut, in the order given. */
  readonly head: Graph;
  /** From the cut, and those of the graph's inputs that only it reads, to the outputs. */
  readonly tail: Graph;
}

/**
 * Cuts a graph at tensors, so that `tail(head(inputs))` computes what the graph computes.
 *
 * - Inputs that only the tail reads (tokens of a decoder, say) are inputs of the tail. A graph input may be named beside
 *   other tensors: it is then given to the tail as well as to the head.
 * - An output of the graph that lies before the cut has to be part of the cut; the tail passes it on.
 * - Initializers, and nodes that depend on no value of an input, are in both graphs where both need them. Sizes that
 *   the tail needs of tensors in the head are taken from the dimensions of the cut.
 *
 * Throws `CUT_UNKNOWN` for a name that is none of the graph's, `CUT_SUBGRAPH` for a tensor inside If, Loop or Scan,
 * `CUT_INVALID` where the tensors do not separate, or leave nothing to compute on a side; `ONNX_UNSUPPORTED` for a
 * tensor that is no dense tensor of known element type.
 */
export function cutGraph(graph: Graph, tensors: readonly string[]): Halves {
  const flow = flowOf(graph);
  const facts = factsOf(graph);
  const names = [...new Set(tensors)];
  const cut = names.map((name) => lookUp(flow, graph, name));
  const parts = separate(flow, facts, cut);
  checkSeparation(flow, cut, parts);
  const whole = mainGraph(graph);
  const declared = new Map([...whole.input, ...whole.output].map((info) => [info.name, info]));
  const declare = (tensor: number) => declaration(flow.names[tensor], declared, facts);
  const crossing = names.map((name) => typed(name, declared, facts));
  const nodes = (indices: readonly number[]) => indices.map((index) => flow.nodes[index]);
  const given = new Set(parts.headInputs);
  return {
    head: extract(graph, {
      name: `${whole.name}_head`,
      nodes: nodes(parts.headNodes),
      inputs: whole.input.filter(({ name }) => given.has(flow.id.get(name) as number)),
      outputs: crossing.filter((_, i) => !flow.isInput(cut[i])),
    }),
    tail: extract(graph, {
      name: `${whole.name}_tail`,
      nodes: [
        ...rebuildSizes(
          parts.rebuilt.map((t) => flow.names[t]),
          names,
          facts,
          (name) => flow.id.has(name),
        ),
        ...nodes(parts.tailNodes),
      ],
      inputs: [...crossing, ...parts.tailInputs.map(declare)],
      outputs: whole.output,
    }),
  };
}

function lookUp(flow: Flow, graph: Graph, name: string): number {
  const tensor = flow.id.get(name);
  if (tensor === undefined) {
    const owner = flow.nodes.find((node) => makesInside(node, name));
    if (owner) {
      const before = owner.input.find((input) => input !== '' && flow.kinds[flow.id.get(input) as number] === 'data');
      const after = owner.output.find((output) => output !== '');
      const advice = [...(before ? [`before it ('${before}')`] : []), `after it ('${after}')`].join(' or ');
      throw new IsthmusError(
        'CUT_SUBGRAPH',
        `'${name}' is inside a subgraph of ${describeNode(owner)}, which runs on one side as a whole; cut ${advice}`,
      );
    }
    const close = nearest(
      name,
      flow.names.filter((_, index) => flow.kinds[index] === 'data'),
    );
    const advice = close.length > 0 ? `; did you mean ${close.map((other) => `'${other}'`).join(', ')}?` : '';
    throw new IsthmusError('CUT_UNKNOWN', `the graph '${mainGraph(graph).name}' has no tensor '${name}'${advice}`);
  }
  if (flow.kinds[tensor] === 'constant') {
    throw new IsthmusError('CUT_INVALID', `'${name}' is a constant: it depends on no input, so nothing is cut there`);
  }
  return tensor;
}

function makesInside(node: NodeProto, name: string): boolean {
  return subgraphsOf(node).some(
    (body) =>
      body.input.some((input) => input.name === name) ||
      body.initializer.some((tensor) => tensor.name === name) ||
      body.node.some((inner) => inner.output.includes(name) || makesInside(inner, name)),
  );
}

function checkSeparation(flow: Flow, cut: readonly number[], parts: Separation): void {
  const fail = (message: string) => new IsthmusError('CUT_INVALID', message);
  const list = (tensors: readonly number[]) => tensors.map((tensor) => `'${flow.names[tensor]}'`).join(', ');
  if (cut.length === 0) throw fail('no tensor is named; name at least one to cut at');
  if (cut.every((tensor) => flow.isInput(tensor))) {
    throw fail(`${list(cut)}: an input of the graph leaves the head empty; cut at a tensor that a node makes`);
  }
  if (!parts.headNodes.some((node) => flow.writes[node].some((tensor) => flow.kinds[tensor] === 'data'))) {
    throw fail(`${list(cut)} depends only on the sizes of inputs; cut at a tensor that depends on their values`);
  }
  if (parts.sharedInputs.length > 0 || parts.sharedNodes.length > 0) throw fail(bypassMessage(flow, cut, parts));
  const computes = new Set(cut);
  if (!parts.tailNodes.some((node) => flow.reads[node].some((tensor) => computes.has(tensor)))) {
    throw fail(`${list(cut)}: nothing is computed after it, which leaves the tail empty; cut earlier`);
  }
  const idle = cut.filter((tensor) => !parts.crossing.includes(tensor));
  if (idle.length > 0) {
    throw fail(`${list(idle)} is not needed after the cut; cut at ${list(parts.crossing)} alone`);
  }
}

/** Names a way past the cut, and the tensors that would close it. */
function bypassMessage(flow: Flow, cut: readonly number[], parts: Separation): string {
  const blocked = new Set(cut);
  const head = new Set(parts.headNodes);
  const past = pastCut(flow, parts, blocked);
  const open = new Set<number>();
  for (const node of parts.tailNodes) {
    if (!head.has(node)) for (const tensor of flow.reads[node]) if (past.has(tensor)) open.add(tensor);
  }
  for (const tensor of flow.outputs) if (past.has(tensor)) open.add(tensor);
  const isHeads = (tensor: number) => flow.producer[tensor] < 0 || head.has(flow.producer[tensor]);
  const missing = [...open].filter(isHeads);
  const early = missing.filter((tensor) => flow.outputs.includes(tensor));
  const names = (tensors: readonly number[]) => tensors.map((tensor) => `'${flow.names[tensor]}'`).join(', ');
  const completed = missing.length <= 8 ? `; with ${names(missing)} added it would separate` : '';
  const outputs = early.length > 0 ? `; ${names(early)} is an output of the graph that lies before the cut` : '';
  const way = wayPast(flow, missing[0] ?? parts.sharedInputs[0], blocked);
  return `${names(cut)} does not separate the inputs from the outputs: ${way} goes past it${outputs}${completed}`;
}

/** Tensors of the tail that depend, past the cut, on an input or a random node that the head has as well. */
function pastCut(flow: Flow, parts: Separation, blocked: ReadonlySet<number>): Set<number> {
  const past = new Set(parts.sharedInputs);
  const random = new Set(parts.sharedNodes);
  for (const node of parts.tailNodes) {
    if (!random.has(node) && !flow.reads[node].some((tensor) => past.has(tensor))) continue;
    for (const tensor of flow.writes[node]) if (!blocked.has(tensor)) past.add(tensor);
  }
  return past;
}

/** A way from an input through `tensor` to an output, shortened in the middle. */
function wayPast(flow: Flow, tensor: number, blocked: ReadonlySet<number>): string {
  const way = [tensor];
  for (let at = tensor; flow.producer[at] >= 0; ) {
    const next = flow.reads[flow.producer[at]].find((read) => flow.kinds[read] !== 'constant');
    if (next === undefined) break;
    way.unshift(next);
    at = next;
  }
  const ends = new Set(flow.outputs);
  const from = new Map<number, number>([[tensor, -1]]);
  const open = [tensor];
  for (const at of open) {
    if (ends.has(at)) {
      const rest: number[] = [];
      for (let back = at; back !== tensor; back = from.get(back) as number) rest.unshift(back);
      way.push(...rest);
      break;
    }
    for (const node of flow.readers[at]) {
      for (const made of flow.writes[node]) {
        if (from.has(made) || blocked.has(made)) continue;
        from.set(made, at);
        open.push(made);
      }
    }
  }
  const shown = way.map((each) => flow.names[each]);
  const middle = way.indexOf(tensor);
  const short =
    shown.length <= 6
      ? shown
      : [
          shown[0],
          ...(middle > 1 ? ['…'] : []),
          ...shown.slice(Math.max(1, middle), middle + 2),
          '…',
          shown[shown.length - 1],
        ];
  return short.filter((name, i) => i === 0 || name !== short[i - 1]).join(' -> ');
}

function declaration(name: string, declared: ReadonlyMap<string, ValueInfoProto>, facts: Facts): ValueInfoProto {
  return declared.get(name) ?? typed(name, declared, facts);
}

/** The declaration of a tensor at the cut: what shape inference says, with the declared type where it says nothing. */
function typed(name: string, declared: ReadonlyMap<string, ValueInfoProto>, facts: Facts): ValueInfoProto {
  const dtype = facts.dtype(name);
  if (dtype !== undefined) return valueInfo(name, dtype, declarable(facts.shape(name)));
  const info = declared.get(name);
  if (info?.type === undefined) {
    throw new IsthmusError(
      'ONNX_UNSUPPORTED',
      `the element type of '${name}' is not known (an operator that isthmus does not know makes it, or it is no dense tensor); cut elsewhere`,
    );
  }
  return clone(ValueInfoProtoSchema, info);
}
