import { POINT_KEYS, type Point } from './point.ts';

/** Points as CSV (RFC 4180): a line of keys, then a line a point; null is an empty field. */
export function pointsToCsv(points: readonly Point[]): string {
  const lines = points.map((point) => POINT_KEYS.map((key) => field(point[key])).join(','));
  return [POINT_KEYS.join(','), ...lines, ''].join('\r\n');
}

function field(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
