import type { TopLevelSpec } from 'vega-lite';
import type { RunInfo } from '../bench.ts';
import { WORKING_LOSS } from '../interpolate.ts';
import { median } from '../measure.ts';
import type { Point } from '../point.ts';
import { isControl, type LadderView } from './ladders.ts';
import { byteCount, bytesText, intervalText, percentText } from './numbers.ts';

type Layer = Extract<TopLevelSpec, { layer: unknown }>['layer'][number];

/** Size of a chart in CSS pixels, axes and all. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

/** What charts beside each other share, so that they can be compared. */
export interface Domains {
  /** Bytes. */
  readonly x: readonly [number, number];
  /** Points of 100. */
  readonly y: readonly [number, number];
}

/** Below this share of the fewest bytes of any other way, the control stands at the edge instead of stretching the axis. */
const FAR_BELOW = 0.5;

/** The domains in which all points of some ladders lie, the control where it is not far off. */
export function domainsOf(ladders: readonly LadderView[], reference: number): Domains {
  const all = (keep: (ladder: LadderView) => boolean) =>
    ladders.filter(keep).flatMap(({ rungs }) => rungs.map(({ point }) => point));
  const sent = all(({ way }) => !isControl(way));
  const bytes = (sent.length > 0 ? sent : all(() => true)).map((point) => point.bytes);
  const fewest = Math.min(...bytes);
  const near = all(({ way }) => way === 'device').filter((point) => point.bytes >= fewest * FAR_BELOW);
  const scores = [reference, ...sent.map(({ score }) => score)];
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  // Room for the intervals of points at the edges, as far as they leave the points apart, and for one point of loss.
  const half = median(sent.map(({ lossLow, lossHigh }) => (lossHigh - lossLow) / 2));
  const room = Math.max((high - low) * 0.12, Math.min(half, (high - low) / 2) || 0, 1.5);
  return {
    x: [Math.min(fewest, ...near.map((point) => point.bytes)) / 1.25, Math.max(...bytes) * 1.25],
    y: [Math.max(0, low - room), Math.min(100, high + room)],
  };
}

/**
 * Score against bytes: a line and marks a ladder with the interval of the paired loss around the reference, the reference as a
 * dotted line above a band of {@link WORKING_LOSS}, and the control.
 */
export function scoreChart(
  ladders: readonly LadderView[],
  { score, metric }: { readonly score: number; readonly metric: string },
  domains: Domains,
  size: ChartSize,
  name: (point: Point) => string,
): TopLevelSpec {
  const [low, high] = domains.y;
  const clamp = (value: number) => Math.min(high, Math.max(low, value));
  const y = {
    field: 'score',
    type: 'quantitative',
    scale: { domain: [low, high] as number[], zero: false, nice: false },
    axis: { ...AXIS_TITLE, title: `${metric} of 100, uncut ${score.toFixed(1)}` },
  } as const;
  const band: Layer = {
    data: { values: [{ score: clamp(score - WORKING_LOSS), top: score }] },
    mark: { type: 'rect', color: 'var(--band)' },
    encoding: { y, y2: { field: 'top' } },
  };
  const reference: Layer = {
    data: { values: [{ score }] },
    mark: { type: 'rule', color: 'var(--way-reference)', strokeDash: [2, 3], strokeWidth: 1.5 },
    encoding: { y },
  };
  const layers = ladders.flatMap((ladder, i) => {
    if (ladder.way === 'reference' || ladder.rungs.length === 0) return [];
    const values = ladder.rungs.map(({ point }) => ({
      bytes: Math.max(point.bytes, domains.x[0]),
      score: point.score,
      // The loss is paired, so its interval is that of what the way itself changes.
      low: clamp(score - point.lossHigh),
      high: clamp(score - point.lossLow),
      text: describe(point, name(point)),
    }));
    return ladderLayers(ladder, i, { values, x: bytesAxis(domains), y });
  });
  return chart([band, reference, ...layers], size);
}

