import { buildGraph, type Graph, type ValueSpec } from '../../onnx/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import { Extension } from '../extension.ts';
import { toHalf } from '../half-weights.ts';
import { normals, randomOf } from '../random.ts';
import { type Grouping, groupCount, type TokenGrid } from './grid.ts';

/**
 * A trained transform of tokens. Analysis: blocks of a transformer (none where that costs the device too much), then for each
 * group of tokens, and for each prefix token, one linear map to the latents. Synthesis: the linear map back, then blocks of a
 * transformer, which know what a picture's other tokens say.
 */
export interface TokenTransform {
  readonly grid: TokenGrid;
  readonly grouping: Grouping;
  /** Latents of a group's vector. */
  readonly components: number;
  /** Latents of a prefix token. */
  readonly prefixComponents: number;
  readonly analysisBlocks: number;
  readonly synthesisBlocks: number;
}

/** One latent tensor: float32 `[batch, vectors, components]`. */
export interface Latent {
  readonly name: string;
  readonly vectors: number;
  readonly components: number;
}

/** The linear maps that training starts from, of one kind of vectors: y = (x - mean) analysis, x = y synthesis + mean. */
export interface LinearStart {
  /** [vectors, length] */
  readonly mean: Float32Array;
  /** [length, components] */
  readonly analysis: Float32Array;
  /** [components, length] */
  readonly synthesis: Float32Array;
  /** Variance of each component. */
  readonly variances: Float64Array;
}

/** For the groups and, where there are any, for the prefix tokens. */
export interface TransformStart {
  readonly groups: LinearStart;
  readonly prefix: LinearStart | null;
}

/** Gives the name of a weight's tensor in the graph that is written. */
type WeightOf = (name: string) => string;

/** Numbers of an attention head at least. */
const HEAD = 64;
/** Width of a block's inner layer over its own. */
const INNER = 4;

export function latentsOf({ grid, grouping, components, prefixComponents }: TokenTransform): Latent[] {
  const groups = { name: 'latents', vectors: groupCount(grouping), components };
  if (grid.prefix === 0) return [groups];
  return [groups, { name: 'latents/prefix', vectors: grid.prefix, components: prefixComponents }];
}

/** Writes the analysis of a float32 feature; gives the latents in the order of {@link latentsOf}. */
export function writeAnalysis(
  nodes: Extension,
  transform: TokenTransform,
  feature: string,
  weight: WeightOf,
): string[] {
  const { grid, grouping, analysisBlocks } = transform;
  let tokens = toTokens(nodes, grid, feature);
  for (let i = 0; i < analysisBlocks; i++) tokens = block(nodes, grid, tokens, `analysis/${i}`, weight);
  const groups = affine(nodes, toGroups(nodes, grid, grouping, tokens), 'analysis/groups', weight);
  if (grid.prefix === 0) return [groups];
  const prefix = nodes.emit('Slice', [tokens, nodes.ints([0]), nodes.ints([grid.prefix]), nodes.ints([1])]);
  return [groups, affine(nodes, prefix, 'analysis/prefix', weight)];
}

/** Writes the synthesis of latents in the order of {@link latentsOf}; gives the float32 feature. */
export function writeSynthesis(
  nodes: Extension,
  transform: TokenTransform,
  [groups, prefix]: readonly string[],
  weight: WeightOf,
): string {
  const { grid, grouping, synthesisBlocks } = transform;
  let tokens = fromGroups(nodes, grid, grouping, affine(nodes, groups, 'synthesis/groups', weight));
  if (grid.prefix > 0)
    tokens = nodes.emit('Concat', [affine(nodes, prefix, 'synthesis/prefix', weight), tokens], { axis: 1 });
  for (let i = 0; i < synthesisBlocks; i++) tokens = block(nodes, grid, tokens, `synthesis/${i}`, weight);
  return fromTokens(nodes, grid, tokens);
}

/** The weights that training starts from, by name: the linear maps given, and blocks that change nothing yet. */
export function initialWeights(transform: TokenTransform, start: TransformStart, seed: number): Record<string, Tensor> {
  const { grid, grouping, analysisBlocks, synthesisBlocks } = transform;
  const weights: Record<string, Tensor> = {};
  const linear = (name: string, { mean, analysis, synthesis }: LinearStart, vectors: number, length: number) => {
    const components = synthesis.length / length;
    weights[`analysis/${name}/matrix`] = tensor('float32', [length, components], analysis);
    weights[`analysis/${name}/bias`] = tensor('float32', [1, vectors, components], projected(mean, analysis, length));
    weights[`synthesis/${name}/matrix`] = tensor('float32', [components, length], synthesis);
    weights[`synthesis/${name}/bias`] = tensor('float32', [1, vectors, length], mean);
  };
  linear('groups', start.groups, groupCount(grouping), grouping.length);
  if (start.prefix) linear('prefix', start.prefix, grid.prefix, grid.length);
  const blocks = { analysis: analysisBlocks, synthesis: synthesisBlocks };
  for (const [side, count] of Object.entries(blocks)) {
    for (let i = 0; i < count; i++) Object.assign(weights, initialBlock(`${side}/${i}`, grid.length, seed));
  }
  return weights;
}

