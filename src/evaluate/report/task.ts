import { html } from 'hono/html';
import type { Point } from '../point.ts';
import { domainsOf, referenceScore, scoreChart, shareChart } from './charts.ts';
import type { BenchDocument } from './document.ts';
import { figure, legend } from './figure.ts';
import type { Html } from './html.ts';
import { cutName, cutsOf, laddersOf, taskName } from './ladders.ts';
import { byteCount } from './numbers.ts';
import { summaryTable } from './point-tables.ts';
import type { Draw } from './vega.ts';

/** A task's charts (one of scores a cut, what is sent uncut in each) and its summary. */
export async function taskSection(document: BenchDocument, task: string, draw: Draw): Promise<Html> {
  const { run } = document;
  const ladders = laddersOf(document, task);
  const reference = { score: referenceScore(run, task), metric: run.metric[task] };
  const domains = domainsOf(ladders, reference.score);
  const name = (point: Point) =>
    [point.way, point.setting, point.cut === null ? '' : `cut ${cutName(document, point.cut)}`].join(' ').trim();
  const cuts = cutsOf(ladders);
  const panels = cuts.length > 0 ? cuts : [null];
  const scores = panels.map((cut) => {
    // All keep their place, by which the legend switches them.
    const shown = ladders.map((ladder) =>
      ladder.cut === null || ladder.cut === cut ? ladder : { ...ladder, rungs: [] },
    );
    const where = cut === null ? '' : ` ${cutName(document, cut)}`;
    return figure(draw, (size) => scoreChart(shown, reference, domains, size, name), {
      caption: html`Score against bytes${where === '' ? '' : html`, cut <b>${where.trim()}</b>`}`,
      label: `${taskName(task)}: score against bytes${where}`,
      wide: panels.length === 1,
    });
  });
  const share = figure(draw, (size) => shareChart(ladders, domains, size, name), {
    caption: html`The head’s share of the multiply-accumulates against bytes. Hollow: loses more than one point`,
    label: `${taskName(task)}: the head’s share against bytes`,
    wide: false,
  });
  const control = ladders.find(({ way }) => way === 'device')?.rungs[0].point;
  const drawn = await Promise.all([...scores, share]);
  return html`<section id="task-${task}" class="task"><h2>${taskName(task)} <small>${run.metric[task]}, ${ladders[0].rungs[0].point.images} images</small></h2>
${legend(ladders)}
<div class="charts ${panels.length === 1 ? 'one' : 'many'}">${drawn}</div>
<p class="note">Bars: 95 % interval of the paired loss, drawn around the point. Band: at most one point below the uncut model (dotted).
${control ? `◀ The control, answering on the device, sends ${byteCount(control.bytes)} with a head’s share of 100 %.` : ''}</p>
${summaryTable(document, task, ladders)}
</section>`;
}
