import type { Bed } from './bed.ts';
import type { Evidence, Finding } from './evidence.ts';
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
  /** What stands behind each of the points. */
  readonly evidence: Evidence[];
  /** Of the tasks that were begun. */
  readonly beds: Bed[];
  readonly bad: BadInput[];
  readonly notes: string[];
  /** Images looked at, bad ones among them. */
  images: number;
  encoders: Readonly<Record<string, string>>;
  trainingImages: number;
  readonly metric: Record<string, string>;
  readonly batch: Record<string, number>;
  readonly reference: Record<string, Readonly<Record<string, number>>>;
  finding(finding: Finding): void;
  skip(bad: BadInput): void;
  note(text: string): void;
}

export function newLog({ onPoint, onBad, onNote }: Listeners): Log {
  return {
    points: [],
    evidence: [],
    beds: [],
    bad: [],
    notes: [],
    images: 0,
    encoders: {},
    trainingImages: 0,
    metric: {},
    batch: {},
    reference: {},
    finding({ point, evidence }) {
      this.points.push(point);
      this.evidence.push(evidence);
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