/** -mean analysis, which centres what the matrix gives. */
function projected(mean: Float32Array, analysis: Float32Array, length: number): Float32Array {
  const components = analysis.length / length;
  const vectors = mean.length / length;
  const sums = new Float64Array(vectors * components);
  for (let v = 0; v < vectors; v++) {
    for (let a = 0; a < length; a++) {
      const value = mean[v * length + a];
      for (let c = 0; c < components; c++) sums[v * components + c] -= value * analysis[a * components + c];
    }
  }
  return Float32Array.from(sums);
}

// Tokens and groups

function toTokens(
  nodes: Extension,
  { prefix, height, width, length, channelsFirst }: TokenGrid,
  feature: string,
): string {
  if (!channelsFirst) return nodes.emit('Reshape', [feature, nodes.ints([-1, prefix + height * width, length])]);
  const rows = nodes.emit('Reshape', [feature, nodes.ints([-1, length, height * width])]);
  return nodes.emit('Transpose', [rows], { perm: [0, 2, 1] });
}

function fromTokens(nodes: Extension, { height, width, length, channelsFirst }: TokenGrid, tokens: string): string {
  if (!channelsFirst) return tokens;
  const rows = nodes.emit('Transpose', [tokens], { perm: [0, 2, 1] });
  return nodes.emit('Reshape', [rows, nodes.ints([-1, length, height, width])]);
}

function toGroups(nodes: Extension, grid: TokenGrid, { sides, groups, length }: Grouping, tokens: string): string {
  const { prefix, height, width } = grid;
  const last = prefix + height * width;
  const inside =
    prefix === 0 ? tokens : nodes.emit('Slice', [tokens, nodes.ints([prefix]), nodes.ints([last]), nodes.ints([1])]);
  const apart = nodes.emit('Reshape', [
    inside,
    nodes.ints([-1, groups[0], sides[0], groups[1], sides[1], grid.length]),
  ]);
  const turned = nodes.emit('Transpose', [apart], { perm: [0, 1, 3, 2, 4, 5] });
  return nodes.emit('Reshape', [turned, nodes.ints([-1, groups[0] * groups[1], length])]);
}

function fromGroups(nodes: Extension, grid: TokenGrid, { sides, groups }: Grouping, vectors: string): string {
  const apart = nodes.emit('Reshape', [
    vectors,
    nodes.ints([-1, groups[0], groups[1], sides[0], sides[1], grid.length]),
  ]);
  const turned = nodes.emit('Transpose', [apart], { perm: [0, 1, 3, 2, 4, 5] });
  return nodes.emit('Reshape', [turned, nodes.ints([-1, grid.height * grid.width, grid.length])]);
}

// Layers

/** x W + b; a bias may differ from vector to vector. */
function affine(nodes: Extension, x: string, name: string, weight: WeightOf): string {
  return nodes.emit('Add', [nodes.emit('MatMul', [x, weight(`${name}/matrix`)]), weight(`${name}/bias`)]);
}

