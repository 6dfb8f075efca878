import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { SyntheticResult } from './synthetic.ts';
import { ratios } from './targets.ts';

const TITLE_SIZE = 13;

/** Speeds over the C coder, and sizes over the ideal, by rate, as an SVG. */
export async function chartSvg(synthetic: readonly SyntheticResult[]): Promise<string> {
  const speeds = ratios(synthetic).map((r) => ({
    rate: `${r.rate}`,
    way: r.way,
    direction: r.direction,
    against: `over ${r.against}`,
    ratio: r.median,
  }));
  const sizes = synthetic.flatMap(({ rate, rows, idealBytes, sizes: [own] }) =>
    [{ coder: 'isthmus', bytes: own.bytes }, ...rows.filter(({ coder }) => /gzip|brotli|zstd/.test(coder))].map(
      ({ coder, bytes }) => ({ rate: `${rate}`, coder, over: bytes / idealBytes - 1 }),
    ),
  );
  const rate = { field: 'rate', type: 'ordinal', sort: null, axis: { title: 'bits a symbol', labelAngle: 0 } } as const;
  const speed: TopLevelSpec = {
    data: { values: speeds },
    facet: { column: { field: 'against', header: { title: null, labelFontSize: 11 }, sort: null } },
    spec: {
      width: 250,
      height: 220,
      layer: [
        {
          mark: { type: 'line' },
          encoding: {
            x: rate,
            y: { field: 'ratio', type: 'quantitative', axis: { title: 'times as fast' }, scale: { zero: true } },
            color: { field: 'way', type: 'nominal', sort: null, legend: { title: 'isthmus, 32 lanes' } },
            strokeDash: {
              field: 'direction',
              type: 'nominal',
              sort: null,
              legend: { title: null },
            },
          },
        },
        { mark: { type: 'rule', strokeDash: [4, 4], color: '#666' }, encoding: { y: { datum: 1 } } },
      ],
    },
    title: { text: 'Speed over the scalar C coder', fontSize: TITLE_SIZE, anchor: 'start' },
  };
  const size: TopLevelSpec = {
    data: { values: sizes },
    width: 250,
    height: 220,
    mark: { type: 'line', point: true },
    encoding: {
      x: rate,
      y: {
        field: 'over',
        type: 'quantitative',
        axis: { title: 'size over the ideal', format: '~p', values: [0.0001, 0.001, 0.01, 0.1, 1] },
        scale: { type: 'log', clamp: true },
      },
      color: { field: 'coder', type: 'nominal', sort: null, legend: { title: 'coder' } },
    },
    title: { text: 'Size over the ideal of the source', fontSize: TITLE_SIZE, anchor: 'start' },
  };
  const charts = speeds.length > 0 ? [speed, size] : [size];
  const spec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    hconcat: charts,
    resolve: { scale: { color: 'independent', strokeDash: 'independent' } },
  } as TopLevelSpec;
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}
