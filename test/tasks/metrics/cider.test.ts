import { describe, expect, it } from 'vitest';
import { ciderD } from '../../../src/tasks/index.ts';
import { CAPTIONS } from './captions.ts';
import { scoreOf } from './score.ts';

describe('CIDEr-D', () => {
  // The authors' code (vrama91/cider, pyciderevalcap/ciderD/ciderD_scorer.py, df_mode 'corpus'), run on Python 3.
  const expected = [309.3603716659861, 339.38311722190065, 294.20066068637783, 0, 172.7040459930609];
  const metric = ciderD(CAPTIONS.map(({ references }) => references));

  it("agrees with the authors' code, caption by caption and over all", () => {
    CAPTIONS.forEach(({ caption, references }, i) => {
      expect(scoreOf(metric, [[{ caption }, references]])).toBeCloseTo(expected[i], 9);
    });
    const all = CAPTIONS.map(({ caption, references }) => [{ caption }, references] as const);
    expect(scoreOf(metric, all)).toBeCloseTo(223.1296391134651, 9);
  });

  it('gives 0 for a caption without words, and where a single document makes every word common', () => {
    expect(scoreOf(metric, [[{ caption: '' }, CAPTIONS[0].references]])).toBe(0);
    expect(scoreOf(ciderD([['a dog']]), [[{ caption: 'a dog' }, ['a dog']]])).toBe(0);
  });
});
