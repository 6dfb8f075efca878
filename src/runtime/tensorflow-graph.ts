import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import { IsthmusError } from '../errors.ts';
import { allocate, type DType, elements } from '../tensor.ts';
import type { Engine } from './serial.ts';
import type { TensorInfo } from './session.ts';
import { checkCut, type Flow, upstream } from './tensorflow-cut.ts';
import type { TensorFlowPeer } from './tensorflow-peer.ts';
import { dtypeOf, fromTf, shapeOf, toTf } from './tensorflow-tensors.ts';

interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputNames: readonly string[];
  readonly rawAttrs?: Readonly<Record<string, { readonly type?: unknown }>>;
  readonly attrParams?: { readonly dtype?: { readonly value?: unknown } };
}

/** What is used of `tf.GraphModel`; its nodes are in its executor, which TypeScript calls private. */
interface GraphModel {
  readonly executor: {
    readonly graph: {
      readonly nodes: Readonly<Record<string, GraphNode>>;
      readonly inputs: readonly GraphNode[];
    };
  };
  readonly inputs: readonly { readonly dtype?: string; readonly shape?: readonly number[] }[];
  /** Names of inputs and outputs by the signature of the model, or of their nodes where it has none. */
  readonly inputNodes: readonly string[];
  readonly outputNodes: readonly string[];
  readonly modelSignature?: { readonly outputs?: Readonly<Record<string, { readonly name: string }>> };
  readonly weights: Readonly<Record<string, readonly TfTensor[]>>;
  execute(inputs: Record<string, TfTensor>, outputs: string[]): TfTensor | TfTensor[];
  executeAsync(inputs: Record<string, TfTensor>, outputs: string[]): Promise<TfTensor | TfTensor[]>;
}

/** A tensor of the graph, and what the session calls it. */
interface Port {
  readonly tensor: string;
  readonly info: TensorInfo;
}

export function isGraphModel(model: object): boolean {
  return 'executor' in model && 'executeAsync' in model;
}

/** The whole of a graph model. Runs it once or twice on zeros, to see the shapes that its file does not tell. */
export async function graphEngine(peer: TensorFlowPeer, given: object): Promise<Engine> {
  const model = given as GraphModel;
  const inputs = inputsOf(model);
  return engineOf(peer, model, inputs, await observe(peer, model, inputs, outputsOf(model)));
}

/** {@link graphEngine} cut at nodes. Throws `CUT_UNKNOWN`, `CUT_INVALID` and `CUT_SUBGRAPH`. */
export async function cutGraph(
  peer: TensorFlowPeer,
  given: object,
  at: readonly string[],
): Promise<{ head: Engine; tail: Engine }> {
  const model = given as GraphModel;
  const inputs = inputsOf(model);
  const outputs = outputsOf(model);
  const flow = flowOf(model, inputs, outputs);
  const cut = at.map((name) => ({ name, tensor: canonical(name) }));
  const tensors = cut.map(({ tensor }) => tensor);
  checkCut(flow, tensors);
  for (const tensor of tensors) checkNode(model, flow, tensor, tensors);
  const ports = await observe(peer, model, inputs, [...cut, ...outputs]);
  const crossing = ports.slice(0, cut.length);
  for (const port of crossing) checkFeedable(model, port);
  return {
    head: engineOf(peer, model, inputs, crossing),
    tail: engineOf(peer, model, crossing, ports.slice(cut.length)),
  };
}

/** One name a tensor of those that graphs use: `node`, `node:0`, `node:part:0`, `^node` for an order without data. */
function canonical(name: string): string {
  const parts = name.replace(/^\^/, '').split(':');
  const output = parts.length > 1 ? Number(parts.at(-1)) : 0;
  return output === 0 ? parts[0] : `${parts[0]}:${output}`;
}

const nodeOf = (tensor: string) => tensor.split(':')[0];

/** The name by which to feed or fetch: with its output, as a bare one may also be a key of the model's signature. */
const addressOf = (tensor: string) => (tensor.includes(':') ? tensor : `${tensor}:0`);

function inputsOf({ executor, inputs, inputNodes }: GraphModel): Port[] {
  return executor.graph.inputs.map((node, i) => {
    const { dtype, shape } = inputs[i];
    const name = inputNodes[i];
    const info = { name, dtype: dtypeOf(name, dtype ?? 'float32'), shape: shapeOf(shape ?? []) };
    return { tensor: node.name, info: shape ? info : { ...info, anyRank: true } };
  });
}

function outputsOf({ outputNodes, modelSignature }: GraphModel): { name: string; tensor: string }[] {
  return outputNodes.map((name) => {
    const signed = modelSignature?.outputs ?? {};
    return { name, tensor: canonical(Object.hasOwn(signed, name) ? signed[name].name : name) };
  });
}

function flowOf({ executor }: GraphModel, inputs: readonly Port[], outputs: readonly { tensor: string }[]): Flow {
  const { nodes } = executor.graph;
  return {
    inputs: inputs.map(({ tensor }) => tensor),
    outputs: outputs.map(({ tensor }) => tensor),
    names: Object.keys(nodes),
    sourcesOf: (tensor) =>
      Object.hasOwn(nodes, nodeOf(tensor)) ? nodes[nodeOf(tensor)].inputNames.map(canonical) : undefined,
  };
}

/** Operators of loops and conditions written as nodes: between their ends a tensor has many values or none. */
const LOOP_PARTS = new Set(['Enter', 'Merge', 'NextIteration', 'Switch', 'LoopCond']);

