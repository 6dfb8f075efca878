import { newTable } from '../table.ts';
import { LOSS_TARGETS, type SummaryRow } from './interpolate.ts';
import type { Point } from './point.ts';

export interface TableOptions {
  /** Borders and bold heads; false where the output is no terminal. */
  readonly styled: boolean;
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
      point.cut ?? '-',
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
      row.ladder,
      percent(row.headShare),
      ...row.at.flatMap(({ bytes, below, ratio }) => [
        bytes !== null ? whole(bytes) : below !== null ? `< ${whole(below)}` : 'not reached',
        ratio === null ? '-' : percent(ratio),
      ]),
    ]);
  }
  return table.toString();
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