/** A transformer's block with norms before attention and before the inner layer (Xiong et al., On Layer Normalization, 2020). */
function block(nodes: Extension, { length }: TokenGrid, x: string, name: string, weight: WeightOf): string {
  const heads = headsOf(length);
  const width = length / heads;
  const norm = (value: string, which: string) =>
    nodes.emit('LayerNormalization', [value, weight(`${name}/${which}/scale`), weight(`${name}/${which}/bias`)], {
      axis: -1,
      epsilon: 1e-6,
    });
  const normed = norm(x, 'norm1');
  const head = (which: string, perm: number[]) => {
    const flat = affine(nodes, normed, `${name}/${which}`, weight);
    return nodes.emit('Transpose', [nodes.emit('Reshape', [flat, nodes.ints([0, 0, heads, width])])], { perm });
  };
  const query = nodes.emit('Mul', [head('query', [0, 2, 1, 3]), nodes.number(1 / Math.sqrt(width))]);
  const scores = nodes.emit('MatMul', [query, head('key', [0, 2, 3, 1])]);
  const mixed = nodes.emit('MatMul', [nodes.emit('Softmax', [scores], { axis: -1 }), head('value', [0, 2, 1, 3])]);
  const joined = nodes.emit('Reshape', [
    nodes.emit('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
    nodes.ints([0, 0, length]),
  ]);
  const attended = nodes.emit('Add', [x, affine(nodes, joined, `${name}/project`, weight)]);
  const inner = gelu(nodes, affine(nodes, norm(attended, 'norm2'), `${name}/inner`, weight));
  return nodes.emit('Add', [attended, affine(nodes, inner, `${name}/outer`, weight)]);
}

/** x (1 + erf(x / √2)) / 2 */
function gelu(nodes: Extension, x: string): string {
  const erf = nodes.emit('Erf', [nodes.emit('Div', [x, nodes.number(Math.SQRT2)])]);
  return nodes.emit('Mul', [nodes.emit('Mul', [x, nodes.emit('Add', [erf, nodes.number(1)])]), nodes.number(0.5)]);
}

function headsOf(length: number): number {
  let heads = Math.max(1, Math.floor(length / HEAD));
  while (length % heads !== 0) heads--;
  return heads;
}

/** Layers that feed the sum with `x` start at zero, so that the block is the identity at first (Goyal et al. 2017, 5.1). */
function initialBlock(name: string, length: number, seed: number): Record<string, Tensor> {
  const weights: Record<string, Tensor> = {};
  const filled = (shape: readonly number[], value: number) =>
    tensor('float32', shape, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value));
  const layer = (which: string, from: number, to: number, isZero = false) => {
    const matrix = `${name}/${which}/matrix`;
    weights[matrix] = isZero
      ? filled([from, to], 0)
      : tensor('float32', [from, to], normals(randomOf('weights', seed, matrix), from * to, Math.sqrt(1 / from)));
    weights[`${name}/${which}/bias`] = filled([to], 0);
  };
  for (const which of ['norm1', 'norm2']) {
    weights[`${name}/${which}/scale`] = filled([length], 1);
    weights[`${name}/${which}/bias`] = filled([length], 0);
  }
  for (const which of ['query', 'key', 'value']) layer(which, length, length);
  layer('project', length, length, true);
  layer('inner', length, INNER * length);
  layer('outer', INNER * length, length, true);
  return weights;
}

// Graphs of a codec file

/** The operator set of a codec's graphs: the first with LayerNormalization. */
const OPSET = 17;

/**
 * The two graphs of a codec file: `feature` is the tensor at the cut (float32 or float16), whose batch stays open. Weights are
 * kept as float16, which halves the file; both graphs work in float32. Throws `INVALID_ARGUMENT` for a weight that float16
 * cannot hold.
 */
export function transformGraphs(
  transform: TokenTransform,
  feature: { readonly name: string; readonly dtype: 'float32' | 'float16'; readonly shape: readonly number[] },
  weights: Readonly<Record<string, Tensor>>,
): { readonly analysis: Graph; readonly synthesis: Graph } {
  const latents = latentsOf(transform);
  const outside: ValueSpec = { name: feature.name, dtype: feature.dtype, shape: ['batch', ...feature.shape.slice(1)] };
  const inside = latents.map(
    ({ name, vectors, components }): ValueSpec => ({ name, dtype: 'float32', shape: ['batch', vectors, components] }),
  );
  const start = (inputs: readonly ValueSpec[], name: string) =>
    new Extension(buildGraph({ name, opset: OPSET, inputs, outputs: [], nodes: [] }));
  const halves = (nodes: Extension): WeightOf => {
    return (name) => nodes.emit('Cast', [nodes.constant(toHalf(name, weights[name]))], { to: FLOAT });
  };

  const forward = start([outside], 'analysis');
  const x = feature.dtype === 'float32' ? feature.name : forward.emit('Cast', [feature.name], { to: FLOAT });
  for (const [i, made] of writeAnalysis(forward, transform, x, halves(forward)).entries()) {
    forward.emit('Identity', [made], {}, latents[i].name);
  }
  const backward = start(inside, 'synthesis');
  const names = latents.map(({ name }) => name);
  const y = writeSynthesis(backward, transform, names, halves(backward));
  if (feature.dtype === 'float32') backward.emit('Identity', [y], {}, feature.name);
  else backward.emit('Cast', [y], { to: FLOAT16 }, feature.name);
  return { analysis: forward.build(inside), synthesis: backward.build([outside]) };
}

/** ONNX's numbers of element types. */
const FLOAT = 1;
const FLOAT16 = 10;
