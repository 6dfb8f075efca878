import { openVega } from '../evaluate/report/vega.ts';
import type { LogLine } from './log.ts';

/** Points of a line; more would not be told apart. */
const POINTS = 1000;

/** Share of a training over which the smooth line takes its mean, to either side. */
const SMOOTH = 0.01;

/**
 * The losses of a training by step, each and smoothed, and below them what was measured, as an SVG. Throws `PEER_MISSING`
 * without vega and vega-lite.
 */
export async function lossCurve(lines: readonly LogLine[], title: string): Promise<string> {
  const draw = await openVega('draw loss curves');
  const losses = lines.flatMap((line) => ('loss' in line ? [{ step: line.step, loss: line.loss }] : []));
  const measured = lines.flatMap((line) =>
    'measured' in line ? Object.entries(line.measured).map(([what, value]) => ({ step: line.step, what, value })) : [],
  );
  const step = { field: 'step', type: 'quantitative', axis: { title: 'step', format: 'd' } } as const;
  const loss = { field: 'loss', type: 'quantitative', scale: { zero: false }, axis: { title: 'loss' } } as const;
  const panel = { width: 560, height: 240 };
  const spec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json' as const,
    background: 'white',
    title: { text: title, anchor: 'start' as const, fontSize: 13 },
    vconcat: [
      {
        ...panel,
        layer: [
          { data: { values: thinned(losses) }, mark: { type: 'line', opacity: 0.3 }, encoding: { x: step, y: loss } },
          { data: { values: thinned(smoothed(losses)) }, mark: { type: 'line' }, encoding: { x: step, y: loss } },
        ],
      },
      ...[...new Set(measured.map(({ what }) => what))].map((what) => ({
        ...panel,
        height: 140,
        data: { values: measured.filter((each) => each.what === what) },
        mark: { type: 'line', point: true },
        encoding: {
          x: step,
          y: { field: 'value', type: 'quantitative', scale: { zero: false }, axis: { title: what } },
        },
      })),
    ],
  };
  return draw(spec as Parameters<typeof draw>[0]);
}

function smoothed(losses: readonly { step: number; loss: number }[]): { step: number; loss: number }[] {
  const reach = Math.ceil(losses.length * SMOOTH);
  const sums = [0];
  for (const { loss } of losses) sums.push((sums.at(-1) as number) + loss);
  return losses.map(({ step }, i) => {
    const [from, to] = [Math.max(0, i - reach), Math.min(losses.length, i + reach + 1)];
    return { step, loss: (sums[to] - sums[from]) / (to - from) };
  });
}

function thinned<T>(values: readonly T[]): T[] {
  const every = Math.ceil(values.length / POINTS);
  return values.filter((_, i) => i % every === 0 || i === values.length - 1);
}