/** Throws `CUT_SUBGRAPH` inside a loop or condition, `CUT_INVALID` for a second output of one node. */
function checkNode({ executor }: GraphModel, flow: Flow, tensor: string, cut: readonly string[]): void {
  const { nodes } = executor.graph;
  const ended = new Set(Object.keys(nodes).filter((name) => nodes[name].op === 'Exit'));
  const inside = [...upstream(flow, [tensor], ended)].some((name) => LOOP_PARTS.has(nodes[nodeOf(name)]?.op));
  if (inside && !ended.has(tensor)) {
    throw new IsthmusError(
      'CUT_SUBGRAPH',
      `'${nodeOf(tensor)}' lies inside a loop or condition; cut before or after it`,
    );
  }
  if (cut.some((other) => other !== tensor && nodeOf(other) === nodeOf(tensor))) {
    throw new IsthmusError(
      'CUT_INVALID',
      `TensorFlow.js cannot be fed two outputs of one node ('${nodeOf(tensor)}'); cut before or after it`,
    );
  }
}

/** TensorFlow.js checks what a node is fed against the type that it works on, which a comparison does not give. */
function checkFeedable({ executor }: GraphModel, { tensor, info }: Port): void {
  const expected = executor.graph.nodes[nodeOf(tensor)].attrParams?.dtype?.value;
  if (typeof expected === 'string' && expected !== info.dtype) {
    throw new IsthmusError(
      'CUT_INVALID',
      `'${info.name}' gives ${info.dtype} and TensorFlow.js takes only ${expected} in its place; cut before or after it`,
    );
  }
}

function engineOf(peer: TensorFlowPeer, model: GraphModel, from: readonly Port[], to: readonly Port[]): Engine {
  return {
    runtime: peer.runtime,
    inputs: from.map(({ info }) => info),
    outputs: to.map(({ info }) => info),
    async compute(feeds, fetches) {
      const given = Object.fromEntries(from.map(({ tensor }, i) => [addressOf(tensor), toTf(peer.tf, feeds[i])]));
      const wanted = fetches.map((name) => (to.find(({ info }) => info.name === name) as Port).tensor);
      return run(peer, model, given, wanted, async (results) => Promise.all(results.map(fromTf)));
    },
    async free() {}, // The weights are the model's.
  };
}

/** Runs the model and disposes feeds and results, but for weights that are results. */
async function run<Result>(
  { tf }: TensorFlowPeer,
  model: GraphModel,
  feeds: Record<string, TfTensor>,
  wanted: readonly string[],
  use: (results: readonly TfTensor[]) => Promise<Result>,
): Promise<Result> {
  const weights = new Set(Object.values(model.weights).flat());
  let results: TfTensor[] = [];
  try {
    results = [await execute(model, feeds, wanted.map(addressOf))].flat();
    return await use(results);
  } finally {
    tf.dispose([...Object.values(feeds), ...results.filter((result) => !weights.has(result))]);
  }
}

/** `executeAsync` is for graphs whose shapes or order of running depend on values, and warns where it is not needed. */
async function execute(model: GraphModel, feeds: Record<string, TfTensor>, wanted: string[]) {
  try {
    return model.execute(feeds, wanted);
  } catch (thrown) {
    if (!(thrown instanceof Error && thrown.message.includes('executeAsync'))) throw thrown;
    return model.executeAsync(feeds, wanted);
  }
}

/**
 * Types and shapes of tensors inside a graph, which its file seldom tells: seen by running it on zeros with a batch of
 * 1 and of 2. A dimension that differs is open. Where inputs have other open dimensions, only the type is told.
 */
async function observe(
  peer: TensorFlowPeer,
  model: GraphModel,
  inputs: readonly Port[],
  ports: readonly { name: string; tensor: string }[],
): Promise<Port[]> {
  const wanted = ports.map(({ tensor }) => tensor);
  const seen = await Promise.all([1, 2].map((batch) => shapesAt(peer, model, inputs, wanted, batch)));
  return ports.map(({ name, tensor }, i) => {
    const [one, two] = seen.map((shapes) => shapes?.[i]);
    const same = one && two && one.shape.length === two.shape.length;
    if (!same) return { tensor, info: { name, dtype: declaredType(model, tensor), shape: [], anyRank: true } };
    const shape = one.shape.map((length, axis) => (length === two.shape[axis] ? length : '?'));
    return { tensor, info: { name, dtype: dtypeOf(name, one.dtype), shape } };
  });
}

async function shapesAt(
  peer: TensorFlowPeer,
  model: GraphModel,
  inputs: readonly Port[],
  wanted: readonly string[],
  batch: number,
): Promise<{ dtype: string; shape: number[] }[] | undefined> {
  if (inputs.some(({ info }) => info.anyRank || info.shape.slice(1).includes('?'))) return undefined;
  const feeds = Object.fromEntries(
    inputs.map(({ tensor, info }) => {
      const shape = info.shape.map((length) => (length === '?' ? batch : (length as number)));
      return [
        addressOf(tensor),
        toTf(peer.tf, { dtype: info.dtype, shape, data: allocate(info.dtype, elements(shape)) }),
      ];
    }),
  );
  return run(peer, model, feeds, wanted, async (results) =>
    results.map(({ dtype, shape }) => ({ dtype, shape: [...shape] })),
  ).catch(() => undefined); // Zeros may be no valid input; the caller's own will tell.
}

const DECLARED: Readonly<Record<string, DType>> = {
  DT_FLOAT: 'float32',
  DT_HALF: 'float32',
  DT_INT32: 'int32',
  DT_INT64: 'int32',
  DT_BOOL: 'bool',
  DT_STRING: 'string',
};

/** The type that a node says it works on, which is that of its output for all but comparisons and the like. */
function declaredType({ executor }: GraphModel, tensor: string): DType {
  const attributes = executor.graph.nodes[nodeOf(tensor)].rawAttrs;
  return DECLARED[String((attributes?.dtype ?? attributes?.T)?.type)] ?? 'float32';
}
