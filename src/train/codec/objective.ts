import { buildGraph, type Graph, opsetOf, type ValueSpec } from '../../onnx/index.ts';
import type { Tensor } from '../../tensor.ts';
import { Extension } from '../extension.ts';
import { distillation, weightedSum } from '../losses.ts';
import { writeRate } from './rate.ts';
import { choicesOf, includeTail, type TaskPorts, type TaskTargets, tokenInputs, tokensName } from './teacher.ts';
import { type Latent, latentsOf, type TokenTransform, writeAnalysis, writeSynthesis } from './transform.ts';

/** What is lessened: for each row the sum of these. */
export interface Losses {
  /** Weight of each task's Kullback-Leibler divergence from the uncut model's answers, in nats an answer. */
  readonly tasks: Readonly<Record<string, number>>;
  /** Weight of the squared error of the feature over its variance. */
  readonly feature: number;
  /** Weight of half the squared error as the tasks feel it: to second order their divergence, in nats. */
  readonly sensitive: number;
}

export interface Objective {
  readonly graph: Graph;
  /** The scalar to lessen: the mean over rows. */
  readonly loss: string;
  /** Scalars to watch, means over rows: each task's divergence, the errors that count, the rate in bits. */
  readonly report: readonly string[];
}

export interface ObjectiveOptions {
  readonly transform: TokenTransform;
  /** The tensor at the cut. */
  readonly feature: { readonly name: string; readonly shape: readonly number[] };
  /** All weights of the transform, and `rate/LATENT` for each latent. */
  readonly weights: Readonly<Record<string, Tensor>>;
  readonly tasks: readonly TaskPorts[];
  readonly losses: Losses;
  /** Mean variance of a feature's numbers. */
  readonly variance: number;
  /** Step of the latents in root nats, and the maps to these, `[length, components]` by latent. */
  readonly sensitivity: { readonly step: number; readonly maps: Readonly<Record<string, Tensor>> };
}

/** What a run of the training graph is fed beside the weights. */
export interface ObjectiveFeeds {
  readonly feature: Tensor;
  readonly targets: readonly TaskTargets[];
  /** Uniform noise for each latent, `[batch, vectors, components]`. */
  readonly noise: readonly Tensor[];
  /** Quantization step of each row, `[batch, 1, 1]`. */
  readonly step: Tensor;
  /** Nats that a bit of each row is worth, `[batch]`. */
  readonly price: Tensor;
}

const STEP = 'train/step';
const PRICE = 'train/price';
const noiseName = (latent: Latent) => `noise/${latent.name}`;
/** Name of a latent's log-scales. */
export const rateWeight = (latent: Latent) => `rate/${latent.name}`;
const targetName = ({ name }: TaskPorts) => `target/${name}`;
const maskName = ({ name }: TaskPorts) => `mask/${name}`;

/** The operator set of the transform's operators; a tail may have a later one. */
const OPSET = 17;

/**
 * The graph that training a codec runs: analysis, noise of the quantizer's step in place of rounding, synthesis, the tails of all
 * tasks, and the loss: divergence from the uncut model's answers, errors of the feature, and the rate. Throws what including the
 * tails throws.
 */
export function objectiveOf(options: ObjectiveOptions): Objective {
  const { transform, feature, weights, tasks, losses } = options;
  const latents = latentsOf(transform);
  const nodes = new Extension(
    buildGraph({
      name: 'training',
      opset: Math.max(OPSET, ...tasks.map(({ tail }) => opsetOf(tail))),
      inputs: inputsOf(options, latents),
      outputs: [],
      nodes: [],
    }),
  );
  const names = new Map(Object.entries(weights).map(([name, value]) => [name, nodes.initializer(name, value)]));
  const weight = (name: string) => names.get(name) as string;
  const noisy = writeAnalysis(nodes, transform, feature.name, weight).map((latent, i) =>
    nodes.emit('Add', [latent, nodes.emit('Mul', [noiseName(latents[i]), STEP])]),
  );
  const received = writeSynthesis(nodes, transform, noisy, weight);
  const bits = noisy.map((latent, i) => writeRate(nodes, latent, STEP, weight(rateWeight(latents[i]))));
  const rate = bits.length === 1 ? bits[0] : nodes.emit('Sum', bits);

  const report: string[] = [];
  const terms: [weight: number, rows: string][] = [];
  const term = (factor: number, rows: string, name: string) => {
    terms.push([factor, rows]);
    report.push(nodes.emit('ReduceMean', [rows], { keepdims: 0 }, name));
  };
  for (const port of tasks) {
    const factor = losses.tasks[port.name] ?? 0;
    if (factor === 0) continue;
    const logits = includeTail(nodes, port, received);
    term(
      factor,
      distillation(nodes, logits, targetName(port), maskName(port), port.positions ? 3 : 2),
      `loss/${port.name}`,
    );
  }
  const error = nodes.emit('Sub', [received, feature.name]);
  if (losses.feature > 0) term(losses.feature, featureError(nodes, error, options), 'loss/feature');
  if (losses.sensitive > 0) term(losses.sensitive, sensitiveError(nodes, error, options), 'loss/sensitive');
  report.push(nodes.emit('ReduceMean', [rate], { keepdims: 0 }, 'rate/bits'));
  terms.push([1, nodes.emit('Mul', [rate, PRICE])]);
  const loss = nodes.emit('ReduceMean', [weightedSum(nodes, terms)], { keepdims: 0 }, 'loss');
  return { graph: nodes.build([{ name: loss, dtype: 'float32', shape: [] }]), loss, report };
}

