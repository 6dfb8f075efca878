import { describe, expect, it } from 'vitest';
import { normalizeAnswer, vqaAccuracy } from '../../../src/tasks/index.ts';
import { scoreOf } from './score.ts';

const accuracy = (answer: string, answers: string[]) => scoreOf(vqaAccuracy(), [[{ answer }, { answers }]]);
const people = (matches: number, of: number) => Array.from({ length: of }, (_, i) => (i < matches ? 'red' : `no ${i}`));

describe('VQA accuracy', () => {
  it('over ten answers gives 0, 30, 60, 90 and 100 points for 0, 1, 2, 3 and more people who agree', () => {
    // The mean over the ten subsets of nine of min(matches / 3, 1), as visualqa.org's evaluation defines it.
    [0, 30, 60, 90, 100, 100].forEach((points, matches) => {
      expect(accuracy('red', people(matches, 10))).toBeCloseTo(points, 10);
    });
  });

  it('over up to four answers is the share of people who gave the answer', () => {
    for (const count of [1, 2, 3, 4]) {
      for (let matches = 0; matches <= count; matches++) {
        expect(accuracy('red', people(matches, count))).toBeCloseTo((100 * matches) / count, 10);
      }
    }
  });

  it('over six answers still asks for three who agree', () => {
    expect(accuracy('red', people(3, 6))).toBeCloseTo((100 * (3 * (2 / 3) + 3)) / 6, 10);
    expect(accuracy('red', people(4, 6))).toBeCloseTo(100, 10);
  });

  it('normalizes where people differ and compares as it is where all agree', () => {
    expect(accuracy('Two', ['2', 'two', 'the two', '3'])).toBeCloseTo(75, 10);
    expect(accuracy('none', ['0'])).toBe(0);
    expect(accuracy('none', ['none\n'])).toBe(100);
  });

  it('counts by type of question', () => {
    const pairs = [
      [{ answer: 'red' }, { answers: ['red'], type: 'colour' }],
      [{ answer: '2' }, { answers: ['3'], type: 'count' }],
      [{ answer: 'blue' }, { answers: ['red'], type: 'colour' }],
    ] as const;
    expect(scoreOf(vqaAccuracy(), pairs)).toBeCloseTo(100 / 3, 10);
    expect(scoreOf(vqaAccuracy('colour'), pairs)).toBe(50);
    expect(scoreOf(vqaAccuracy('count'), pairs)).toBe(0);
    expect(scoreOf(vqaAccuracy('other'), pairs)).toBeNaN();
    expect(vqaAccuracy('colour').name).toBe('accuracy:colour');
  });
});

describe('normalized answers', () => {
  // Outputs of processPunctuation and processDigitArticle of GT-Vision-Lab/VQA's vqaEval.py, run on Python 3.
  const cases: readonly (readonly [string, string])[] = [
    ['The Dog', 'dog'],
    ['two', '2'],
    ['none', '0'],
    ['black-and-white', 'black and white'],
    ['black - white', 'black white'],
    ['1,000 people, here', '1000 people here'],
    ['3.5', '3.5'],
    ['dr. who', 'dr who'],
    ['e.g.', 'eg'],
    ['dont', "don't"],
    ["couldnt've", "couldn't've"],
    ["couldn'tve", "couldn't've"],
    ["somebody'd", 'somebodyd'],
    ['twas', "'twas"],
    ["yall'd've", "y'all'd've"],
    ['a/b', 'b'],
    ['what?!', 'what'],
    ['[x] {y}', 'x y'],
    ['an  apple , pear', 'apple pear'],
    ['10:30', '10:30'],
    ["it's", "it's"],
    ['left,right', 'left right'],
    ['@home', 'home'],
    ['50%', '50%'],
  ];
  it.each(cases)('%s becomes %s', (answer, normal) => {
    expect(normalizeAnswer(answer)).toBe(normal);
  });
});
