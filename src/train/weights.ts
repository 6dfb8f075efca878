import { clone } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import { dtypeOf, type Graph, mainGraph, normalDomain, protoOf, tensorOf } from '../onnx/index.ts';
import { ModelProtoSchema, type NodeProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';
import type { Tensor } from '../tensor.ts';
import type { WeightGroup } from './plan.ts';

/** Which weights are trained. Patterns are names in which `*` stands for any text. */
export interface WeightChoice {
  /** All weights where absent. */
  readonly weights?: readonly string[];
  /** Weights that stay as they are. */
  readonly freeze?: readonly string[];
}

/** Inputs of operators that are numbers of the architecture, or statistics of the data, rather than weights. */
const NOT_WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  Dropout: [1],
  Pad: [2],
  Resize: [1, 2],
};

/**
 * The names of the float32 initializers that `of` depends on and the choice names, in the order of the graph. Numbers of
 * one element (the 0.5 of a GELU, an epsilon) are constants unless a pattern is their very name; statistics of
 * BatchNormalization are never trained.
 * Throws `INVALID_ARGUMENT` for a pattern that fits nothing, and where nothing is left to train.
 */
export function trainableWeights(
  graph: Graph,
  of: string,
  { weights = ['*'], freeze = [] }: WeightChoice = {},
): string[] {
  const used = weightsBehind(mainGraph(graph).node, of);
  const candidates = mainGraph(graph).initializer.filter(
    ({ name, dataType }) => used.has(name) && dtypeOf(dataType) === 'float32',
  );
  const scalars = new Set(candidates.filter(({ dims }) => dims.every((dim) => dim === 1n)).map(({ name }) => name));
  const names = candidates.map(({ name }) => name);
  const fitting = (patterns: readonly string[]) => {
    const found = new Set<string>();
    for (const pattern of patterns) {
      const fits = names.filter((name) => name === pattern || (!scalars.has(name) && matcher(pattern).test(name)));
      if (fits.length === 0) throw fitsNothing(pattern, names);
      for (const name of fits) found.add(name);
    }
    return found;
  };
  const [chosen, frozen] = [fitting(weights), fitting(freeze)];
  const trained = names.filter((name) => chosen.has(name) && !frozen.has(name));
  if (trained.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'all weights are frozen; leave some to train');
  return trained;
}

/** Initializers and other tensors that a tensor is computed from, read as weights. */
function weightsBehind(nodes: readonly NodeProto[], of: string): Set<string> {
  const needed = new Set([of]);
  const weights = new Set<string>();
  for (const node of nodes.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    const skipped = normalDomain(node.domain) === '' ? (NOT_WEIGHTS[node.opType] ?? []) : [];
    for (const name of usesOf(node)) needed.add(name);
    for (const [i, name] of node.input.entries()) if (!skipped.includes(i)) weights.add(name);
  }
  return weights;
}

function matcher(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

function fitsNothing(pattern: string, names: readonly string[]): IsthmusError {
  const few = names.slice(0, 6).map((name) => `'${name}'`);
  return new IsthmusError(
    'INVALID_ARGUMENT',
    names.length === 0
      ? 'the graph has no float32 initializer that the output depends on'
      : `no weight fits '${pattern}'; there are ${few.join(', ')}${names.length > few.length ? ` and ${names.length - few.length} more` : ''}`,
  );
}

/**
 * Matrices, kernels and tables decay; what has one axis only (biases, scales of norms, a class token) does not, as is
 * usual for transformers.
 */
export function decayGroups(graph: Graph, names: readonly string[], decay: number): WeightGroup[] {
  const axes = new Map(
    mainGraph(graph).initializer.map(({ name, dims }) => [name, dims.filter((dim) => dim !== 1n).length]),
  );
  const decays = (name: string) => (axes.get(name) as number) > 1;
  return [{ weights: names.filter(decays), decay }, { weights: names.filter((name) => !decays(name)) }].filter(
    ({ weights }) => weights.length > 0,
  );
}

/** The graph with other values in some initializers, of the same shapes; all else is kept. */
export function withWeights(graph: Graph, weights: Readonly<Record<string, Tensor>>): Graph {
  const copy = clone(ModelProtoSchema, graph);
  for (const proto of mainGraph(copy).initializer) {
    if (!Object.hasOwn(weights, proto.name)) continue;
    const value = weights[proto.name];
    const { dtype, shape } = tensorOf(proto);
    if (value.dtype !== dtype || `${value.shape}` !== `${shape}`) {
      throw new IsthmusError(
        'TENSOR_INVALID',
        `weight '${proto.name}' is ${dtype} [${shape}], got ${value.dtype} [${value.shape}]`,
      );
    }
    proto.rawData = protoOf('', value).rawData;
    proto.floatData = [];
  }
  return copy;
}
