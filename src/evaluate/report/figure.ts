import { html, raw } from 'hono/html';
import type { TopLevelSpec } from 'vega-lite';
import type { ChartSize } from './charts.ts';
import type { Html } from './html.ts';
import type { LadderView, Look } from './ladders.ts';
import type { Draw } from './vega.ts';

/** Drawn in two sizes, of which the page shows the one that fits, so that text keeps its size. */
const WIDE: ChartSize = { width: 700, height: 400 };
const NARROW: ChartSize = { width: 330, height: 320 };

/** A chart with its caption; `wide` where it may take a whole row. */
export async function figure(
  draw: Draw,
  spec: (size: ChartSize) => TopLevelSpec,
  { caption, label, wide }: { readonly caption: Html; readonly label: string; readonly wide: boolean },
): Promise<Html> {
  const sizes = wide ? [WIDE, NARROW] : [NARROW];
  const drawn = await Promise.all(sizes.map(async (size) => ({ size, svg: withTitles(await draw(spec(size))) })));
  return html`<figure class="${wide ? 'chart both' : 'chart'}">
  ${drawn.map(
    ({ size, svg }) =>
      html`<div class="plot ${size === WIDE ? 'wide' : 'narrow'}" role="group" tabindex="0" aria-label="${label}; arrow keys go from point to point">${raw(svg)}</div>`,
  )}
  <figcaption>${caption}</figcaption>
</figure>`;
}

/**
 * Marks with what they tell as a title, which browsers show without any script, instead of as a label. Vega escapes the text
 * for its attribute, which is more than an element needs.
 */
function withTitles(svg: string): string {
  return svg.replace(
    /<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="point"([^>]*)\/>/g,
    '<path class="mark"$2><title>$1</title></path>',
  );
}

/** What the marks of charts mean: a switch for the ladders of each label. */
export function legend(ladders: readonly LadderView[]): Html {
  // The reference is named beside its line.
  const labels = [...new Set(ladders.flatMap(({ way, label }) => (way === 'reference' ? [] : [label])))];
  return html`<ul class="legend">${labels.map((label) => {
    const same = ladders.flatMap((ladder, i) => (ladder.label === label ? [{ ladder, i }] : []));
    const places = same.map(({ i }) => i).join(' ');
    return html`<li><button type="button" data-ladders="${places}" aria-pressed="true">${symbol(same[0].ladder.look)}${label}</button></li>`;
  })}</ul>`;
}

/** A ladder's mark on its line. */
export function symbol({ colour, shape, filled, dash }: Look): Html {
  return html`<svg class="symbol" viewBox="0 0 26 12" width="26" height="12" aria-hidden="true"><path d="M0 6H26" stroke="${colour}" stroke-width="1.75" stroke-dasharray="${dash.join(' ')}"/><path transform="translate(13 6)" d="${symbolPath(shape)}" fill="${filled ? colour : 'var(--page)'}" stroke="${colour}" stroke-width="1.5"/></svg>`;
}

/** Vega's symbols, and any other path that is made for a square of 2, within 10 pixels. */
function symbolPath(shape: string): string {
  return SYMBOLS[shape] ?? shape.replace(/-?\d+(\.\d+)?/g, (number) => String(Number(number) * 5));
}

const SYMBOLS: Readonly<Record<string, string>> = {
  circle: 'M4.5 0A4.5 4.5 0 1 1 -4.5 0A4.5 4.5 0 1 1 4.5 0',
  square: 'M-4 -4H4V4H-4Z',
  cross: 'M-4.5 -1.5H-1.5V-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5Z',
  diamond: 'M0 -5L5 0L0 5L-5 0Z',
  'triangle-up': 'M0 -4.5L5 4.5H-5Z',
  'triangle-down': 'M0 4.5L5 -4.5H-5Z',
  'triangle-left': 'M-4.5 0L4.5 5V-5Z',
  'triangle-right': 'M4.5 0L-4.5 5V-5Z',
  stroke: 'M-5 0H5',
};
