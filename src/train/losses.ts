import type { Extension } from './extension.ts';

/**
 * The mean cross-entropy, in nats, of rows of logits against labels: the name of a scalar. `logits` is
 * `[batch, classes, 1, …]`, `labels` int64 `[batch]` of 0 to classes - 1 (others make the run fail). With `smoothing` s
 * the target is 1 - s on the label and s spread over all classes alike (Szegedy et al., Rethinking the Inception
 * Architecture, 2016, section 7).
 */
export function crossEntropy(nodes: Extension, logits: string, labels: string, smoothing = 0): string {
  const rows = nodes.emit('Flatten', [logits], { axis: 1 });
  const logProbabilities = nodes.emit('LogSoftmax', [rows], { axis: 1 });
  const column = nodes.emit('Unsqueeze', [labels, nodes.ints([1])]);
  const ofLabel = mean(nodes, nodes.emit('GatherElements', [logProbabilities, column], { axis: 1 }));
  if (smoothing === 0) return nodes.emit('Neg', [ofLabel]);
  return weightedSum(nodes, [
    [smoothing - 1, ofLabel],
    [-smoothing, mean(nodes, logProbabilities)],
  ]);
}

/**
 * The cross-entropy of choices that count with weights, in nats, and the share of them that are right: names of scalars, means
 * over the batch of each row's weighted sum. `logits` is `[…, classes]` with as many rows as `labels` (int64) and `weights`
 * (float32), `[batch, choices]`, have elements. Smoothing as in {@link crossEntropy}.
 */
export function weightedChoices(
  nodes: Extension,
  logits: string,
  labels: string,
  weights: string,
  classes: number,
  smoothing: number,
): { readonly loss: string; readonly right: string } {
  const rows = nodes.emit('Reshape', [logits, nodes.ints([-1, classes])]);
  const flat = nodes.emit('Reshape', [labels, nodes.ints([-1])]);
  const logProbabilities = nodes.emit('LogSoftmax', [rows], { axis: 1 });
  const column = nodes.emit('Unsqueeze', [flat, nodes.ints([1])]);
  const ofLabel = nodes.emit('GatherElements', [logProbabilities, column], { axis: 1 });
  const nats =
    smoothing === 0
      ? nodes.emit('Neg', [ofLabel])
      : weightedSum(nodes, [
          [smoothing - 1, ofLabel],
          [-smoothing / classes, nodes.emit('ReduceSum', [logProbabilities, nodes.ints([1])])],
        ]);
  const best = nodes.emit('ArgMax', [rows], { axis: 1, keepdims: 0 });
  const hits = nodes.emit('Cast', [nodes.emit('Equal', [best, flat])], { to: 1 });
  const shape = nodes.emit('Shape', [weights]);
  const meanOfRows = (values: string) => {
    const weighted = nodes.emit('Mul', [nodes.emit('Reshape', [values, shape]), weights]);
    return mean(nodes, nodes.emit('ReduceSum', [weighted, nodes.ints([1])], { keepdims: 0 }));
  };
  return { loss: meanOfRows(nats), right: meanOfRows(hits) };
}

/** The share of rows whose largest logit is the label's, as a scalar; shapes as {@link crossEntropy} takes them. */
export function topOne(nodes: Extension, logits: string, labels: string): string {
  const rows = nodes.emit('Flatten', [logits], { axis: 1 });
  const best = nodes.emit('ArgMax', [rows], { axis: 1, keepdims: 0 });
  return mean(nodes, nodes.emit('Cast', [nodes.emit('Equal', [best, labels])], { to: 1 }));
}

/**
 * The Kullback-Leibler divergence of a model's answers from a teacher's, in nats of each row: float32 `[batch]`. Both logits are
 * `[batch, classes]` (rank 2) or `[batch, length, classes]` (rank 3), and `mask` weights choices, `[batch]` or `[batch, length]`
 * (Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015, at temperature 1).
 */
export function distillation(nodes: Extension, logits: string, teacher: string, mask: string, rank: 2 | 3): string {
  const wanted = nodes.emit('LogSoftmax', [teacher], { axis: -1 });
  const given = nodes.emit('LogSoftmax', [logits], { axis: -1 });
  const terms = nodes.emit('Mul', [nodes.emit('Exp', [wanted]), nodes.emit('Sub', [wanted, given])]);
  const choices = nodes.emit('Mul', [nodes.emit('ReduceSum', [terms, nodes.ints([-1])], { keepdims: 0 }), mask]);
  return rank === 2 ? choices : nodes.emit('ReduceSum', [choices, nodes.ints([1])], { keepdims: 0 });
}

/** The sum of scalars times their weights. */
export function weightedSum(nodes: Extension, terms: readonly (readonly [weight: number, scalar: string])[]): string {
  const parts = terms.map(([weight, scalar]) =>
    weight === 1 ? scalar : nodes.emit('Mul', [scalar, nodes.number(weight)]),
  );
  return parts.length === 1 ? parts[0] : nodes.emit('Sum', parts);
}

/** The mean of all elements, as a scalar. */
function mean(nodes: Extension, x: string): string {
  return nodes.emit('ReduceMean', [x], { keepdims: 0 });
}