/** The head's share of the multiply-accumulates against bytes; hollow marks lose more than {@link WORKING_LOSS}. */
export function shareChart(
  ladders: readonly LadderView[],
  domains: Domains,
  size: ChartSize,
  name: (point: Point) => string,
): TopLevelSpec {
  const y = {
    field: 'share',
    type: 'quantitative',
    scale: { domain: [-4, 104] as number[], nice: false },
    axis: { ...AXIS_TITLE, title: 'head’s share of the work (%)', values: [0, 25, 50, 75, 100] as number[] },
  } as const;
  const layers = ladders.flatMap(({ way, look, rungs }, i): Layer[] => {
    if (way === 'reference') return [];
    const values = rungs.map(({ point }) => ({
      bytes: Math.max(point.bytes, domains.x[0]),
      share: point.headShare * 100,
      kept: point.loss <= WORKING_LOSS,
      text: describe(point, name(point)),
    }));
    const marks = (kept: boolean): Layer => ({
      name: `l${i}_${kept ? 'kept' : 'lost'}`,
      data: { values: values.filter((value) => value.kept === kept) },
      mark: { ...markOf(look.shape), fill: kept ? look.colour : 'var(--page)', stroke: look.colour },
      encoding: { x: bytesAxis(domains), y, description: { field: 'text' } },
    });
    return [marks(false), marks(true)];
  });
  return chart(layers, size);
}

/** What a mark tells: the exact values, parts apart by a middle dot. */
export function describe(point: Point, name: string): string {
  return [
    name,
    `${byteCount(point.bytes)} an image (p95 ${bytesText(point.bytesP95)})`,
    `score ${intervalText(point.score, point.scoreLow, point.scoreHigh)}`,
    `loss ${intervalText(point.loss, point.lossLow, point.lossHigh)}`,
    `head’s share ${percentText(point.headShare)}`,
  ].join(' · ');
}

/** The uncut model's score of a task by the metric that losses are told in. */
export function referenceScore(run: Pick<RunInfo, 'reference' | 'metric'>, task: string): number {
  return run.reference[task][run.metric[task]];
}

function ladderLayers(
  { way, look, rungs }: LadderView,
  i: number,
  { values, x, y }: { readonly values: object[]; readonly x: object; readonly y: object },
): Layer[] {
  const encoding = { x, y } as const;
  const line: Layer = {
    name: `l${i}_line`,
    data: { values },
    mark: { type: 'line', color: look.colour, strokeWidth: 1.75, strokeDash: [...look.dash], opacity: 0.85 },
    encoding,
  };
  const intervals: Layer = {
    name: `l${i}_interval`,
    data: { values },
    mark: { type: 'rule', color: look.colour, strokeWidth: 1.25, opacity: 0.5 },
    encoding: { ...encoding, y: { ...y, field: 'low' }, y2: { field: 'high' } },
  };
  const marks: Layer = {
    name: `l${i}_points`,
    data: { values },
    mark: { ...markOf(look.shape), fill: look.filled ? look.colour : 'var(--page)', stroke: look.colour },
    encoding: { ...encoding, description: { field: 'text' } },
  };
  if (isControl(way)) return [marks];
  return rungs.length > 1 ? [line, intervals, marks] : [intervals, marks];
}

const markOf = (shape: string) => ({ type: 'point', shape, size: 64, strokeWidth: 1.5, opacity: 1 }) as const;

/** A title that lies above the axis, where a phone has room for it. */
const AXIS_TITLE = { titleAngle: 0, titleAlign: 'left', titleAnchor: 'start', titleX: 0, titleY: -12 } as const;

function bytesAxis({ x: [from, to] }: Domains) {
  return {
    field: 'bytes',
    type: 'quantitative',
    scale: { type: 'log', domain: [from, to] as number[], nice: false },
    axis: { title: 'bytes an image (log)', values: ticks(from, to), format: '~s', labelOverlap: true },
  } as const;
}

/** 1, 2, 5, 10, 20 … within a range. */
function ticks(from: number, to: number): number[] {
  const decades = Array.from({ length: Math.ceil(Math.log10(to)) + 1 }, (_, decade) => 10 ** decade);
  return decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]).filter((tick) => tick >= from && tick <= to);
}

function chart(layer: Layer[], { width, height }: ChartSize): TopLevelSpec {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width,
    height,
    autosize: { type: 'fit', contains: 'padding' },
    padding: { left: 2, right: 10, top: 18, bottom: 2 },
    background: 'transparent',
    layer,
    config: {
      font: 'system-ui, sans-serif',
      view: { stroke: null },
      text: { fontSize: 12 },
      axis: {
        labelColor: 'var(--muted)',
        titleColor: 'var(--muted)',
        gridColor: 'var(--grid)',
        domainColor: 'var(--line)',
        tickColor: 'var(--line)',
        labelFontSize: 12,
        titleFontSize: 12,
        titleFontWeight: 'normal',
      },
      axisX: { grid: false },
    },
  };
}
