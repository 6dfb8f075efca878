import { newTable } from '../table.ts';
import { nameOfCut } from './cuts.ts';
import { LOSS_TARGETS, type SummaryRow } from './interpolate.ts';
import type { Point } from './point.ts';

export interface TableOptions {
  /** Borders and bold heads; false where the output is no terminal. */
  readonly styled: boolean;
  /** Names of cuts with their tensors, as a run tells them. */
  readonly cuts: Readonly<Record<string, readonly string[]>>;
}

/** Points of one task, a row each: every row with the head's share, the control "answer on the device" among them. */
export function pointsTable(points: readonly Point[], options: TableOptions): string {
  const table = newTable(
    [
      'way',
      'setting',
      'cut',
      'score [95 %]',
      'loss [95 %]',
      'bytes',
      'p50',
      'p95',
      'max',
      'ideal',
      'agree',
      'head share',
      'head ms',
      'enc ms',
      'dec ms',
      'tail ms',
    ],
    3,
    options.styled,
  );
  for (const point of points) {
    table.push([
      point.way,
      point.setting,
      point.cut === null ? '-' : nameOfCut(options.cuts, point.cut),
      `${fixed(point.score, 2)} [${fixed(point.scoreLow, 1)}, ${fixed(point.scoreHigh, 1)}]`,
      `${fixed(point.loss, 2)} [${fixed(point.lossLow, 1)}, ${fixed(point.lossHigh, 1)}]`,
      whole(point.bytes),
      whole(point.bytesP50),
      whole(point.bytesP95),
      whole(point.bytesMax),
      point.idealBytes === null ? '-' : whole(point.idealBytes),
      fixed(point.agreement, 1),
      percent(point.headShare),
      milliseconds(point.headMs),
      milliseconds(point.encodeMs),
      milliseconds(point.decodeMs),
      milliseconds(point.tailMs),
    ]);
  }
  return table.toString();
}

/** What a user asks for: bytes at a loss, and the ratio to the best picture format at that loss. */
export function summaryTable(rows: readonly SummaryRow[], options: TableOptions): string {
  const table = newTable(
    ['task', 'ladder', 'head share', ...LOSS_TARGETS.flatMap((loss) => [`bytes at ${loss}`, 'of best picture'])],
    2,
    options.styled,
  );
  for (const row of rows) {
    table.push([
      row.task,
      ladderName(row, options),
      percent(row.headShare),
      ...row.at.flatMap(({ bytes, below, ratio }) => [
        bytes !== null ? whole(bytes) : below !== null ? `< ${whole(below)}` : 'not reached',
        ratio === null ? '-' : percent(ratio),
      ]),
    ]);
  }
  return table.toString();
}

/** `klt after block 6`, or `klt at` the tensors of a cut without a name. */
function ladderName({ ladder, cut }: SummaryRow, { cuts }: TableOptions): string {
  if (cut === null) return ladder;
  const name = nameOfCut(cuts, cut);
  return name === cut ? ladder : ladder.slice(0, -`at ${cut}`.length) + name;
}

/** The line that keeps a byte count honest: what sending the answer itself costs. */
export function controlLine(points: readonly Point[]): string {
  return points
    .filter(({ way }) => way === 'device')
    .map(
      ({ task, bytes, score }) =>
        `${task}: answering on the device sends ${fixed(bytes, 1)} bytes an image at ${fixed(score, 2)} points, with a head share of 100 %`,
    )
    .join('\n');
}

function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text;
}

function whole(value: number): string {
  return String(Math.round(value));
}

function percent(share: number): string {
  const value = share * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

function milliseconds(value: number | null): string {
  if (value === null) return '-';
  return value >= 10 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2);
}
