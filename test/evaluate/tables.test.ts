import { describe, expect, it } from 'vitest';
import { pointsToCsv } from '../../src/evaluate/csv.ts';
import { summarize } from '../../src/evaluate/interpolate.ts';
import { POINT_KEYS, type Point } from '../../src/evaluate/point.ts';
import { controlLine, pointsTable, summaryTable } from '../../src/evaluate/tables.ts';

function point(way: Point['way'], setting: string, bytes: number, loss: number, more: Partial<Point> = {}): Point {
  return {
    task: 'classification',
    way,
    setting,
    cut: null,
    images: 200,
    score: 83.5 - loss,
    scoreLow: 78.25 - loss,
    scoreHigh: 88.125 - loss,
    loss,
    lossLow: loss - 1,
    lossHigh: loss + 1,
    bytes,
    bytesP50: bytes,
    bytesP95: bytes + 100,
    bytesMax: bytes + 200,
    idealBytes: null,
    agreement: 95,
    headShare: 0,
    headMs: null,
    encodeMs: 1.25,
    decodeMs: 0.5,
    tailMs: 15,
    ...more,
  };
}

const points = [
  point('reference', 'stored files', 21_000.5, 0),
  point('device', 'answer', 2, 0, { headShare: 1 }),
  point('jpeg', 'q=60 4:2:0', 8000, 2),
  point('jpeg', 'q=90 4:2:0', 20_000, 0.25),
  point('klt', 'step=4', 3000, 3, { cut: 'a,b', headShare: 0.5, idealBytes: 2990.125 }),
  point('klt', 'step=2', 6000, 0.6, { cut: 'a,b', headShare: 0.5, idealBytes: 5990.125 }),
];

/** A reader of CSV apart from the writer. */
function parse(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    if (quoted === undefined && plain === '' && end === '') break;
    rows[rows.length - 1].push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  return rows.filter((row) => row.length > 0);
}

describe('pointsToCsv', () => {
  it('gives every value back', () => {
    const odd = point('klt', 'say "x", y', 1, 0.1 + 0.2, { cut: 'a,b\nc', headShare: 1 / 3 });
    const [keys, ...rows] = parse(pointsToCsv([...points, odd]));
    expect(keys).toEqual([...POINT_KEYS]);
    expect(rows).toHaveLength(points.length + 1);
    for (const [i, each] of [...points, odd].entries()) {
      const back = rows[i].map((text, k) => {
        const value = each[POINT_KEYS[k]];
        return value === null ? (text === '' ? null : text) : typeof value === 'number' ? Number(text) : text;
      });
      expect(back).toEqual(POINT_KEYS.map((key) => each[key]));
    }
  });
});

describe('tables', () => {
  const cuts = { 'after block 1': ['a', 'b'] };

  it('show the head share of every point and the control', () => {
    const text = pointsTable(points, { styled: false, cuts });
    const lines = text.split('\n');
    expect(lines).toHaveLength(points.length + 1);
    expect(lines[0]).toContain('head share');
    expect(lines[2]).toMatch(/device +answer.*100 %/);
    expect(lines[5]).toMatch(
      /klt +step=4 +after block 1 +80\.50 \[75\.3, 85\.1\] +3\.00 \[2\.0, 4\.0\] +3000 .* 2990 .* 50 %/,
    );
    expect(controlLine(points)).toContain('2.0 bytes an image at 83.50 points, with a head share of 100 %');
  });

  it('are plain where piped and drawn on a terminal', () => {
    const ansi = String.fromCharCode(27);
    expect(pointsTable(points, { styled: false, cuts })).not.toMatch(new RegExp(`[│─${ansi}]`));
    expect(pointsTable(points, { styled: true, cuts })).toMatch(/[│─]/);
  });

  it('say where a ladder does not reach', () => {
    const text = summaryTable(summarize(points), { styled: false, cuts });
    const jpeg = text.split('\n').find((line) => line.includes('jpeg 4:2:0')) ?? '';
    expect(jpeg).toMatch(/not reached +- +\d+ +100 % +\d+ +100 %/);
    const klt = text.split('\n').find((line) => line.includes('klt after block 1')) ?? '';
    expect(klt).toMatch(/50 % +not reached +- +not reached +- +\d+ +\d+ %/);
  });
});
