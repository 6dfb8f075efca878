import { distance } from 'fastest-levenshtein';

/** Up to three of `names` that are most like `name`, best first; none where more than half would have to change. */
export function nearest(name: string, names: readonly string[]): string[] {
  return names
    .map((other) => ({ other, edits: distance(name.toLowerCase(), other.toLowerCase()) }))
    .filter(({ other, edits }) => edits <= Math.max(name.length, other.length) / 2)
    .sort((a, b) => a.edits - b.edits)
    .slice(0, 3)
    .map(({ other }) => other);
}
