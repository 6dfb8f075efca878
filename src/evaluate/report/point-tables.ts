import { html } from 'hono/html';
import { LOSS_TARGETS, type SummaryRow } from '../interpolate.ts';
import type { Point } from '../point.ts';
import type { BenchDocument } from './document.ts';
import { symbol } from './figure.ts';
import type { Html } from './html.ts';
import { cutName, type LadderView, laddersOf, taskName } from './ladders.ts';
import { bytesText, intervalText, millisecondsText, percentText } from './numbers.ts';

/** A table in a box of its own, which scrolls where the page is too narrow for it. */
function box(caption: string, head: Html, rows: readonly Html[]): Html {
  return html`<div class="table" role="region" tabindex="0" aria-label="${caption}"><table>
<caption><span>${caption}</span></caption><thead>${head}</thead><tbody>${rows}</tbody></table></div>`;
}

/** Bytes that each ladder of a task needs at each loss, and their ratio to the best picture's. */
export function summaryTable(document: BenchDocument, task: string, ladders: readonly LadderView[]): Html {
  const rows = document.summary.filter((row) => row.task === task);
  const head = html`<tr><th scope="col" rowspan="2">way</th><th scope="col" rowspan="2">head’s share</th>${LOSS_TARGETS.map(
    (loss) => html`<th scope="colgroup" colspan="2">loss of ${loss} point</th>`,
  )}</tr><tr>${LOSS_TARGETS.map(() => html`<th scope="col">bytes</th><th scope="col">of best picture</th>`)}</tr>`;
  const cells = (row: SummaryRow) =>
    row.at.map(({ bytes, below, ratio, reason }) => {
      const text = bytes !== null ? bytesText(bytes) : below !== null ? `≤ ${bytesText(below)}` : 'not reached';
      return html`<td title="${reason ?? ''}">${text}</td><td>${ratio === null ? '–' : percentText(ratio)}</td>`;
    });
  return box(
    `${taskName(task)}: bytes an image at a loss, interpolated between points, beside the best picture`,
    head,
    rows.map((row) => {
      const view = ladders.find(({ name }) => name === row.ladder);
      return html`<tr><th scope="row">${view ? nameCell(document, view) : row.ladder}</th><td>${percentText(row.headShare)}</td>${cells(row)}</tr>`;
    }),
  );
}

/** Every point of every task. */
export function pointsSection(document: BenchDocument): Html {
  const { run } = document;
  const columns = [
    'way',
    'setting',
    'bytes',
    'p50',
    'p95',
    'max',
    'ideal',
    'score [95 %]',
    'loss [95 %]',
    'same answer',
    'head’s share',
    'head',
    'encode',
    'decode',
    'tail',
  ];
  const head = html`<tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr>`;
  const tables = run.tasks.flatMap((task) => {
    const ladders = laddersOf(document, task);
    if (ladders.length === 0) return [];
    const rows = ladders.flatMap((view) => view.rungs.map(({ point }) => pointRow(document, view, point)));
    return [
      box(
        `${taskName(task)}: every point, ${run.metric[task]} over ${ladders[0].rungs[0].point.images} images`,
        head,
        rows,
      ),
    ];
  });
  return html`<section id="points" class="landscape"><h2>All points</h2>
<p>Bytes are those of an image at batch 1, with the frame: mean, percentiles, the most, and what the entropy model’s own
probabilities ask for. “Same answer” is the share of answers that are the uncut model’s.</p>
${tables}</section>`;
}

function pointRow(document: BenchDocument, view: LadderView, point: Point): Html {
  const ms = (value: number | null) => (value === null || Number.isNaN(value) ? '–' : millisecondsText(value));
  const cells = [
    bytesText(point.bytes),
    bytesText(point.bytesP50),
    bytesText(point.bytesP95),
    bytesText(point.bytesMax),
    point.idealBytes === null ? '–' : bytesText(point.idealBytes),
    intervalText(point.score, point.scoreLow, point.scoreHigh),
    intervalText(point.loss, point.lossLow, point.lossHigh),
    percentText(point.agreement / 100),
    percentText(point.headShare),
    ms(point.headMs),
    ms(point.encodeMs),
    ms(point.decodeMs),
    ms(point.tailMs),
  ];
  return html`<tr><th scope="row">${nameCell(document, view)}</th><td class="text">${point.setting}</td>${cells.map(
    (cell) => html`<td>${cell}</td>`,
  )}</tr>`;
}

function nameCell(document: BenchDocument, { label, look, cut }: LadderView): Html {
  return html`${symbol(look)}${label}${cut === null ? '' : html` <small>${cutName(document, cut)}</small>`}`;
}
