import type { Metric } from '../task.ts';
import { words } from '../text.ts';
import { ngrams } from './ngrams.ts';

/**
 * Corpus BLEU with runs of 1 to `order` words: the geometric mean of their clipped precisions over all captions, times
 * `exp(1 - r / c)` where the candidates' length c is below r, the sum of the closest reference lengths (the shorter on a
 * tie). No smoothing: a run length that never matches gives 0.
 * Statistics: matches for each run length, candidates' runs for each, c, r.
 * Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002.
 */
export function bleu(order: 1 | 2 | 3 | 4): Metric<{ readonly caption: string }, readonly string[]> {
  return {
    name: `bleu${order}`,
    size: 2 * order + 2,
    statistics({ caption }, truth) {
      const candidate = words(caption);
      const references = truth.map(words);
      const sums = new Float64Array(2 * order + 2);
      for (let n = 1; n <= order; n++) {
        sums[n - 1] = clippedMatches(candidate, references, n);
        sums[order + n - 1] = Math.max(0, candidate.length - n + 1);
      }
      sums[2 * order] = candidate.length;
      sums[2 * order + 1] = closestLength(candidate.length, references);
      return sums;
    },
    score(sums) {
      let logPrecision = 0;
      for (let n = 0; n < order; n++) {
        if (sums[n] === 0) return 0;
        logPrecision += Math.log(sums[n] / sums[order + n]) / order;
      }
      const logBrevity = Math.min(0, 1 - sums[2 * order + 1] / sums[2 * order]);
      return 100 * Math.exp(logPrecision + logBrevity);
    },
  };
}

/** Runs of the candidate that a reference has too, each at most as often as in the reference that has it most often. */
function clippedMatches(candidate: readonly string[], references: readonly (readonly string[])[], n: number): number {
  const allowed = new Map<string, number>();
  for (const reference of references) {
    for (const [gram, count] of ngrams(reference, n)) allowed.set(gram, Math.max(count, allowed.get(gram) ?? 0));
  }
  let matches = 0;
  for (const [gram, count] of ngrams(candidate, n)) matches += Math.min(count, allowed.get(gram) ?? 0);
  return matches;
}

function closestLength(length: number, references: readonly (readonly string[])[]): number {
  const lengths = references.map((reference) => reference.length).sort((a, b) => a - b);
  return lengths.reduce(
    (best, next) => (Math.abs(next - length) < Math.abs(best - length) ? next : best),
    lengths[0] ?? 0,
  );
}
