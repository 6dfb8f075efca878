import { html } from 'hono/html';
import type { ByteItem } from '../../codec/index.ts';
import { type BarGroup, type BarPart, stackedBars, sum } from './bars.ts';
import type { BenchDocument } from './document.ts';
import { type Html, NONE } from './html.ts';
import { cutName, isControl, laddersOf, taskName, workingRung } from './ladders.ts';
import { byteCount, bytesText, percentText } from './numbers.ts';

/** What the bytes of each codec's packets go to, at the rung that stands for its ladder. */
export function spentSection(document: BenchDocument): Html {
  const groups = document.run.tasks.flatMap((task): BarGroup[] => {
    const bars = laddersOf(document, task).flatMap((ladder) => {
      const { at, point } = workingRung(ladder);
      const parts = partsOf(document.spent[at]);
      if (isControl(ladder.way) || parts.length === 0) return [];
      return [
        {
          name: html`${ladder.label} <small>${point.setting}, ${cutName(document, point.cut ?? '')}</small>`,
          total: byteCount(sum(parts)),
          parts,
        },
      ];
    });
    return bars.length === 0 ? [] : [{ title: html`${taskName(task)}`, bars }];
  });
  if (groups.length === 0) return NONE;
  return html`<section id="spent"><h2>What a byte is spent on</h2>
<p>Mean over the first packets of each codec, at the setting that stands for its ladder: the cheapest that loses at most one point,
else the one that loses least. “Components” are what the transform sorts by how much they vary, the first the most.</p>
${stackedBars(groups, 'each', ({ value }, { parts }) => `${bytesText(value)} (${percentText(value / sum(parts))})`)}</section>`;
}

/** A tensor's range of components, as bodies name it. */
const RANGE = /^(.*), (components \d+ to \d+)$/;

/** Steps of the ramp that components are coloured by. */
const RAMP = 7;

/** Items with their colours: a ramp over the components of the first part, one colour for those of all others. */
function partsOf(items: readonly ByteItem[]): BarPart[] {
  const named = items.flatMap(({ what }) => RANGE.exec(what)?.[1] ?? []);
  const [first] = named;
  const alone = new Set(named).size === 1;
  let step = 0;
  return items.map(({ what, bytes }) => {
    const [, part, range] = RANGE.exec(what) ?? [];
    return { what: alone && range ? range : what, value: bytes, colour: colour(part) };

    function colour(part: string | undefined): string {
      if (what === 'frame') return 'part-frame';
      if (/^(state|lengths) of/.test(what)) return 'part-rest';
      if (part !== undefined && part !== first) return 'part-other';
      step = Math.min(step + 1, RAMP);
      return `part-${step}`;
    }
  });
}
