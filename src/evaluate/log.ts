import type { BadInput } from './inputs.ts';
import type { Point } from './point.ts';

/** Whom a run tells what it meets. */
export interface Listeners {
  readonly onPoint?: (point: Point) => void;
  /** Called for every image that is skipped. */
  readonly onBad?: (bad: BadInput) => void;
  /** Called with what a reader of the results has to know, such as a way that was left out. */
  readonly onNote?: (note: string) => void;
}

/** What a run leaves behind as it goes. */
export interface Log {
  readonly points: Point[];
  readonly bad: BadInput[];
  readonly notes: string[];
  /** Images looked at, bad ones among them. */
  images: number;
  encoders: Readonly<Record<string, string>>;
  trainingImages: number;
  readonly metric: Record<string, string>;
  readonly batch: Record<string, number>;
  readonly reference: Record<string, Readonly<Record<string, number>>>;
  point(point: Point): void;
  skip(bad: BadInput): void;
  note(text: string): void;
}

export function newLog({ onPoint, onBad, onNote }: Listeners): Log {
  return {
    points: [],
    bad: [],
    notes: [],
    images: 0,
    encoders: {},
    trainingImages: 0,
    metric: {},
    batch: {},
    reference: {},
    point(point) {
      this.points.push(point);
      onPoint?.(point);
    },
    skip(bad) {
      this.bad.push(bad);
      onBad?.(bad);
    },
    note(text) {
      if (this.notes.includes(text)) return;
      this.notes.push(text);
      onNote?.(text);
    },
  };
}
