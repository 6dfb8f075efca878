/** A structure that a graph repeats, as the blocks of a transformer or of a ResNet's stage. */
export interface Block {
  /** Number of the repeated structure among those of the graph, from 1. */
  readonly stage: number;
  /** Which repetition, from 1. */
  readonly index: number;
  /** How many there are. */
  readonly of: number;
  /** Where a repetition has several cuts: which of them, from 1; the last is the end of the block. */
  readonly part: number;
  readonly parts: number;
}

/** Cuts of one block at most; more is no block that anybody would name. */
const MAX_PARTS = 256;

/**
 * Finds repetitions in a sequence of signatures: `null` where an element belongs to none. Runs are taken from the front,
 * at each place the one that covers most, of shortest period. A period counts only if one of its elements has `weight`.
 */
export function findBlocks(signatures: readonly string[], hasWeight: (at: number) => boolean): (Block | null)[] {
  const blocks: (Block | null)[] = signatures.map(() => null);
  let stage = 0;
  for (let start = 0; start < signatures.length; ) {
    const { period, repeats } = longestRun(signatures, start, hasWeight);
    if (repeats < 2) {
      start++;
      continue;
    }
    stage++;
    for (let i = 0; i < period * repeats; i++) {
      const index = Math.floor(i / period) + 1;
      blocks[start + i] = { stage, index, of: repeats, part: (i % period) + 1, parts: period };
    }
    start += period * repeats;
  }
  return blocks;
}

function longestRun(signatures: readonly string[], start: number, hasWeight: (at: number) => boolean) {
  let best = { period: 0, repeats: 0 };
  let weighty = false;
  const most = Math.min(MAX_PARTS, Math.floor((signatures.length - start) / 2));
  for (let period = 1; period <= most; period++) {
    weighty ||= hasWeight(start + period - 1);
    if (!weighty) continue;
    let end = start + period;
    while (end < signatures.length && signatures[end] === signatures[end - period]) end++;
    const repeats = Math.floor((end - start) / period);
    if (repeats >= 2 && period * repeats > best.period * best.repeats) best = { period, repeats };
  }
  return best;
}
