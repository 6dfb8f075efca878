import type { Metric } from '../task.ts';

/**
 * A metric that is the mean over answers of `points` (0 to 1), times 100. `points` gives null for an answer that the
 * metric does not cover, such as a question of another type; over no answers the score is NaN.
 */
export function meanMetric<Answer, Truth>(
  name: string,
  points: (answer: Answer, truth: Truth) => number | null,
): Metric<Answer, Truth> {
  return {
    name,
    size: 2,
    statistics(answer, truth) {
      const value = points(answer, truth);
      return value === null ? new Float64Array(2) : Float64Array.of(value, 1);
    },
    score: ([sum, count]) => (100 * sum) / count,
  };
}
