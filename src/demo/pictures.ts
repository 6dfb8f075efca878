import { access } from 'node:fs/promises';
import { basename } from 'node:path';
import { IsthmusError } from '../errors.ts';
import { type Item, readSplit, type Suite, type TaskName, taskNames } from '../tasks/index.ts';

/** A picture of the suite to try the demo with. */
export interface SuitePicture {
  readonly path: string;
  readonly name: string;
  readonly questions: readonly string[];
}

/** Pictures that are offered at most. */
const MOST = 48;
const MOST_QUESTIONS = 6;
const SPLIT = 'val';

/** The first pictures of the suite's `val` split whose files are there, those with questions if any have; none where there is no split. */
export async function suitePictures(suite: Suite): Promise<SuitePicture[]> {
  const names = taskNames(suite);
  const order: TaskName[] = names.includes('vqa') ? ['vqa', ...names.filter((name) => name !== 'vqa')] : names;
  for (const task of order) {
    const items = await readSplit(suite, task, SPLIT).catch((thrown) => {
      if (thrown instanceof IsthmusError) return [];
      throw thrown;
    });
    const found = await Promise.all(items.slice(0, MOST).map(asPicture));
    const there = found.filter((each) => each !== null);
    if (there.length > 0) return there;
  }
  return [];
}

async function asPicture({ path, asks }: Item): Promise<SuitePicture | null> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  const questions = asks.filter((ask) => ask !== null).slice(0, MOST_QUESTIONS);
  return there ? { path, name: basename(path), questions } : null;
}
