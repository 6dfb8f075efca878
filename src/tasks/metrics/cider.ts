import type { Metric } from '../task.ts';
import { words } from '../text.ts';
import { meanMetric } from './mean.ts';
import { ngrams } from './ngrams.ts';

const ORDER = 4;
const SIGMA = 6;
/** The scale that the authors' code puts on the score, which published numbers have. */
const SCALE = 10;

/** Weights of a caption's runs of n words, by n - 1, their lengths as vectors, and the caption's number of word pairs. */
interface Weighted {
  readonly grams: readonly ReadonlyMap<string, number>[];
  readonly norms: readonly number[];
  readonly pairs: number;
}

/**
 * CIDEr-D: for runs of 1 to 4 words, the cosine between candidate and reference weighted by term frequency and inverse
 * document frequency, the candidate's weights clipped at the reference's, times a Gaussian of the difference in length
 * (sigma 6); the mean over n and references, times 10, and times 100 to be in points. `references` holds the captions of
 * every image of the split: an image is a document.
 * Vedantam, Zitnick, Parikh, "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015.
 */
export function ciderD(
  references: readonly (readonly string[])[],
): Metric<{ readonly caption: string }, readonly string[]> {
  const frequencies = documentFrequencies(references);
  const logDocuments = Math.log(Math.max(1, references.length));

  function weigh(caption: string): Weighted {
    const list = words(caption);
    const grams = Array.from({ length: ORDER }, (_, i) => {
      const weights = new Map<string, number>();
      for (const [gram, count] of ngrams(list, i + 1)) {
        weights.set(gram, count * (logDocuments - Math.log(frequencies.get(gram) ?? 1)));
      }
      return weights;
    });
    const norms = grams.map((weights) =>
      Math.sqrt([...weights.values()].reduce((sum, weight) => sum + weight ** 2, 0)),
    );
    return { grams, norms, pairs: Math.max(0, list.length - 1) };
  }

  return meanMetric('ciderD', ({ caption }, truth) => {
    if (truth.length === 0) return 0;
    const candidate = weigh(caption);
    const similarities = truth.map((reference) => similarity(candidate, weigh(reference)));
    return (SCALE * similarities.reduce((sum, value) => sum + value, 0)) / truth.length;
  });
}

/** In how many images' references a run of words occurs. Runs of different n differ in their number of spaces. */
function documentFrequencies(references: readonly (readonly string[])[]): ReadonlyMap<string, number> {
  const frequencies = new Map<string, number>();
  for (const captions of references) {
    const grams = new Set<string>();
    for (const list of captions.map(words)) {
      for (let n = 1; n <= ORDER; n++) for (const gram of ngrams(list, n).keys()) grams.add(gram);
    }
    for (const gram of grams) frequencies.set(gram, (frequencies.get(gram) ?? 0) + 1);
  }
  return frequencies;
}

function similarity(candidate: Weighted, reference: Weighted): number {
  let sum = 0;
  for (let i = 0; i < ORDER; i++) {
    const norm = candidate.norms[i] * reference.norms[i];
    if (norm === 0) continue;
    let product = 0;
    for (const [gram, weight] of candidate.grams[i]) {
      const other = reference.grams[i].get(gram) ?? 0;
      product += Math.min(weight, other) * other;
    }
    sum += product / norm;
  }
  const difference = candidate.pairs - reference.pairs;
  return (sum / ORDER) * Math.exp(-(difference ** 2) / (2 * SIGMA ** 2));
}
