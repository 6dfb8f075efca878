import { html } from 'hono/html';
import type { BenchDocument } from './document.ts';
import type { Html } from './html.ts';

/** Everything that the numbers depend on, so that they can be had again. */
export function provenanceSection({ run, points }: BenchDocument): Html {
  const images = run.tasks.map((task) => `${task} ${points.find((point) => point.task === task)?.images ?? 0}`);
  const rows: [string, string][] = [
    ['date', run.date],
    [
      'took',
      `${Math.round(run.seconds)} s, ${Math.round(run.peakMemoryBytes / 2 ** 20)} MiB at most; finished points are kept between runs`,
    ],
    ['suite', `${run.suite}, split ${run.split}`],
    [
      'images',
      `${images.join(', ')}${run.limit === null ? ' (all)' : ` (at most ${run.limit} of each task, drawn by seed)`}`,
    ],
    ['seed', String(run.seed)],
    ['ways', run.ways.join(', ')],
    [
      'cuts',
      Object.entries(run.cuts)
        .map(([name, tensors]) => `${name}: ${tensors.join(', ')}`)
        .join('; ') || 'none',
    ],
    ['codecs fitted on', run.trainingImages > 0 ? `${run.trainingImages} images of the train split` : 'nothing here'],
    ['metrics', run.tasks.flatMap((task) => (run.metric[task] ? [`${task} ${run.metric[task]}`] : [])).join(', ')],
    ['intervals', `95 %, percentiles of ${run.resamples} paired bootstrap resamples over images`],
    ['models run in', `${run.runtime || 'nothing'}, ${run.threads} thread each while timed`],
    [
      'versions',
      [...Object.entries(run.versions), ...Object.entries(run.encoders)].map((pair) => pair.join(' ')).join(', '),
    ],
    [
      'machine',
      `${run.machine.cpu}, ${run.machine.cores} cores, ${(run.machine.memoryBytes / 2 ** 30).toFixed(1)} GiB, ${run.machine.platform}`,
    ],
  ];
  return html`<section id="provenance"><h2>How it was measured</h2>
<h3>The command</h3><pre><code>${shellWords(run.command).map((word) => html`<span>${word}</span> `)}</code></pre>
<div class="table"><table class="facts"><caption><span>The run</span></caption><tbody>${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="text">${value}</td></tr>`)}</tbody></table></div>
${list('Notes', run.notes)}
${list(
  'Images that could not be used and were skipped',
  run.skipped.map(({ message }) => message),
)}
</section>`;
}

function list(title: string, items: readonly string[]): Html {
  return items.length === 0 ? html`` : html`<h3>${title}</h3><ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

/** The words of a command as a POSIX shell reads them. */
export function shellWords(command: readonly string[]): string[] {
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
}
