import { html } from 'hono/html';
import { type SummaryRow, WORKING_LOSS } from '../interpolate.ts';
import { median } from '../measure.ts';
import type { BenchDocument } from './document.ts';
import type { Html } from './html.ts';
import { cutName, isControl, isPicture, taskName } from './ladders.ts';
import { byteCount, bytesText, intervalText, percentText } from './numbers.ts';

/** What a reader takes away: for each task the fewest bytes beside the best picture, and how far that can be trusted. */
export function shortSection(document: BenchDocument): Html {
  const tasks = document.run.tasks.filter((task) => document.points.some((point) => point.task === task));
  return html`<section id="short" aria-label="In short"><ul class="cards">${tasks.map((task) => card(document, task))}</ul></section>`;
}

function card(document: BenchDocument, task: string): Html {
  const rows = document.summary.filter((row) => row.task === task);
  const codec = fewest(rows.filter(({ way }) => !isPicture(way)));
  const picture = fewest(rows.filter(({ way }) => isPicture(way)));
  const points = document.points.filter((point) => point.task === task);
  const control = points.find(({ way }) => way === 'device');
  return html`<li class="card"><h2><a href="#task-${task}">${taskName(task)}</a></h2>
${codec ? amount(document, codec) : leastLoss(document, points)}
${picture ? amount(document, picture) : ''}
${codec || picture ? '' : html`<p>No way that sends a picture or a feature loses as little as ${WORKING_LOSS} point.</p>`}
<p class="note">${control ? `Control: the answer itself, made on the device, is ${byteCount(control.bytes)} (head’s share 100 %). ` : 'The control, answering on the device, was not measured (--ways device). '}${trust(points)}</p></li>`;
}

/** Where no ladder of codecs comes to {@link WORKING_LOSS}: the setting that loses least. */
function leastLoss(document: BenchDocument, points: BenchDocument['points']): Html | '' {
  const [least] = points
    .filter(({ way }) => !isControl(way) && !isPicture(way))
    .toSorted((a, b) => a.loss - b.loss || a.bytes - b.bytes);
  if (least === undefined) return '';
  return html`<p>${least.way}, cut ${cutName(document, least.cut ?? '')}, head’s share ${percentText(least.headShare)} loses
${intervalText(least.loss, least.lossLow, least.lossHigh)} at ${byteCount(least.bytes)} at best.</p>`;
}

interface Fewest {
  readonly row: SummaryRow;
  /** Bytes at the loss, or those of the cheapest point that already loses less. */
  readonly bytes: number;
  readonly atMost: boolean;
}

/** The ladder that needs the fewest bytes at {@link WORKING_LOSS}. */
function fewest(rows: readonly SummaryRow[]): Fewest | undefined {
  return rows
    .flatMap((row): Fewest[] => {
      const at = row.at.find(({ loss }) => loss === WORKING_LOSS);
      if (at === undefined) return [];
      if (at.bytes !== null) return [{ row, bytes: at.bytes, atMost: false }];
      return at.below === null ? [] : [{ row, bytes: at.below, atMost: true }];
    })
    .sort((a, b) => a.bytes - b.bytes)
    .at(0);
}

function amount(document: BenchDocument, { row, bytes, atMost }: Fewest): Html {
  const what = isPicture(row.way)
    ? `${row.ladder}, the best picture`
    : `${row.way}, cut ${cutName(document, row.cut ?? '')}, head’s share ${percentText(row.headShare)}`;
  return html`<p class="${isPicture(row.way) ? 'amount best-picture' : 'amount'}"><strong>${atMost ? '≤\u202f' : ''}${bytesText(bytes)}</strong> bytes<br><small>${what}</small></p>`;
}

/** How wide the intervals of the losses are: what is smaller is not known. */
function trust(points: BenchDocument['points']): string {
  const half = points
    .filter(({ way, loss, lossLow, lossHigh }) => !isControl(way) && (loss !== 0 || lossLow !== lossHigh))
    .map(({ lossLow, lossHigh }) => (lossHigh - lossLow) / 2);
  if (half.length === 0) return '';
  return `With ${points[0].images} images a loss is known to about ±${median(half).toFixed(1)} points.`;
}
