import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';
import { WORKING_LOSS } from '../interpolate.ts';
import type { BenchDocument } from './document.ts';
import { type Html, markup, NONE } from './html.ts';
import { taskName } from './ladders.ts';
import { pointsSection } from './point-tables.ts';
import { provenanceSection } from './provenance.ts';
import { samplesSection } from './samples.ts';
import { SCRIPT } from './script.ts';
import { shortSection } from './short.ts';
import { spentSection } from './spent.ts';
import { STYLE } from './style.ts';
import { taskSection } from './task.ts';
import { timesSection } from './times.ts';
import { openVega } from './vega.ts';

/** Nothing is loaded, and no script runs but the page's own: what a suite's names and captions hold stays text. */
const POLICY = [
  "default-src 'none'",
  'img-src data:',
  "style-src 'unsafe-inline'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/**
 * A measurement as one HTML file that needs nothing beside it: charts, tables, what bytes and time go to, sample pictures, and how
 * it was measured. Reads in light and dark, on a phone and on paper. Throws `PEER_MISSING` without vega and vega-lite.
 */
export async function reportPage(document: BenchDocument): Promise<string> {
  const draw = await openVega('draw reports');
  const { run, points } = document;
  const measured = run.tasks.filter((task) => points.some((point) => point.task === task));
  const title = `${run.suite}: bytes against score`;
  const tasks = await Promise.all(measured.map((task) => taskSection(document, task, draw)));
  return markup(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="isthmus ${run.versions.isthmus}">
<title>${title}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<header>
<p class="kind">isthmus bench</p>
<h1>${title}</h1>
<p class="lead">What each way of sending a picture to a network costs in bytes, and what it does to the score. Losses are paired: the same
pictures through the uncut model and through the way. Large figures: bytes an image at a loss of ${WORKING_LOSS} point, interpolated.</p>
<p class="note">${run.date.slice(0, 10)} · split ${run.split} · seed ${run.seed} · <a href="#provenance">how it was measured</a></p>
${run.complete ? NONE : html`<p class="warning" role="note"><b>The run was stopped.</b> This shows the points that it had finished; the same command goes on from there.</p>`}
${measured.length === 0 ? html`<p class="warning">No point was finished.</p>` : NONE}
${contents(document, measured)}
</header>
<main>
${shortSection(document)}
${tasks}
${spentSection(document)}
${measured.length > 0 ? timesSection(document) : NONE}
${samplesSection(document)}
${measured.length > 0 ? pointsSection(document) : NONE}
${provenanceSection(document)}
</main>
<div id="tip" role="status" hidden></div>
<script>${raw(SCRIPT)}</script>
</body>
</html>
`);
}

function contents({ spent, samples }: BenchDocument, measured: readonly string[]): Html {
  const links = [
    ...measured.map((task) => [`task-${task}`, taskName(task)]),
    ...(spent.some((items) => items.length > 0) ? [['spent', 'Bytes']] : []),
    ['times', 'Time'],
    ...(samples.length > 0 ? [['samples', 'Pictures']] : []),
    ['points', 'All points'],
    ['provenance', 'How it was measured'],
  ];
  if (measured.length === 0) return NONE;
  return html`<nav aria-label="Contents"><ul>${links.map(([id, text]) => html`<li><a href="#${id}">${text}</a></li>`)}</ul></nav>`;
}
