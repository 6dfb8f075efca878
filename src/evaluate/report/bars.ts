import { html } from 'hono/html';
import type { Html } from './html.ts';

/** One part of a bar. */
export interface BarPart {
  readonly what: string;
  readonly value: number;
  /** Class of its colour in the page. */
  readonly colour: string;
}

/** A bar of parts, with a name before it. */
export interface Bar {
  readonly name: Html;
  readonly total: string;
  readonly parts: readonly BarPart[];
}

/** Bars under a title. */
export interface BarGroup {
  readonly title: Html;
  readonly bars: readonly Bar[];
}

/** What the length of a bar is a share of: the longest bar of all groups, or the bar itself, so that each fills its line. */
export type BarScale = 'all' | 'each';

/**
 * Groups of stacked bars side by side. Each part is told in words below its bar too, so that nothing is known by colour or
 * length alone.
 */
export function stackedBars(
  groups: readonly BarGroup[],
  scale: BarScale,
  text: (part: BarPart, bar: Bar) => string,
): Html {
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ parts }) => sum(parts))));
  const width = ({ parts }: Bar) => (scale === 'each' ? 100 : (100 * sum(parts)) / most).toFixed(2);
  const line = (bar: Bar) => html`<li>
  <p class="bar-name"><span>${bar.name}</span><strong>${bar.total}</strong></p>
  <div class="bar" style="width:${width(bar)}%" aria-hidden="true">${bar.parts.map(
    (part) =>
      html`<i class="${part.colour}" style="flex-grow:${Math.max(part.value, 0).toPrecision(4)}" title="${part.what}: ${text(part, bar)}"></i>`,
  )}</div>
  <ul class="parts">${bar.parts.map(
    (part) => html`<li><i class="${part.colour}" aria-hidden="true"></i>${part.what} <b>${text(part, bar)}</b></li>`,
  )}</ul>
</li>`;
  return html`<div class="bar-groups">${groups.map(
    ({ title, bars }) => html`<div><h3>${title}</h3><ul class="bars">${bars.map(line)}</ul></div>`,
  )}</div>`;
}

export function sum(parts: readonly BarPart[]): number {
  return parts.reduce((total, { value }) => total + Math.max(value, 0), 0);
}
