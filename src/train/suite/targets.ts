import { uniformInt } from 'pure-rand/distribution/uniformInt';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { IsthmusError } from '../../errors.ts';
import type { Lesson } from '../../tasks/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import type { Turn } from '../data/order.ts';
import { randomOf } from '../random.ts';
import type { Example } from './examples.ts';
import type { Choices } from './objective.ts';

/** Tells the training graph what is right for the pictures of a batch: the inputs of {@link Choices}, by name. */
export type Targets = (turns: readonly Turn[]) => Record<string, Tensor>;

/**
 * What is drawn for a picture in an epoch (which caption, which questions) follows from seed, epoch and picture alone. Where
 * pictures are without a task, those that have it count more, so that the loss of a task is the mean over its pictures.
 * Throws `DATA_INVALID` for labels that the models have no choice for, and a task or output that no picture has.
 */
export function targetsOf(
  examples: readonly Example[],
  choices: readonly Choices[],
  { questions, seed }: { readonly questions: number; readonly seed: number },
): Targets {
  const made = choices.map((each) => {
    if (each.count !== undefined) return auxiliaryTargets(examples, each, each.count);
    return taskTargets(examples, each, each.part === 'vqa' ? questions : 1, seed);
  });
  return (turns) => Object.assign({}, ...made.map((targets) => targets(turns)));
}

function taskTargets(examples: readonly Example[], choices: Choices, count: number, seed: number): Targets {
  const { part, classes, labels, weights, tokens } = choices;
  const lessonsOf = (example: Example) => example.tasks[part]?.lessons ?? [];
  let given = 0;
  // A row without a lesson is given another's words and counts nothing: of none at all, a tail may give no number.
  let spare: Lesson | undefined;
  for (const example of examples) {
    const lessons = lessonsOf(example);
    spare ??= lessons[0];
    given += Math.min(count, lessons.length) / count;
    for (const lesson of lessons) checkLabels(lesson.labels, classes, example.path, part);
  }
  if (given === 0) throw new IsthmusError('DATA_INVALID', `no picture has anything to learn ${part} from`);
  const scale = examples.length / given / count;
  return (turns) => {
    const lessons = turns.flatMap(({ item, epoch }) =>
      drawn(lessonsOf(examples[item]), count, randomOf(part, seed, epoch, examples[item].hash)),
    );
    const positions = Math.max(1, ...lessons.map((lesson) => lesson?.labels.length ?? 1));
    const length = Math.max(1, ...lessons.map((lesson) => (lesson ?? spare)?.tokens?.length ?? 1));
    const right = new BigInt64Array(lessons.length * positions);
    const worth = new Float32Array(lessons.length * positions);
    const said = new BigInt64Array(lessons.length * length);
    for (const [row, lesson] of lessons.entries()) {
      for (const [at, token] of ((lesson ?? spare)?.tokens ?? []).entries()) said[row * length + at] = BigInt(token);
      for (const [at, label] of (lesson?.labels ?? []).entries()) {
        right[row * positions + at] = BigInt(label);
        worth[row * positions + at] = scale / (lesson as Lesson).labels.length;
      }
    }
    const shape = [turns.length, count * positions];
    return {
      [labels]: tensor('int64', shape, right),
      [weights]: tensor('float32', shape, worth),
      ...(tokens && {
        [tokens]: tensor('int64', part === 'vqa' ? [turns.length, count, length] : [turns.length, length], said),
      }),
    };
  };
}

/** `count` different ones; `undefined` where there are fewer. */
function drawn(lessons: readonly Lesson[], count: number, random: RandomGenerator): (Lesson | undefined)[] {
  const left = [...lessons];
  return Array.from({ length: count }, () => {
    if (left.length === 0) return undefined;
    return left.splice(uniformInt(random, 0, left.length - 1), 1)[0];
  });
}

function auxiliaryTargets(
  examples: readonly Example[],
  { name, classes, labels, weights }: Choices,
  count: number,
): Targets {
  let given = 0;
  for (const { path, auxiliary } of examples) {
    const list = auxiliary[name];
    if (list === undefined) continue;
    if (list.length !== count) {
      throw new IsthmusError(
        'DATA_INVALID',
        `${path} has ${list.length} labels of ${name}, and the model makes ${count} choices`,
      );
    }
    checkLabels(list, classes, path, name);
    if (list.some((label) => label >= 0)) given++;
  }
  if (given === 0) throw new IsthmusError('DATA_INVALID', `no picture has labels of ${name}`);
  const scale = examples.length / given;
  return (turns) => {
    const right = new BigInt64Array(turns.length * count);
    const worth = new Float32Array(turns.length * count);
    for (const [row, { item }] of turns.entries()) {
      const list = examples[item].auxiliary[name];
      if (list === undefined) continue;
      const told = list.reduce((sum, label) => (label >= 0 ? sum + 1 : sum), 0);
      for (const [at, label] of list.entries()) {
        if (label < 0) continue;
        right[row * count + at] = BigInt(label);
        worth[row * count + at] = scale / told;
      }
    }
    const shape = [turns.length, count];
    return { [labels]: tensor('int64', shape, right), [weights]: tensor('float32', shape, worth) };
  };
}

function checkLabels(labels: ArrayLike<number>, classes: number, path: string, what: string): void {
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] < classes) continue;
    throw new IsthmusError(
      'DATA_INVALID',
      `${path} has label ${labels[i]} of ${what}, and the model has ${classes} choices, from 0 to ${classes - 1}`,
    );
  }
}
