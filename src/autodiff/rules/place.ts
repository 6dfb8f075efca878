import type { Backward } from '../backward.ts';

/**
 * The part in a tensor of zeros of these lengths, beginning at these positions, all int64. A part that reaches beyond
 * (a negative beginning, say) is cropped.
 */
export function place(g: Backward, part: string, lengths: string, begins: string): string {
  const size = g.emit('Shape', [part], {}, 'int64');
  const after = g.sub(g.sub(lengths, begins), size);
  return g.emit('Pad', [part, g.concatInts([begins, after])]);
}
