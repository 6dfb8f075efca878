import { IsthmusError } from '../errors.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import { indexBytes } from './classification.ts';
import { type VqaTruth, vqaAccuracy } from './metrics/vqa.ts';
import { largest, logSumExp } from './rank.ts';
import { checkLogits, gatherRows, paddedTokens } from './rows.ts';
import type { Task } from './task.ts';
import { idsOf, words } from './text.ts';

export interface VqaAnswer {
  readonly answer: string;
  /** Place in the list of answers. */
  readonly index: number;
  /** Softmax of the logits. */
  readonly probability: number;
}

export interface VqaOptions {
  /** Words of questions by id; 0 is padding, 1 stands for unknown words. */
  readonly vocabulary: readonly string[];
  readonly answers: readonly string[];
  /** Words of a question that the model reads, 24 by default; later ones are not seen. */
  readonly maxTokens?: number;
  /** Types of questions to score one by one beside all together. */
  readonly types?: readonly string[];
  /** `questionCharacters` is checked. */
  readonly limits?: Partial<Limits>;
}

const UNKNOWN = 1;

/** Rows of one run: bounds the memory where many questions are asked of a picture. */
const ROWS = 64;

/**
 * A question about a picture, answered from a list. The tail takes int64 tokens `[rows, length]` padded with 0 and gives
 * logits `[rows, answers.length]`. Scored by {@link vqaAccuracy}, over all questions and for each of `types`.
 * A question without any word is read as one unknown word. `answer` throws `LIMIT_EXCEEDED` for a question longer than
 * the cap; the call itself `INVALID_ARGUMENT` for empty lists.
 */
export function vqa(options: VqaOptions): Task<string, VqaAnswer, VqaTruth> {
  const { vocabulary, answers, maxTokens = 24, types = [] } = options;
  if (vocabulary.length < 2 || answers.length === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', 'VQA needs a vocabulary with pad and unknown, and at least one answer');
  }
  if (!(Number.isInteger(maxTokens) && maxTokens >= 1)) {
    throw new IsthmusError('INVALID_ARGUMENT', `maxTokens must be a whole number of at least 1, got ${maxTokens}`);
  }
  const limits = limitsOf(options.limits);
  const ids = idsOf(vocabulary);
  const places = new Map(answers.map((answer, place) => [answer, place]));
  const bytes = indexBytes(answers.length);
  const accuracy = vqaAccuracy();

  function read(question: string): number[] {
    if (typeof question !== 'string') {
      throw new IsthmusError('INVALID_ARGUMENT', 'VQA answers a question; give it one beside the picture or packet');
    }
    within(limits, 'questionCharacters', question.length, 'characters of a question');
    const tokens = words(question).map((word) => ids.get(word) ?? UNKNOWN);
    return tokens.length > 0 ? tokens.slice(0, maxTokens) : [UNKNOWN];
  }

  const readAll = (asks: readonly (readonly string[])[]) =>
    asks.flatMap((ask, image) => ask.map((question) => ({ image, tokens: read(question) })));

  return {
    name: 'vqa',
    async answer(tail, feature, asks) {
      const questions = readAll(asks);
      const state = await tail.begin(feature);
      const found: VqaAnswer[] = [];
      for (let from = 0; from < questions.length; from += ROWS) {
        const part = questions.slice(from, from + ROWS);
        const rows = state.map((value) =>
          gatherRows(
            value,
            part.map(({ image }) => image),
          ),
        );
        const logits = await tail.logits(
          rows,
          paddedTokens(
            part.map(({ tokens }) => tokens),
            maxTokens,
          ),
        );
        const values = checkLogits(logits, 2, part.length, answers.length, 'answers');
        for (let row = 0; row < part.length; row++) found.push(mostProbable(values, row, answers));
      }
      let next = 0;
      return asks.map((ask) => ask.map(() => found[next++]));
    },
    async teach(_tail, _feature, asks) {
      const questions = readAll(asks);
      return {
        images: questions.map(({ image }) => image),
        tokens: paddedTokens(
          questions.map(({ tokens }) => tokens),
          maxTokens,
        ),
      };
    },
    lessons(question, { answers: [given] }) {
      const label = places.get(given);
      return label === undefined ? [] : [{ tokens: read(question), labels: [label] }];
    },
    metrics: [accuracy, ...types.map((type) => vqaAccuracy(type))],
    answerBytes: () => bytes,
    text: ({ answer }) => answer,
    truthTexts: ({ answers: given }) => mostCommonFirst(given),
    credit: (answer, truth) => accuracy.statistics(answer, truth)[0],
    same: (a, b) => a.index === b.index,
  };
}

function mostCommonFirst(given: readonly string[]): string[] {
  const count = (text: string) => given.filter((other) => other === text).length;
  return [...new Set(given)].sort((a, b) => count(b) - count(a));
}

function mostProbable(values: Float32Array, row: number, answers: readonly string[]): VqaAnswer {
  const start = row * answers.length;
  const end = start + answers.length;
  const [index] = largest(values, 1, start, end);
  const probability = Math.exp(values[start + index] - logSumExp(values, start, end));
  return { answer: answers[index], index, probability };
}
