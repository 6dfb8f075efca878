import { z } from 'zod';
import type { Item, Lesson, Suite, SuiteTask, SuiteTruth } from '../../tasks/index.ts';
import { pathIn, readJson, readSplit, type SuiteAsk } from '../../tasks/index.ts';
import { type Picture, type ReadPicturesOptions, readPictures } from '../data/pictures.ts';

/** What a task asks of a picture, what is true, and what training is told of it. */
export interface Asked extends Pick<Item, 'asks' | 'truths'> {
  readonly asks: readonly SuiteAsk[];
  readonly truths: readonly SuiteTruth[];
  readonly lessons: readonly Lesson[];
}

/** A picture with all that is known of it. */
export interface Example extends Picture {
  /** By task. */
  readonly tasks: Readonly<Record<string, Asked>>;
  /** Classes by auxiliary model and output, `NAME/OUTPUT`; -1 where there is none. */
  readonly auxiliary: Readonly<Record<string, Int16Array>>;
}

const classes = z.array(z.int().min(-1).max(32_767)).transform((list) => Int16Array.from(list));
const LABELS = z.array(z.object({ image: z.string().min(1), labels: z.record(z.string(), classes) })).min(1);

/**
 * The pictures of a split of the tasks, each once with what every task and the auxiliary data know of it, in the order in which
 * they come first. Throws what `readSplit` and `readPictures` throw, and `SUITE_INVALID` for auxiliary data of another form.
 */
export async function readExamples(
  suite: Suite,
  split: string,
  tasks: readonly SuiteTask[],
  auxiliary: Readonly<Record<string, { readonly data: string }>>,
  options: ReadPicturesOptions = {},
): Promise<Example[]> {
  const known = new Map<string, { tasks: Record<string, Asked>; auxiliary: Record<string, Int16Array> }>();
  for (const task of tasks) {
    for (const { path, asks, truths } of await readSplit(suite, task.name, split)) {
      const lessons = asks.flatMap((ask, i) => task.lessons(ask, truths[i]));
      const entry = known.get(path) ?? { tasks: {}, auxiliary: {} };
      entry.tasks[task.name] = { asks, truths, lessons };
      known.set(path, entry);
    }
  }
  for (const [name, { data }] of Object.entries(auxiliary)) {
    const file = pathIn(suite, data.replaceAll('{split}', split), `auxiliary.${name}.data`);
    for (const { image, labels } of await readJson(file, LABELS, suite.limits)) {
      const entry = known.get(pathIn(suite, image, file));
      if (entry === undefined) continue; // Of a picture that no task asks of.
      for (const [output, list] of Object.entries(labels)) entry.auxiliary[`${name}/${output}`] = list;
    }
  }
  const pictures = await readPictures(
    [...known.keys()].map((path) => ({ path })),
    suite.input,
    options,
  );
  return pictures.map((picture) => ({ ...picture, ...(known.get(picture.path) as Omit<Example, keyof Picture>) }));
}
