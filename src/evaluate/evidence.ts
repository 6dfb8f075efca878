import type { ByteItem } from '../codec/index.ts';
import type { Bed } from './bed.ts';
import type { Measured } from './measure.ts';
import type { Point } from './point.ts';

/** One answer as people read it, and what it is worth. */
export interface ShownAnswer {
  readonly text: string;
  /** Whether it says what the uncut model says. */
  readonly same: boolean;
  /** Share of the full credit, 0 to 1; null where one answer alone has no score (captions). */
  readonly credit: number | null;
}

/** What stands behind a point: for whoever wants to see more of it than means. */
export interface Evidence {
  /** For every image, in the order of the run, the answers to all that is asked of it. */
  readonly answers: readonly (readonly ShownAnswer[])[];
  /** Bytes that were sent for every image. */
  readonly sizes: readonly number[];
  /** What the bytes of a packet go to, the mean over the first images; empty where that is not known. */
  readonly spent: readonly ByteItem[];
}

/** A point with what stands behind it. */
export interface Finding {
  readonly point: Point;
  readonly evidence: Evidence;
}

/** The evidence of what a way answered and sent on a bed. */
export function evidenceOf(
  { task, inputs, answers: reference }: Bed,
  { answers, sizes, spent = [] }: Pick<Measured, 'answers' | 'sizes'> & Partial<Pick<Measured, 'spent'>>,
): Evidence {
  return {
    answers: inputs.map(({ truths }, i) =>
      answers[i].map((answer, j) => ({
        text: task.text(answer),
        same: task.same(answer, reference[i][j]),
        credit: task.credit(answer, truths[j]),
      })),
    ),
    sizes,
    spent,
  };
}

/** Item by item the mean over packets of one codec, which are all made of the same items. */
export function meanItems(packets: readonly (readonly ByteItem[])[]): ByteItem[] {
  const [first = []] = packets;
  return first.map(({ what }, i) => ({
    what,
    bytes: packets.reduce((sum, items) => sum + items[i].bytes, 0) / packets.length,
  }));
}
