import type { DataType, SymbolicTensor, Tensor as TfTensor } from '@tensorflow/tfjs';
import { IsthmusError, messageOf } from '../errors.ts';
import type { Engine } from './serial.ts';
import type { TensorInfo } from './session.ts';
import { checkCut, type Flow, upstream } from './tensorflow-cut.ts';
import type { TensorFlowPeer } from './tensorflow-peer.ts';
import { dtypeOf, fromTf, shapeOf, toTf } from './tensorflow-tensors.ts';

/** One call of a layer, as TensorFlow.js keeps it. */
interface LayerNode {
  readonly outboundLayer: Layer;
  readonly inputTensors: readonly SymbolicTensor[];
  readonly outputTensors: readonly SymbolicTensor[];
}

interface Layer {
  readonly name: string;
  readonly inboundNodes: readonly LayerNode[];
  readonly supportsMasking: boolean;
  readonly stateful: boolean;
  readonly maskZero?: boolean;
  readonly returnSequences?: boolean;
  getClassName(): string;
  apply(inputs: TfTensor[], kwargs: object): TfTensor | TfTensor[];
  computeMask(inputs: TfTensor[], masks: (TfTensor | undefined)[]): TfTensor | TfTensor[] | null;
}

/** A layers model, by itself or as a layer of another. */
interface Container {
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Calls of layers by their distance from the outputs. */
  readonly nodesByDepth: Readonly<Record<string, readonly LayerNode[]>>;
  /** Of a sequential model, which sets the names and calls when it is first run. */
  build?(): void;
}

function isContainer(layer: Layer | (Layer & Container)): layer is Layer & Container {
  return 'inputLayers' in layer;
}

