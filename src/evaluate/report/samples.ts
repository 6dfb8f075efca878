import { html } from 'hono/html';
import type { ShownAnswer } from '../evidence.ts';
import type { Sample, SampleAnswer, SampleAsked } from '../samples.ts';
import type { BenchDocument } from './document.ts';
import { symbol } from './figure.ts';
import { type Html, NONE } from './html.ts';
import { isControl, type LadderView, laddersOf, taskName, workingRung } from './ladders.ts';
import { bytesText } from './numbers.ts';

/** Pictures with what each way answered. */
export function samplesSection(document: BenchDocument): Html {
  const tasks = document.run.tasks.flatMap((task) => {
    const ofTask = document.samples.filter((sample) => sample.task === task);
    if (ofTask.length === 0) return [];
    const ways = waysOf(document, task);
    return [html`<h3>${taskName(task)}</h3><div class="samples">${ofTask.map((sample) => card(sample, ways))}</div>`];
  });
  if (tasks.length === 0) return NONE;
  return html`<section id="samples"><h2>Pictures and answers</h2>
<p>Half of the pictures are drawn by the seed, half are those where the most answers changed: the second half is worse than the
whole on purpose. Each way answers at the setting that stands for its ladder (the cheapest that loses at most one point, else the
one that loses least), with the bytes that it sent for this very picture.</p>
${tasks}</section>`;
}

/** The ladders whose answers are shown, by the place of the point that stands for each. */
type Ways = ReadonlyMap<number, LadderView>;

function waysOf(document: BenchDocument, task: string): Ways {
  const ladders = laddersOf(document, task).filter(({ way }) => !isControl(way));
  return new Map(ladders.map((ladder) => [workingRung(ladder).at, ladder]));
}

function card({ image, chosen, picture, asked }: Sample, ways: Ways): Html {
  const data = `data:image/webp;base64,${Buffer.from(picture).toString('base64')}`;
  return html`<article class="sample">
<div class="picture"><img src="${data}" alt="${altText(asked)}"><p><small>${breakable(image)}<br>${chosen === 'drawn' ? 'drawn by seed' : 'among the most changed'}</small></p></div>
<div>${asked.map((each) => answersTo(each, ways))}</div>
</article>`;
}

/** A path that breaks after its slashes, where it must. */
function breakable(path: string): string {
  return path.replaceAll('/', '/\u200b');
}

function altText([first]: readonly SampleAsked[]): string {
  return `The picture of which people say: ${first.truths[0] ?? 'nothing'}`;
}

function answersTo({ ask, truths, reference, answers }: SampleAsked, ways: Ways): Html {
  const shown = answers.filter(({ point }) => ways.has(point));
  const changed = grouped(shown.filter(({ same }) => !same));
  return html`<dl>${ask === null ? '' : html`<dt>question</dt><dd class="question">${ask}</dd>`}
<dt>people</dt><dd>${truths.slice(0, SHOWN_TRUTHS).join(' / ')}</dd>
<dt>uncut model</dt><dd>${verdict(reference)}${chips(
    shown.filter(({ same }) => same),
    ways,
  )}</dd>
${changed.map(
  (group) => html`<dt class="changed">changed</dt><dd class="changed">${verdict(group[0])}${chips(group, ways)}</dd>`,
)}</dl>`;
}

/** The ways that gave an answer, each with its bytes. */
function chips(answers: readonly SampleAnswer[], ways: Ways): Html {
  return html`<ul class="chips">${answers.map(({ point, bytes }) => {
    const { label, look } = ways.get(point) as LadderView;
    return html`<li>${symbol(look)}${label} <b>${bytesText(bytes)}</b></li>`;
  })}</ul>`;
}

/** What people say that is shown: captions are five. */
const SHOWN_TRUTHS = 2;

/** An answer with its mark: right, in part, wrong; none where one answer has no score. */
function verdict({ text, credit }: ShownAnswer): Html {
  if (credit === null) return html`<span class="answer">${text}</span>`;
  const [mark, word] = credit >= 0.995 ? ['✓', 'right'] : credit > 0 ? ['◐', 'right in part'] : ['✗', 'wrong'];
  return html`<span class="answer ${word.split(' ').at(-1) as string}"><b aria-hidden="true">${mark}</b> ${text} <small>${word}</small></span>`;
}

/** Answers that say the same together, the most common first. */
function grouped(answers: readonly SampleAnswer[]): SampleAnswer[][] {
  const groups = new Map<string, SampleAnswer[]>();
  for (const answer of answers) groups.set(answer.text, [...(groups.get(answer.text) ?? []), answer]);
  return [...groups.values()].sort((a, b) => b.length - a.length);
}
