import { IsthmusError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { type BeamOptions, beamSearch } from './beam.ts';
import { bleu } from './metrics/bleu.ts';
import { ciderD } from './metrics/cider.ts';
import { paddedTokens } from './rows.ts';
import type { Metric, Tail, Task } from './task.ts';
import { idsOf, words } from './text.ts';

export interface CaptionAnswer {
  /** Words with a space between. */
  readonly caption: string;
  /** Ids of the words, without start and end. */
  readonly tokens: readonly number[];
  /** Log-probability a token, the end token counted in. */
  readonly score: number;
}

export interface CaptioningOptions {
  /** Words by id; 0 is padding, 1 starts a caption, 2 ends it, 3 stands for unknown words. */
  readonly vocabulary: readonly string[];
  /** Captions kept at each step; 1 is greedy search. 3 by default. */
  readonly beam?: number;
  /** Tokens after the start at most, 20 by default. */
  readonly maxTokens?: number;
  /** Reference captions of every image of the split; with them CIDEr-D is a metric too. */
  readonly references?: readonly (readonly string[])[];
}

const START = 1;
const END = 2;
const UNKNOWN = 3;
const NEVER_CHOSEN: BeamOptions['never'] = [0, START, UNKNOWN];

/**
 * A sentence about a picture. The tail takes int64 tokens `[rows, length]` and gives logits
 * `[rows, length, vocabulary.length]`; the truth is the picture's reference captions. Scored by corpus BLEU-4 first,
 * BLEU-1 to BLEU-3, and CIDEr-D where references are given. Throws `INVALID_ARGUMENT` for a vocabulary without words,
 * a beam or a number of tokens below 1.
 */
export function captioning(options: CaptioningOptions): Task<null, CaptionAnswer, readonly string[]> {
  const { vocabulary, beam = 3, maxTokens = 20, references } = options;
  if (vocabulary.length < 5) {
    throw new IsthmusError('INVALID_ARGUMENT', 'a caption vocabulary has pad, start, end, unknown and then words');
  }
  for (const [name, value] of Object.entries({ beam, maxTokens })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new IsthmusError('INVALID_ARGUMENT', `${name} must be a whole number of at least 1, got ${value}`);
    }
  }
  const search: BeamOptions = {
    beam,
    maxTokens,
    width: vocabulary.length,
    start: START,
    end: END,
    never: NEVER_CHOSEN,
  };
  const metrics: Metric<CaptionAnswer, readonly string[]>[] = [bleu(4), bleu(1), bleu(2), bleu(3)];
  if (references) metrics.push(ciderD(references));
  const ids = idsOf(vocabulary);
  const find = async (tail: Tail, feature: readonly Tensor[], images: number) =>
    beamSearch(tail, await tail.begin(feature), images, search);
  return {
    name: 'captioning',
    async answer(tail, feature, asks) {
      const found = await find(tail, feature, asks.length);
      return asks.map((ask, image) => {
        const { tokens, score } = found[image];
        const caption = tokens.map((id) => vocabulary[id]).join(' ');
        return ask.map(() => ({ caption, tokens, score }));
      });
    },
    async teach(tail, feature, asks) {
      const found = await find(tail, feature, asks.length);
      // The choice after the last of `maxTokens` is none.
      const rows = found.map(({ tokens }) => [START, ...tokens].slice(0, maxTokens));
      const tokens = paddedTokens(rows, Math.max(...rows.map(({ length }) => length)));
      return { images: rows.map((_, image) => image), tokens, choices: rows.map(({ length }) => length) };
    },
    lessons: (_ask, captions) =>
      captions.map((caption) => {
        const said = words(caption).map((word) => ids.get(word) ?? UNKNOWN);
        return { tokens: [START, ...said].slice(0, maxTokens), labels: [...said, END].slice(0, maxTokens) };
      }),
    metrics,
    answerBytes: ({ caption }) => new TextEncoder().encode(caption).length,
    text: ({ caption }) => caption,
    truthTexts: (captions) => [...new Set(captions)],
    credit: () => null,
    same: (a, b) => a.caption === b.caption,
  };
}
