import { html } from 'hono/html';
import { type BarGroup, type BarPart, stackedBars, sum } from './bars.ts';
import type { BenchDocument } from './document.ts';
import { type Html, NONE } from './html.ts';
import { cutName, laddersOf, taskName, workingRung } from './ladders.ts';
import { millisecondsText } from './numbers.ts';

/** Milliseconds of each stage, at the rung that stands for each ladder. */
export function timesSection(document: BenchDocument): Html {
  const { run } = document;
  const groups = run.tasks.flatMap((task): BarGroup[] => {
    const bars = laddersOf(document, task).map((ladder) => {
      const { point } = workingRung(ladder);
      const stages = [
        ['head', point.headMs],
        ['encode', point.encodeMs],
        ['decode', point.decodeMs],
        ['tail', point.tailMs],
      ] as const;
      const parts = stages.flatMap(([what, ms]): BarPart[] =>
        ms === null || Number.isNaN(ms) ? [] : [{ what, value: ms, colour: `stage-${what}` }],
      );
      const where = point.cut === null ? point.setting : `${point.setting}, ${cutName(document, point.cut)}`;
      return {
        name: html`${ladder.label} <small>${where}</small>`,
        total: millisecondsText(sum(parts)),
        parts,
      };
    });
    if (bars.length === 0) return [];
    return [{ title: html`${taskName(task)} <small>batches of ${run.batch[task]}</small>`, bars }];
  });
  if (groups.length === 0) return NONE;
  return html`<section id="times"><h2>Time of each stage</h2>
<p>Milliseconds an image on this machine, ${run.threads} thread a model: medians over the images (encode, decode) or the batches (head,
tail) that were timed. A point that was kept from an earlier run has that run’s times. The uncut model counts as tail where a
picture is sent, and as head where the device answers.</p>
${stackedBars(groups, 'all', ({ value }) => millisecondsText(value))}</section>`;
}
