import { IsthmusError } from '../errors.ts';

/** The words of a question or a caption, as the models know them: lower case, letters and digits, one apostrophe inside. */
export function words(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+(?:'[a-z]+)?/g) ?? [];
}

/** The ids of words: their place in the vocabulary. Throws `INVALID_ARGUMENT` for a vocabulary with a word twice. */
export function idsOf(vocabulary: readonly string[]): ReadonlyMap<string, number> {
  const ids = new Map(vocabulary.map((word, id) => [word, id]));
  if (ids.size !== vocabulary.length) {
    const twice = vocabulary.find((word, id) => ids.get(word) !== id);
    throw new IsthmusError('INVALID_ARGUMENT', `the vocabulary has '${twice}' twice; an id must mean one word`);
  }
  return ids;
}