function inputsOf({ feature, tasks }: ObjectiveOptions, latents: readonly Latent[]): ValueSpec[] {
  return [
    { name: feature.name, dtype: 'float32', shape: ['batch', ...feature.shape.slice(1)] },
    ...latents.map((latent): ValueSpec => {
      return { name: noiseName(latent), dtype: 'float32', shape: ['batch', latent.vectors, latent.components] };
    }),
    { name: STEP, dtype: 'float32', shape: ['batch', 1, 1] },
    { name: PRICE, dtype: 'float32', shape: ['batch'] },
    ...tasks.flatMap((port): ValueSpec[] => {
      const choices = ['batch', ...choicesOf(port)];
      return [
        ...tokenInputs(port),
        { name: targetName(port), dtype: 'float32', shape: [...choices, port.classes] },
        { name: maskName(port), dtype: 'float32', shape: choices },
      ];
    }),
  ];
}

/** The feeds by name. */
export function feedsOf(
  { transform, feature, tasks }: Pick<ObjectiveOptions, 'transform' | 'feature' | 'tasks'>,
  feeds: ObjectiveFeeds,
): Record<string, Tensor> {
  const named: Record<string, Tensor> = { [feature.name]: feeds.feature, [STEP]: feeds.step, [PRICE]: feeds.price };
  for (const [i, latent] of latentsOf(transform).entries()) named[noiseName(latent)] = feeds.noise[i];
  for (const [t, port] of tasks.entries()) {
    const { tokens, logits, mask } = feeds.targets[t];
    if (tokens) named[tokensName(port)] = tokens;
    named[targetName(port)] = logits;
    named[maskName(port)] = mask;
  }
  return named;
}

/** Mean square of a row's error over the variance: float32 `[batch]`. */
function featureError(nodes: Extension, error: string, { feature, variance }: ObjectiveOptions): string {
  const axes = nodes.ints(feature.shape.slice(1).map((_, i) => i + 1));
  const sum = nodes.emit('ReduceSum', [nodes.emit('Mul', [error, error]), axes], { keepdims: 0 });
  const count = feature.shape.reduce((a, b) => a * b, 1);
  return nodes.emit('Mul', [sum, nodes.number(1 / (count * variance))]);
}

/** Half the square of a row's error in root nats: float32 `[batch]`. */
function sensitiveError(nodes: Extension, error: string, { transform, sensitivity }: ObjectiveOptions): string {
  // The linear maps of an analysis without blocks and biases take an error to the latents.
  const linear = { ...transform, analysisBlocks: 0 };
  const constants = new Map(Object.entries(sensitivity.maps).map(([name, map]) => [name, nodes.constant(map)]));
  const zero = nodes.number(0);
  const felt = writeAnalysis(nodes, linear, error, (name) => constants.get(name) ?? zero);
  const squares = felt.map((latent) =>
    nodes.emit('ReduceSum', [nodes.emit('Mul', [latent, latent]), nodes.ints([1, 2])], { keepdims: 0 }),
  );
  const sum = squares.length === 1 ? squares[0] : nodes.emit('Sum', squares);
  return nodes.emit('Mul', [sum, nodes.number(sensitivity.step ** 2 / 2)]);
}
