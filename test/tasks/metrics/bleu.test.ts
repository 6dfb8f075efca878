import { describe, expect, it } from 'vitest';
import { bleu } from '../../../src/tasks/index.ts';
import { CAPTIONS } from './captions.ts';
import { scoreOf } from './score.ts';

const GUIDE = [
  'It is a guide to action that ensures that the military will forever heed Party commands',
  'It is the guiding principle which guarantees the military forces always being under the command of the Party',
  'It is the practical guide for the army always to heed the directions of the party',
];

describe('BLEU', () => {
  it("counts as the examples of Papineni et al. 2002, section 2 ('the the the' is 2/7, bigrams 10/17 and 1/13)", () => {
    const the = bleu(1).statistics({ caption: 'the the the the the the the' }, [
      'The cat is on the mat',
      'There is a cat on the mat',
    ]);
    expect([...the]).toEqual([2, 7, 7, 7]);
    const first = bleu(2).statistics(
      { caption: 'It is a guide to action which ensures that the military always obeys the commands of the party' },
      GUIDE,
    );
    expect([...first].slice(0, 4)).toEqual([17, 10, 18, 17]);
    const second = bleu(2).statistics(
      { caption: 'It is to insure the troops forever hearing the activity guidebook that party direct' },
      GUIDE,
    );
    expect([...second].slice(0, 4)).toEqual([8, 1, 14, 13]);
  });

  it("gives the corpus score of NLTK's documentation (corpus_bleu, 0.5920)", () => {
    const score = scoreOf(bleu(4), [
      [
        { caption: 'It is a guide to action which ensures that the military always obeys the commands of the party' },
        GUIDE,
      ],
      [
        { caption: 'he read the book because he was interested in world history' },
        ['he was interested in world history because he read the book'],
      ],
    ]);
    expect(score).toBeCloseTo(59.207788688010424, 9);
  });

  it('agrees with NLTK 3.8 corpus_bleu on captions of uneven lengths', () => {
    // Of a caption of one word NLTK counts one run of two words, which Papineni et al. do not: it is left out.
    const long = CAPTIONS.filter(({ caption }) => caption.includes(' '));
    const pairs = long.map(({ caption, references }) => [{ caption }, references] as const);
    const expected = [90.32258064516128, 81.79585276327404, 66.25900517217832, 41.8314368206958];
    const orders = [1, 2, 3, 4] as const;
    orders.forEach((order, i) => {
      expect(scoreOf(bleu(order), pairs)).toBeCloseTo(expected[i], 9);
    });
  });

  it('takes the closest reference length, the shorter on a tie, and shortens scores below it', () => {
    const references = ['one two three four five', 'one two three', 'one'];
    expect(bleu(1).statistics({ caption: 'one two three four' }, references)[3]).toBe(3);
    const score = scoreOf(bleu(1), [[{ caption: 'one two' }, ['one two three four']]]);
    expect(score).toBeCloseTo(100 * Math.exp(1 - 4 / 2), 12);
  });

  it('gives 0 where nothing of a length matches, and where there are no words', () => {
    expect(scoreOf(bleu(4), [[{ caption: 'one two three' }, ['one two three']]])).toBe(0);
    expect(scoreOf(bleu(1), [[{ caption: '' }, ['one']]])).toBe(0);
  });
});
