import { nameOfCut } from '../cuts.ts';
import { WORKING_LOSS } from '../interpolate.ts';
import { ladderOf, PICTURE_WAYS, type Point, type Way } from '../point.ts';
import type { BenchDocument } from './document.ts';

/** A point and its place among the points of the run. */
export interface Placed {
  readonly at: number;
  readonly point: Point;
}

/** The points of one way, variant and cut of a task, from the fewest bytes to the most. */
export interface LadderView {
  /** Unique within a task. */
  readonly name: string;
  /** Way and variant without the cut: `jpeg 4:2:0`. */
  readonly label: string;
  readonly way: Way;
  readonly look: Look;
  readonly cut: string | null;
  readonly rungs: readonly Placed[];
}

/** How a ladder is drawn: told apart by its mark and its line, not by colour alone. */
export interface Look {
  /** A CSS variable of the page, which light and dark set apart. */
  readonly colour: string;
  /** A symbol of Vega, or an SVG path within a square of 2 around 0. */
  readonly shape: string;
  readonly filled: boolean;
  /** Lengths of dashes and gaps; empty for a whole line. */
  readonly dash: readonly number[];
}

const STAR = 'M0,-1.1L0.26,-0.36L1.05,-0.34L0.42,0.14L0.65,0.89L0,0.44L-0.65,0.89L-0.42,0.14L-1.05,-0.34L-0.26,-0.36Z';

const LOOKS: Readonly<Record<Way, Look>> = {
  reference: look('reference', 'stroke'),
  device: look('reference', 'triangle-left'),
  png: look('png', 'square'),
  jpeg: look('jpeg', 'circle'),
  webp: look('webp', 'triangle-up'),
  avif: look('avif', 'triangle-down'),
  'raw-f32': look('raw', 'triangle-right'),
  'raw-f16': look('raw', 'triangle-right', { filled: false }),
  'int8-deflate': look('int8', 'cross'),
  klt: look('klt', 'diamond'),
  'klt-task': look('klt-task', 'diamond', { filled: false, dash: [6, 3] }),
  learned: look('learned', STAR),
};

function look(colour: string, shape: string, more: Partial<Look> = {}): Look {
  return { colour: `var(--way-${colour})`, shape, filled: true, dash: [], ...more };
}

/** What a variant changes of a way's look: pictures with full chroma are hollow on a dashed line. */
function lookOf(way: Way, variant: string): Look {
  return variant === '4:4:4' ? { ...LOOKS[way], filled: false, dash: [5, 3] } : LOOKS[way];
}

/** The ladders of a task in the order of their first points, the reference and the control among them. */
export function laddersOf({ points }: Pick<BenchDocument, 'points'>, task: string): LadderView[] {
  const ladders = new Map<string, Placed[]>();
  for (const [at, point] of points.entries()) {
    if (point.task !== task) continue;
    const name = ladderOf(point);
    ladders.set(name, [...(ladders.get(name) ?? []), { at, point }]);
  }
  return [...ladders].map(([name, rungs]) => {
    const { way, cut, setting } = rungs[0].point;
    const variant = setting.split(' ').slice(1).join(' ');
    return {
      name,
      label: variant === '' || variant === '(file)' || isControl(way) ? way : `${way} ${variant}`,
      way,
      look: lookOf(way, variant),
      cut,
      rungs: rungs.sort((a, b) => a.point.bytes - b.point.bytes),
    };
  });
}

/** Whether a way is what others are compared with: the uncut model, and the answer on the device. */
export function isControl(way: Way): boolean {
  return way === 'reference' || way === 'device';
}

export function isPicture(way: Way): boolean {
  return PICTURE_WAYS.includes(way);
}

/** The rung that stands for a ladder: the cheapest that loses at most {@link WORKING_LOSS}, else the one that loses least. */
export function workingRung({ rungs }: Pick<LadderView, 'rungs'>): Placed {
  const good = rungs.find(({ point }) => point.loss <= WORKING_LOSS);
  return good ?? rungs.reduce((best, rung) => (rung.point.loss < best.point.loss ? rung : best));
}

const TASK_NAMES: Readonly<Record<string, string>> = {
  classification: 'Classification',
  captioning: 'Captioning',
  vqa: 'Questions and answers',
};

/** A task as a title. */
export function taskName(task: string): string {
  return TASK_NAMES[task] ?? task;
}

/** The suite's name for a cut of a point. */
export function cutName({ run }: Pick<BenchDocument, 'run'>, cut: string): string {
  return nameOfCut(run.cuts, cut);
}

/** The cuts of ladders, in order, each once. */
export function cutsOf(ladders: readonly LadderView[]): string[] {
  return [...new Set(ladders.flatMap(({ cut }) => (cut === null ? [] : [cut])))];
}
