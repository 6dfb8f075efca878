import type { z } from 'zod';
import { IsthmusError } from '../errors.ts';
import { type Limits, limitsOf } from '../limits.ts';
import { isFolder } from './files.ts';
import type { InputSpec } from './pixels.ts';
import { invalid, readJson, SUITE } from './suite-form.ts';

/** What `suite.json` says of the tasks, by name. */
export type SuiteTasks = z.infer<typeof SUITE>['tasks'];
export type TaskName = keyof SuiteTasks;

/** A folder of models, tasks and data that are measured together, described by its `suite.json`. */
export interface Suite {
  readonly dir: string;
  readonly name: string;
  readonly input: InputSpec;
  /** The model that every task's tail follows, relative to the folder. */
  readonly trunk?: string;
  readonly tasks: SuiteTasks;
  /** Tensors to cut at, by the name that results show. */
  readonly cuts: Readonly<Record<string, readonly string[]>>;
  readonly limits: Readonly<Limits>;
}

/**
 * Opens a folder with a `suite.json`. Only that file is read here.
 * Throws `FILE_NOT_FOUND` where there is no such folder, `SUITE_INVALID` with file and place where `suite.json` is
 * missing, has another form, names an unknown task or a file outside the folder, `LIMIT_EXCEEDED` above `jsonBytes`.
 */
export async function openSuite(dir: string, options: { readonly limits?: Partial<Limits> } = {}): Promise<Suite> {
  const limits = limitsOf(options.limits);
  if (!(await isFolder(dir))) {
    throw new IsthmusError('FILE_NOT_FOUND', `${dir} is no folder; name one with a suite.json in it`);
  }
  const { name, input, trunk, tasks, cuts } = await readJson(`${dir}/suite.json`, SUITE, limits);
  const lists = Object.entries(cuts).map(([label, cut]) => [label, [cut].flat()] as const);
  const suite: Suite = { dir, name, input, trunk, tasks, cuts: Object.fromEntries(lists), limits };
  for (const task of taskNames(suite)) modelsOf(suite, task);
  return suite;
}

/** The tasks of a suite, in its own order. */
export function taskNames(suite: Suite): TaskName[] {
  return (Object.keys(suite.tasks) as TaskName[]).filter((task) => suite.tasks[task] !== undefined);
}

/** Throws `INVALID_ARGUMENT` for a task that the suite has not. */
export function entryOf<Name extends TaskName>(suite: Suite, task: Name): NonNullable<SuiteTasks[Name]> {
  const entry = Object.hasOwn(suite.tasks, task) ? suite.tasks[task] : undefined;
  if (entry) return entry as NonNullable<SuiteTasks[Name]>;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `suite ${suite.name} has no task '${task}'; it has ${taskNames(suite).join(', ')}`,
  );
}

/** Paths of the models that make up a task's network, one after the other: trunk and tail, or a single one. */
export function modelsOf(suite: Suite, task: TaskName): string[] {
  const { tail, model } = entryOf(suite, task);
  const chain = model === undefined ? [suite.trunk, tail] : [model];
  return chain.filter((file) => file !== undefined).map((file) => pathIn(suite, file, `the models of ${task}`));
}

/**
 * A file of the suite. Paths in a suite are relative, with `/`. Throws `SUITE_INVALID` for one that is absolute or leads
 * out of the folder by `..`; links within the folder are followed.
 */
export function pathIn({ dir }: Suite, relative: string, where: string): string {
  const outside = /^[\\/]|^[A-Za-z]:|\0/.test(relative) || relative.split(/[\\/]/).includes('..');
  if (outside) {
    throw invalid(
      dir,
      where,
      `'${relative}' is not a path within the folder; keep a suite's files in it and name them from it`,
    );
  }
  return `${dir}/${relative}`;
}
