import { type Tensor, tensor } from '../tensor.ts';
import type { Extension } from './extension.ts';
import type { Optimizer, StepScalars } from './optimizer.ts';
import type { StepPlan, WeightGroup } from './plan.ts';

/** Output of the sum of squares of each weight's gradient. */
export const SQUARES = 'gradient/squares';

const AVERAGE = 'train/average';
const SHARE = 'train/share';

/** Which graph the update stands in: after the backward pass of one batch, or fed with sums of several. */
export type UpdatePlace = 'whole' | 'apply';

/** Writes norm, clipping, the optimizer and the moving average of each weight. */
export function writeUpdate(nodes: Extension, plan: StepPlan, place: UpdatePlace): void {
  const { options, optimizer, weights } = plan;
  const share = place === 'apply' ? nodes.input({ name: SHARE, dtype: 'float32', shape: [] }) : undefined;
  const gradients = weights.map(({ gradient, sum }) => (place === 'apply' ? sum.name : gradient));
  const squares = nodes.emit(
    'Concat',
    gradients.map((each) => sumOfSquares(nodes, each)),
    { axis: 0 },
    SQUARES,
  );
  const factor = gradientFactor(nodes, squares, options.clip, share);
  const groups = options.groups.map((group, i) => groupScalars(nodes, optimizer, group, i));
  const average =
    options.average === undefined ? undefined : nodes.input({ name: AVERAGE, dtype: 'float32', shape: [] });
  for (const [i, trained] of weights.entries()) {
    const gradient = factor === undefined ? gradients[i] : nodes.emit('Mul', [gradients[i], factor]);
    const { weight, slots } = trained;
    optimizer.update(
      nodes,
      { weight: weight.name, gradient, slots: slots.map(({ name }) => name) },
      { weight: weight.next, slots: slots.map(({ next }) => next) },
      groups[trained.group],
    );
    if (trained.average && average) {
      const gap = nodes.emit('Mul', [nodes.emit('Sub', [trained.average.name, weight.next]), average]);
      nodes.emit('Add', [weight.next, gap], {}, trained.average.next);
    }
  }
}

function sumOfSquares(nodes: Extension, gradient: string): string {
  const flat = nodes.emit('Reshape', [gradient, nodes.ints([-1])]);
  return nodes.emit('ReduceSumSquare', [flat], { keepdims: 1 });
}

/** What gradients are multiplied with: their share, and clip / norm where that is below 1, as PyTorch's clip_grad_norm_. */
function gradientFactor(nodes: Extension, squares: string, clip?: number, share?: string): string | undefined {
  if (clip === undefined) return share;
  const root = nodes.emit('Sqrt', [nodes.emit('ReduceSum', [squares], { keepdims: 0 })]);
  const norm = share === undefined ? root : nodes.emit('Mul', [root, share]);
  const ratio = nodes.emit('Div', [nodes.number(clip), nodes.emit('Add', [norm, nodes.number(1e-6)])]);
  const factor = nodes.emit('Min', [ratio, nodes.number(1)]);
  return share === undefined ? factor : nodes.emit('Mul', [factor, share]);
}

function groupScalars(nodes: Extension, optimizer: Optimizer, group: WeightGroup, index: number): StepScalars<string> {
  const names = Object.keys(optimizer.scalars(1, 1, group.decay ?? 0)) as (keyof StepScalars<number>)[];
  const inputs = names.map((name) => {
    return [name, nodes.input({ name: `train/${name}/${index}`, dtype: 'float32', shape: [] })];
  });
  return Object.fromEntries(inputs) as StepScalars<string>;
}

/** What the update is fed in step `step` (from 1) at a learning rate; `batches` gradients were added up. */
export function updateScalars(
  { options: { groups, average }, optimizer }: StepPlan,
  place: UpdatePlace,
  step: number,
  rate: number,
  batches: number,
): Record<string, Tensor> {
  const fed: [name: string, value: number][] = groups.flatMap((group, i) =>
    Object.entries<number>({ ...optimizer.scalars(step, rate * (group.rate ?? 1), group.decay ?? 0) }).map(
      ([name, value]): [string, number] => [`train/${name}/${i}`, value],
    ),
  );
  // In the first steps the average forgets faster, so that where training started does not stay in it.
  if (average !== undefined) fed.push([AVERAGE, Math.min(average, (1 + step) / (10 + step))]);
  if (place === 'apply') fed.push([SHARE, 1 / batches]);
  return Object.fromEntries(fed.map(([name, value]) => [name, tensor('float32', [], Float32Array.of(value))]));
}
