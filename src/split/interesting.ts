import type { Cut } from './cuts.ts';

/**
 * Features of more bytes than this times the raw inputs are not worth sending. Above 1, because a codec spends far fewer
 * bits on a number of a feature than its type has: the ends of a ResNet's stages, where people do cut, lie between 0.7 and 5.3.
 */
const MOST_BYTES = 8;

/** A cut as this choice sees it. */
export interface Choice extends Cut {
  /** Raw bytes of the head's inputs; infinite where they are not known. */
  readonly inputBytes: number;
  /** Whether the last operator before the cut only changes layout or type. */
  readonly layout: boolean;
}

/**
 * The cuts that somebody would choose, in the order given. Of neighbours between which nothing is multiplied, the one
 * of fewest bytes stays (among equals the last that is not a mere change of layout), and the end of a block. Cuts with
 * more than eight times the bytes of the head's inputs, and those that leave one side nothing to multiply, go unless no other
 * is left. Sets of several tensors stay only if no cut of as few bytes, tensors and multiply-accumulates in the head is
 * there.
 */
export function interesting<C extends Choice>(cuts: readonly C[]): C[] {
  const single = cuts.filter((cut) => cut.tensors.length === 1);
  const kept = useful(groups(single).flatMap(best));
  const several = useful(cuts.filter((cut) => cut.tensors.length > 1));
  const front = several.filter((cut, at) => {
    const better = (other: C, i: number) => i !== at && beats(other, cut) && (i > at || !beats(cut, other));
    return !kept.some((other) => beats(other, cut)) && !several.some(better);
  });
  const chosen = new Set([...kept, ...front]);
  return cuts.filter((cut) => chosen.has(cut));
}

function useful<C extends Choice>(cuts: readonly C[]): C[] {
  const filters: ((cut: C) => boolean)[] = [
    (cut) => cut.bytes <= MOST_BYTES * cut.inputBytes,
    (cut) => cut.headMacs > 0,
    (cut) => cut.tailMacs > 0,
  ];
  let left = [...cuts];
  for (const filter of filters) {
    const next = left.filter(filter);
    if (next.length > 0) left = next;
  }
  return left;
}

/** Runs of cuts, each in the next one's head, between which nothing is multiplied. */
function groups<C extends Choice>(cuts: readonly C[]): C[][] {
  const byHead = new Map<string, C[]>();
  for (const cut of cuts) {
    const key = `${cut.headMacs} ${JSON.stringify(cut.headInputs)}`;
    const group = byHead.get(key);
    if (group) group.push(cut);
    else byHead.set(key, [cut]);
  }
  return [...byHead.values()];
}

function best<C extends Choice>(group: readonly C[]): C[] {
  const ends = group.filter((cut) => cut.block && cut.block.part === cut.block.parts);
  const least = Math.min(...group.map((cut) => cut.bytes));
  if (ends.some((cut) => cut.bytes === least)) return ends;
  const smallest = group.filter((cut) => cut.bytes === least);
  return [...ends, smallest.findLast((cut) => !cut.layout) ?? smallest[smallest.length - 1]];
}

/** Whether nobody would take `other` who can have `cut`. */
function beats(cut: Cut, other: Cut): boolean {
  return (
    cut.bytes <= other.bytes &&
    cut.headMacs <= other.headMacs &&
    cut.tensors.length <= other.tensors.length &&
    cut.headInputs.join('\n') === other.headInputs.join('\n')
  );
}
