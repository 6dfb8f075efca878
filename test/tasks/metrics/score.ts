import type { Metric } from '../../../src/tasks/index.ts';

/** The score over pairs of answer and truth, by adding up their statistics. */
export function scoreOf<Answer, Truth>(
  metric: Metric<Answer, Truth>,
  pairs: readonly (readonly [Answer, Truth])[],
): number {
  const sums = new Float64Array(metric.size);
  for (const [answer, truth] of pairs) {
    metric.statistics(answer, truth).forEach((value, i) => {
      sums[i] += value;
    });
  }
  return metric.score(sums);
}
