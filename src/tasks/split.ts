import { IsthmusError } from '../errors.ts';
import { type CaptionAnswer, captioning } from './captioning.ts';
import { type ClassificationAnswer, classification } from './classification.ts';
import type { VqaTruth } from './metrics/vqa.ts';
import { entryOf, pathIn, type Suite, type TaskName } from './suite.ts';
import { DATA, invalid, readJson, VQA_VOCABULARY, WORDS } from './suite-form.ts';
import type { Task } from './task.ts';
import { type VqaAnswer, vqa } from './vqa.ts';

/** What the three tasks take and give. Within one task's answers and truths they are of one kind. */
export type SuiteAsk = string | null;
export type SuiteAnswer = ClassificationAnswer | CaptionAnswer | VqaAnswer;
export type SuiteTruth = number | readonly string[] | VqaTruth;
/** A task whose kind is known at run time only. */
export type SuiteTask = Task<SuiteAsk, SuiteAnswer, SuiteTruth>;

/** An image of a split: what is asked of it, and the truth for each ask. */
export interface Item {
  /** As the data file names it, relative to the suite's folder. */
  readonly image: string;
  readonly path: string;
  readonly asks: readonly SuiteAsk[];
  readonly truths: readonly SuiteTruth[];
}

/**
 * The images of a split (`val`, `train`, …) of a task, without those of which nothing is asked. That they exist is not
 * checked here.
 * Throws `INVALID_ARGUMENT` for a task that the suite lacks or what cannot be a split's name, `SUITE_INVALID` with file
 * and place for data that is missing or of another form, `LIMIT_EXCEEDED`.
 */
export async function readSplit(suite: Suite, task: TaskName, split: string): Promise<Item[]> {
  const pattern = entryOf(suite, task).data;
  if (!/^[\w-][\w.-]*$/.test(split)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `'${split}' cannot be the name of a split; pass one such as val or test`,
    );
  }
  const file = pathIn(suite, pattern.replaceAll('{split}', split), `tasks.${task}.data`);
  const entries = await readJson<{ image: string; label?: number; captions?: string[]; questions?: Question[] }[]>(
    file,
    DATA[task],
    suite.limits,
  );
  const items = entries.map(({ image, label, captions, questions }, i): Item => {
    const path = pathIn(suite, image, `[${i}].image of ${file}`);
    if (questions) return { image, path, asks: questions.map(({ question }) => question), truths: questions };
    return { image, path, asks: [null], truths: [(label ?? captions) as SuiteTruth] };
  });
  const asked = items.filter(({ asks }) => asks.length > 0);
  if (asked.length === 0) throw invalid(file, '', 'no image has a question');
  return asked;
}

type Question = VqaTruth & { question: string };

/**
 * A task of a suite with its labels or vocabularies; the metric that the suite names comes first. With the `items` of a
 * split the metrics are those of the split: CIDEr-D among captioning's, and VQA's by type of question.
 * Throws `SUITE_INVALID` for files that are missing or of another form, labels that do not exist and an unknown `score`.
 */
export async function openTask(suite: Suite, task: TaskName, items: readonly Item[] = []): Promise<SuiteTask> {
  const opened = await OPEN[task](suite, items);
  const { score } = entryOf(suite, task);
  if (score === undefined) return opened;
  const named = opened.metrics.filter(({ name }) => name === score);
  if (named.length === 0) {
    // Without a split some metrics do not exist.
    if (items.length === 0) return opened;
    const known = opened.metrics.map(({ name }) => name).join(', ');
    throw invalid(`${suite.dir}/suite.json`, `tasks.${task}.score`, `'${score}' is none of ${known}`);
  }
  return { ...opened, metrics: [...named, ...opened.metrics.filter(({ name }) => name !== score)] };
}

const OPEN: Record<TaskName, (suite: Suite, items: readonly Item[]) => Promise<SuiteTask>> = {
  async classification(suite, items) {
    const { labels: file } = entryOf(suite, 'classification');
    const labels = await readJson(pathIn(suite, file, 'tasks.classification.labels'), WORDS, suite.limits);
    items.forEach(({ truths: [label] }, i) => {
      if ((label as number) < labels.length) return;
      throw invalid(
        suite.dir,
        `classification data [${i}].label`,
        `is ${label}, and there are ${labels.length} labels`,
      );
    });
    return classification({ labels });
  },
  async captioning(suite, items) {
    const { beam, maxTokens, vocabulary: file } = entryOf(suite, 'captioning');
    const vocabulary = await readJson(pathIn(suite, file, 'tasks.captioning.vocabulary'), WORDS, suite.limits);
    const references = items.length > 0 ? items.map(({ truths }) => truths[0] as string[]) : undefined;
    return captioning({ vocabulary, beam, maxTokens, references });
  },
  async vqa(suite, items) {
    const { maxTokens, vocabulary: file } = entryOf(suite, 'vqa');
    const path = pathIn(suite, file, 'tasks.vqa.vocabulary');
    const { vocab: vocabulary, answers } = await readJson(path, VQA_VOCABULARY, suite.limits);
    const types = items.flatMap(({ truths }) => truths.map((truth) => (truth as VqaTruth).type ?? ''));
    const named = [...new Set(types)].filter((type) => type !== '').sort();
    return vqa({ vocabulary, answers, maxTokens, types: named, limits: suite.limits });
  },
};
