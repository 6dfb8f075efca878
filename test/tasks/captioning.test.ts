import { describe, expect, it } from 'vitest';
import { captioning } from '../../src/tasks/index.ts';
import { fakeTail, featureOf } from './fake-tail.ts';
import { generator } from './tiny-graphs.ts';

const vocabulary = ['<pad>', '<start>', '<end>', '<unk>', 'a', 'b', 'c', 'd'];
const [END, NEVER] = [2, [0, 1, 3]];

/** Logits that depend on the image and all tokens so far, as those of a decoder do. */
function logitsOf(feature: number, tokens: readonly number[]): number[] {
  const random = generator(tokens.reduce((hash, token) => hash * 31 + token, feature * 7919 + 17));
  return vocabulary.map((_, id) => random() * 4 + (id === END ? tokens.length - 3 : 0));
}

/** Log-probabilities among the tokens that may be chosen. */
function logProbabilities(feature: number, tokens: readonly number[]): number[] {
  const logits = logitsOf(feature, tokens).map((value, id) => (NEVER.includes(id) ? -Infinity : Math.fround(value)));
  const norm = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
  return logits.map((value) => value - norm);
}

/** Beam search for one image, word for word as the README of the photos describes it. */
function expected(feature: number, beam: number, maxTokens: number) {
  let live: { tokens: number[]; sum: number }[] = [{ tokens: [1], sum: 0 }];
  const finished: { tokens: number[]; score: number }[] = [];
  for (let step = 0; step < maxTokens && live.length > 0 && finished.length < beam; step++) {
    const all = live.flatMap(({ tokens, sum }) =>
      logProbabilities(feature, tokens).map((value, id) => ({ tokens: [...tokens, id], sum: sum + value })),
    );
    const best = all.sort((a, b) => b.sum - a.sum).slice(0, beam);
    for (const { tokens, sum } of best) {
      if (tokens.at(-1) === END) finished.push({ tokens: tokens.slice(1, -1), score: sum / (tokens.length - 1) });
    }
    live = best.filter(({ tokens }) => tokens.at(-1) !== END);
  }
  const cut = live.map(({ tokens, sum }) => ({ tokens: tokens.slice(1), score: sum / (tokens.length - 1) }));
  return (finished.length > 0 ? finished : cut).sort((a, b) => b.score - a.score)[0];
}

describe('captioning', () => {
  const images = Array.from({ length: 23 }, (_, i) => i);
  const asks = images.map(() => [null]);

  it.each([1, 2, 3, 5])('finds with a beam of %i what a search image by image finds', async (beam) => {
    for (const maxTokens of [1, 4, 20]) {
      const tail = fakeTail(logitsOf, true);
      const task = captioning({ vocabulary, beam, maxTokens });
      const answers = await task.answer(tail, [featureOf(images)], asks);
      images.forEach((image) => {
        const { tokens, score } = expected(image, beam, maxTokens);
        expect(answers[image][0].tokens).toEqual(tokens);
        expect(answers[image][0].score).toBeCloseTo(score, 9);
        expect(answers[image][0].caption).toBe(tokens.map((id) => vocabulary[id]).join(' '));
      });
      expect(tail.seen.tokens.every((tokens) => tokens[0] === 1n && tokens.length <= maxTokens)).toBe(true);
    }
  });

  it('with a beam of one takes the likeliest token at each step', async () => {
    const [[{ tokens }]] = await captioning({ vocabulary, beam: 1 }).answer(
      fakeTail(logitsOf, true),
      [featureOf([5])],
      [[null]],
    );
    const greedy = [1];
    while (greedy.length <= 20) {
      const values = logProbabilities(5, greedy);
      greedy.push(values.indexOf(Math.max(...values)));
      if (greedy.at(-1) === END) break;
    }
    expect([...tokens, END]).toEqual(greedy.slice(1));
  });

  it('runs fewer rows when images are done', async () => {
    // Image i ends after i + 1 words.
    const tail = fakeTail(
      (feature, tokens) => vocabulary.map((_, id) => ((id === END) === tokens.length > feature ? 9 : 0)),
      true,
    );
    const answers = await captioning({ vocabulary, beam: 1 }).answer(tail, [featureOf([0, 1, 2, 9])], asks.slice(0, 4));
    expect(answers.map(([{ tokens }]) => tokens.length)).toEqual([0, 1, 2, 9]);
    expect(tail.seen.rows[0]).toBe(4);
    expect(tail.seen.rows.at(-1)).toBe(1);
  });

  it('never chooses pad, start and unknown, whatever their logits', async () => {
    const tail = fakeTail((_, tokens) => [9, 9, tokens.length > 3 ? 1 : 0, 9, 0.5, 0, 0, 0], true);
    const [[{ caption, score }]] = await captioning({ vocabulary, beam: 1 }).answer(tail, [featureOf([0])], [[null]]);
    expect(caption).toBe('a a a');
    expect(score).toBeGreaterThan(Math.log(1 / 5));
  });

  it('gives as many answers as asks, none for no images', async () => {
    const task = captioning({ vocabulary });
    expect(await task.answer(fakeTail(logitsOf, true), [featureOf([])], [])).toEqual([]);
    const answers = await task.answer(fakeTail(logitsOf, true), [featureOf([1, 2])], [[], [null, null]]);
    expect(answers.map((each) => each.length)).toEqual([0, 2]);
  });

  it('costs the bytes of its text, and is scored by BLEU, and by CIDEr-D where references are given', () => {
    const task = captioning({ vocabulary });
    expect(task.answerBytes({ caption: 'à la', tokens: [], score: 0 })).toBe(5);
    expect(task.text({ caption: 'à la', tokens: [], score: 0 })).toBe('à la');
    expect(task.truthTexts(['b', 'a', 'b'])).toEqual(['b', 'a']);
    expect(task.credit({ caption: 'a', tokens: [], score: 0 }, ['a'])).toBeNull();
    expect(task.metrics.map(({ name }) => name)).toEqual(['bleu4', 'bleu1', 'bleu2', 'bleu3']);
    expect(captioning({ vocabulary, references: [['a']] }).metrics.at(-1)?.name).toBe('ciderD');
  });

  it('refuses a beam below one, a vocabulary without words and a model of other words', async () => {
    expect(() => captioning({ vocabulary, beam: 0 })).toThrow(/beam must be/);
    expect(() => captioning({ vocabulary, maxTokens: 1.5 })).toThrow(/maxTokens must be/);
    expect(() => captioning({ vocabulary: vocabulary.slice(0, 4) })).toThrow(/vocabulary/);
    const other = captioning({ vocabulary: [...vocabulary, 'e'] });
    await expect(other.answer(fakeTail(logitsOf, true), [featureOf([1])], [[null]])).rejects.toMatchObject({
      code: 'TENSOR_INVALID',
      message: expect.stringContaining('9 tokens'),
    });
  });
});
