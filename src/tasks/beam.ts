import { type Tensor, tensor } from '../tensor.ts';
import { largest, logSumExp } from './rank.ts';
import { checkLogits, gatherRows } from './rows.ts';
import type { Tail } from './task.ts';

export interface BeamOptions {
  /** Hypotheses kept for an image at each step; 1 is greedy search. */
  readonly beam: number;
  /** Tokens after the start at most, the end counted in. */
  readonly maxTokens: number;
  /** Tokens in the vocabulary. */
  readonly width: number;
  readonly start: number;
  readonly end: number;
  /** Tokens that are never chosen: probabilities are among the others. */
  readonly never: readonly number[];
}

export interface Hypothesis {
  /** Without start and end. */
  readonly tokens: readonly number[];
  /** Sum of the log-probabilities divided by their number, the end's counted in. */
  readonly score: number;
}

interface Live {
  readonly tokens: readonly number[];
  readonly sum: number;
}

/** What an image has found so far. */
interface Search {
  readonly image: number;
  live: Live[];
  readonly finished: Hypothesis[];
}

/**
 * Beam search for a batch of images. At each step the `beam` likeliest continuations of an image's hypotheses stay; those
 * that chose the end are finished, the others go on, and an image is done when `beam` are finished. The best by
 * log-probability a token wins; one cut off at `maxTokens` counts only where none finished.
 *
 * `state` is what {@link Tail.begin} gave, a row an image. An image keeps its rows while it is searched, so that the
 * state is copied when it is spread to `beam` rows and when most images are done, not at every step.
 */
export async function beamSearch(
  tail: Tail,
  state: readonly Tensor[],
  images: number,
  options: BeamOptions,
): Promise<Hypothesis[]> {
  const { beam, maxTokens, width, start } = options;
  const searches = Array.from({ length: images }, (_, image): Search => {
    return { image, live: [{ tokens: [], sum: 0 }], finished: [] };
  });
  let layout = searches;
  let rows = state;
  for (let length = 1; length <= maxTokens; length++) {
    const active = layout.filter(({ live }) => live.length > 0);
    if (active.length === 0) break;
    const perImage = length === 1 ? 1 : beam;
    if ((length === 2 && beam > 1) || active.length <= layout.length / 2) {
      layout = active;
      rows = state.map((value) =>
        gatherRows(
          value,
          active.flatMap(({ image }) => Array(perImage).fill(image)),
        ),
      );
    }
    const tokens = new BigInt64Array(layout.length * perImage * length);
    const logits = await tail.logits(rows, tokenTensor(layout, perImage, length, start, tokens));
    const values = checkLogits(logits, 3, layout.length * perImage, width, 'tokens');
    layout.forEach((search, i) => {
      // Of the positions of a row only the last says what comes next; some tails give no other.
      const positions = logits.shape[1];
      const lastOf = (hypothesis: number) => ((i * perImage + hypothesis + 1) * positions - 1) * width;
      if (search.live.length > 0) step(search, values, lastOf, options);
    });
  }
  return searches.map(bestOf);
}

/** `[layout.length * perImage, length]`: rows without a hypothesis repeat the image's first, or the start. */
function tokenTensor(
  layout: readonly Search[],
  perImage: number,
  length: number,
  start: number,
  data: BigInt64Array<ArrayBuffer>,
): Tensor {
  data.fill(BigInt(start));
  layout.forEach(({ live }, i) => {
    for (let row = 0; row < perImage; row++) {
      const { tokens } = live[row] ?? live[0] ?? { tokens: [] };
      for (const [at, token] of tokens.entries()) data[(i * perImage + row) * length + at + 1] = BigInt(token);
    }
  });
  return tensor('int64', [layout.length * perImage, length], data);
}

/** Extends an image's hypotheses by a token each; `lastOf` says where in `values` the logits of one begin. */
function step(
  search: Search,
  values: Float32Array,
  lastOf: (hypothesis: number) => number,
  { beam, width, end, never }: BeamOptions,
): void {
  const candidates = search.live.flatMap(({ tokens, sum }, hypothesis) => {
    const row = values.slice(lastOf(hypothesis), lastOf(hypothesis) + width);
    for (const token of never) row[token] = Number.NEGATIVE_INFINITY;
    const norm = logSumExp(row);
    return largest(row, beam)
      .filter((token) => !never.includes(token))
      .map((token) => ({ tokens, token, sum: sum + row[token] - norm }));
  });
  candidates.sort((a, b) => b.sum - a.sum);
  search.live = [];
  for (const { tokens, token, sum } of candidates.slice(0, beam)) {
    if (token === end) search.finished.push({ tokens, score: sum / (tokens.length + 1) });
    else search.live.push({ tokens: [...tokens, token], sum });
  }
  if (search.finished.length >= beam) search.live = [];
}

function bestOf({ live, finished }: Search): Hypothesis {
  const found =
    finished.length > 0 ? finished : live.map(({ tokens, sum }) => ({ tokens, score: sum / tokens.length }));
  return found.reduce((best, next) => (next.score > best.score ? next : best));
}
