import { describe, expect, it } from 'vitest';
import { words } from '../../src/tasks/index.ts';
import { idsOf } from '../../src/tasks/text.ts';

describe('words', () => {
  it('are lower case, with digits and one apostrophe inside', () => {
    expect(words("What's the Batter's no. 42-b?")).toEqual(["what's", 'the', "batter's", 'no', '42', 'b']);
    expect(words("rock'n'roll 'quoted' 5'9")).toEqual(["rock'n", 'roll', 'quoted', '5', '9']);
    expect(words(' …!? ')).toEqual([]);
  });

  it('have ids by their place, each once', () => {
    expect(idsOf(['<pad>', 'a', 'b']).get('b')).toBe(2);
    expect(() => idsOf(['a', 'b', 'a'])).toThrow(/'a' twice/);
  });
});
