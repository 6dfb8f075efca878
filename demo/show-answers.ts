import type { Manifest } from '../src/demo/wire.ts';
import { byId, make, percent, say } from './dom.ts';
import type { EdgeAnswer } from './edge.ts';

/* What the page shows of an answer. */

/** Answers and their times; null empties them. */
export function showAnswers(answer: EdgeAnswer | null): void {
  const { classification, captioning, vqa } = answer?.answers ?? {};
  setText('label', classification?.label ?? '');
  byId('classes').replaceChildren(
    ...(classification?.top ?? []).map(({ label, probability }) => {
      const bar = make('i', 'bar');
      bar.style.setProperty('--share', String(probability));
      return make('li', '', make('span', 'value', label, make('small', '', percent(probability))), bar);
    }),
  );
  setText('caption', captioning?.caption ?? '');
  const reply = byId('reply');
  const text = vqa === undefined ? '' : `${vqa.answer} ${percent(vqa.probability)}`;
  if (reply.textContent !== text) {
    reply.replaceChildren(
      ...(vqa === undefined ? [] : [`${vqa.answer} `, make('small', '', percent(vqa.probability))]),
    );
  }
}

/** Written only where it changes, so that a screen reader does not say it again. */
function setText(id: string, text: string): void {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** The parts of the page for the tasks that there are. */
export function showTasks(tasks: Manifest['tasks']): void {
  for (const task of ['classification', 'captioning', 'vqa'] as const) byId(task).hidden = !tasks.includes(task);
}

/** Questions to choose from instead of typing one. */
export function showSuggestions(questions: readonly string[], choose: (question: string) => void): void {
  byId('suggestions').replaceChildren(
    ...questions.map((question) => {
      const button = make('button', 'chip', question) as HTMLButtonElement;
      button.type = 'button';
      button.addEventListener('click', () => choose(question));
      return button;
    }),
  );
}

/** Whether what is shown is being asked for again. */
export function showBusy(busy: boolean): void {
  byId('answers').setAttribute('aria-busy', String(busy));
  document.body.classList.toggle('asking', busy);
}

export function showAnswerProblem(message: string | null): void {
  say('answer-problem', message);
}