/** One call of a layer with the names of what it takes and gives. */
interface Step {
  readonly layer: Layer;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** A layers model as calls in the order in which they can run. */
interface Plan {
  readonly steps: Step[];
  /** The step that makes a tensor; inputs have none. */
  readonly makers: Map<string, Step>;
  readonly tensors: Map<string, SymbolicTensor>;
  /** Other names of tensors: what a nested model gives that is looked into is made by a layer of it. */
  readonly aliases: Map<string, string>;
  /** Tensors that carry a mask of padding beside their values. */
  readonly masked: Set<string>;
}

/** A tensor of the plan, and what the session calls it. */
interface Port {
  readonly tensor: string;
  readonly info: TensorInfo;
}

export function isLayersModel(model: object): boolean {
  return 'layers' in model && 'predict' in model;
}

/** The whole of a layers model. */
export function layersEngine(peer: TensorFlowPeer, model: object): Engine {
  const { plan, inputs, outputs } = planOf(model as Container, []);
  return engineOf(peer, plan, inputs, outputs);
}

/** {@link layersEngine} cut at layers. Throws `CUT_UNKNOWN` and `CUT_INVALID`. */
export function cutLayers(peer: TensorFlowPeer, model: object, at: readonly string[]): { head: Engine; tail: Engine } {
  const { plan, inputs, outputs } = planOf(model as Container, at);
  const cut = at.map((name) => plan.aliases.get(name) ?? name);
  const flow: Flow = {
    inputs: inputs.map(({ tensor }) => tensor),
    outputs: outputs.map(({ tensor }) => tensor),
    names: [...plan.tensors.keys(), ...plan.aliases.keys()],
    sourcesOf: (tensor) => (plan.tensors.has(tensor) ? (plan.makers.get(tensor)?.inputs ?? []) : undefined),
  };
  for (const name of cut) checkOne(plan, name);
  checkCut(flow, cut);
  const crossing = cut.map((tensor, i) => portOf(plan, at[i], tensor));
  return { head: engineOf(peer, plan, inputs, crossing), tail: engineOf(peer, plan, crossing, outputs) };
}

/** Throws `CUT_INVALID` for the name of several tensors, and for a tensor whose mask would be lost. */
function checkOne({ tensors, masked }: Plan, name: string): void {
  const several = [...tensors.keys()].filter((key) => key.startsWith(`${name}#`) || key.startsWith(`${name}:`));
  if (!tensors.has(name) && several.length > 0) {
    throw new IsthmusError('CUT_INVALID', `'${name}' gives several tensors; name one of '${several.join("', '")}'`);
  }
  if (masked.has(name)) {
    throw new IsthmusError(
      'CUT_INVALID',
      `'${name}' carries a mask of padding beside its values, which a cut would lose; cut where the mask is used up`,
    );
  }
}

function planOf(model: Container, cut: readonly string[]): { plan: Plan; inputs: Port[]; outputs: Port[] } {
  ensureBuilt(model);
  const plan: Plan = {
    steps: [],
    makers: new Map(),
    tensors: new Map(model.inputs.map((symbolic, i) => [model.inputNames[i], symbolic])),
    aliases: new Map(),
    masked: new Set(),
  };
  const outputs = addContainer(plan, model, '', model.inputNames, (path) =>
    cut.some((at) => at.startsWith(`${path}/`)),
  );
  // A layer that gives several outputs of the model gives them one name.
  const repeated = (name: string) => model.outputNames.filter((other) => other === name).length > 1;
  return {
    plan,
    inputs: model.inputNames.map((tensor) => portOf(plan, tensor, tensor)),
    outputs: outputs.map((tensor, i) => {
      const name = model.outputNames[i];
      return portOf(plan, repeated(name) ? tensor : name, tensor);
    }),
  };
}

function ensureBuilt(container: Container): void {
  if (container.inputNames?.length > 0) return;
  try {
    container.build?.();
  } catch (cause) {
    throw new IsthmusError('INVALID_ARGUMENT', `the layers model cannot be built: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Adds the calls of a model's layers, those of nested models too where `open` says so, and gives the names of its
 * outputs. A layer's tensor is named like the layer; `#1` tells the second call of a shared layer, `:1` the second
 * output, and `model/layer` a layer of a nested model.
 */
function addContainer(
  plan: Plan,
  container: Container,
  prefix: string,
  inputs: readonly string[],
  open: (path: string) => boolean,
): string[] {
  ensureBuilt(container);
  const names = new Map(container.inputs.map(({ id }, i) => [id, inputs[i]]));
  const nameOf = ({ id }: SymbolicTensor) => names.get(id) as string;
  const depths = Object.keys(container.nodesByDepth).map(Number);
  const nodes = depths.sort((a, b) => b - a).flatMap((depth) => container.nodesByDepth[depth]);
  for (const node of nodes) {
    const layer = node.outboundLayer;
    if (layer.getClassName() === 'InputLayer') continue;
    const calls = layer.inboundNodes.filter((call) => nodes.includes(call));
    const path = `${prefix}${layer.name}${calls.length > 1 ? `#${calls.indexOf(node)}` : ''}`;
    const given = node.inputTensors.map(nameOf);
    const outputs =
      isContainer(layer) && open(path) ? addNested(plan, layer, path, given, open) : addStep(plan, node, path, given);
    node.outputTensors.forEach(({ id }, i) => {
      names.set(id, outputs[i]);
    });
  }
  return container.outputs.map(nameOf);
}

function addNested(
  plan: Plan,
  layer: Layer & Container,
  path: string,
  inputs: readonly string[],
  open: (path: string) => boolean,
): string[] {
  if (inputs.some((name) => plan.masked.has(name))) {
    throw new IsthmusError('CUT_INVALID', `the model '${path}' takes a mask of padding; cut before or after it`);
  }
  const outputs = addContainer(plan, layer, `${path}/`, inputs, open);
  outputs.forEach((name, i) => {
    plan.aliases.set(outputs.length > 1 ? `${path}:${i}` : path, name);
  });
  return outputs;
}

function addStep(
  plan: Plan,
  { outboundLayer: layer, outputTensors }: LayerNode,
  path: string,
  inputs: string[],
): string[] {
  const outputs = outputTensors.map((_, i) => (outputTensors.length > 1 ? `${path}:${i}` : path));
  const step: Step = { layer, inputs, outputs };
  plan.steps.push(step);
  const makesMask = layer.getClassName() === 'Masking' || layer.maskZero === true;
  const passesMask = layer.supportsMasking && layer.returnSequences !== false;
  outputs.forEach((name, i) => {
    plan.makers.set(name, step);
    plan.tensors.set(name, outputTensors[i]);
    if (makesMask || (passesMask && inputs.some((input) => plan.masked.has(input)))) plan.masked.add(name);
  });
  return outputs;
}

function portOf({ tensors }: Plan, name: string, tensor: string): Port {
  const { dtype, shape } = tensors.get(tensor) as SymbolicTensor;
  return { tensor, info: { name, dtype: dtypeOf(name, dtype), shape: shapeOf(shape) } };
}

function engineOf({ tf, runtime }: TensorFlowPeer, plan: Plan, from: readonly Port[], to: readonly Port[]): Engine {
  const feeds = from.map(({ tensor }) => tensor);
  return {
    runtime,
    inputs: from.map(({ info }) => info),
    outputs: to.map(({ info }) => info),
    async compute(given, fetches) {
      const ports = fetches.map((name) => to.find(({ info }) => info.name === name) as Port);
      const wanted = ports.map(({ tensor }) => tensor);
      const steps = stepsTo(plan, feeds, wanted);
      const results = tf.tidy(() => {
        const values = new Map(feeds.map((name, i) => [name, toTf(tf, given[i])]));
        const computed = evaluate(steps, values, wanted);
        // TensorFlow.js takes every layer to give float32, and casts what does not at the start of a submodel.
        return computed.map((value, i) => value.cast(ports[i].info.dtype as DataType));
      });
      try {
        return await Promise.all(results.map(fromTf));
      } finally {
        tf.dispose(results);
      }
    },
    async free() {}, // The weights are the model's.
  };
}

/** The steps between what is fed and what is wanted. */
function stepsTo({ steps, makers }: Plan, feeds: readonly string[], wanted: readonly string[]): Step[] {
  const flow = { inputs: feeds, outputs: wanted, names: [], sourcesOf: (name: string) => makers.get(name)?.inputs };
  const needed = upstream(flow, wanted, new Set(feeds));
  return steps.filter(({ outputs }) => outputs.some((name) => needed.has(name) && !feeds.includes(name)));
}

/**
 * Calls layers on tensors one by one, as TensorFlow.js's own executor does: nothing is added to the caller's model, as
 * building submodels of it would. To be run in a `tidy`; tensors that no later step takes are disposed at once.
 */
function evaluate(steps: readonly Step[], feeds: ReadonlyMap<string, TfTensor>, wanted: readonly string[]): TfTensor[] {
  const values = new Map(feeds);
  const masks = new Map<string, TfTensor>();
  const keep = new Set([...feeds.keys(), ...wanted]);
  const lastUse = new Map<string, Step>();
  for (const step of steps) for (const name of step.inputs) lastUse.set(name, step);
  for (const step of steps) {
    const { layer } = step;
    const inputs = step.inputs.map((name) => values.get(name) as TfTensor);
    const inputMasks = step.inputs.map((name) => masks.get(name));
    const mask = inputMasks.some(Boolean) ? { mask: inputMasks[0] } : {};
    const results = [layer.apply(inputs, { training: false, ...mask })].flat();
    const outputMask = layer.supportsMasking ? [layer.computeMask(inputs, inputMasks)].flat()[0] : null;
    step.outputs.forEach((name, i) => {
      if (!feeds.has(name)) values.set(name, results[i]);
      if (outputMask) masks.set(name, outputMask);
    });
    // What a stateful layer gave may be its state.
    for (const name of new Set(step.inputs)) {
      if (lastUse.get(name) === step && !keep.has(name) && !makerIsStateful(steps, name)) values.get(name)?.dispose();
    }
  }
  return wanted.map((name) => values.get(name) as TfTensor);
}

function makerIsStateful(steps: readonly Step[], name: string): boolean {
  return steps.some(({ layer, outputs }) => layer.stateful && outputs.includes(name));
}
