import { basename, resolve } from 'node:path';
import type { Codec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { type BadInput, bench, type Cache, sample } from '../evaluate/index.ts';
import { cutNetwork } from '../network.ts';
import { openSession } from '../runtime/index.ts';
import { printable } from '../table.ts';
import { openSuite, readSplit, type Suite, type TaskName, teachImages } from '../tasks/index.ts';
import {
  holdOut,
  type LearnJob,
  type MeasuredCodec,
  measureHeldOut,
  type PictureItem,
  picturesIn,
  picturesOfList,
  readPictures,
  suiteSource,
  type TrainRecipe,
} from '../train/index.ts';
import { openChain } from './chain.ts';
import { pictureInput } from './picture-input.ts';
import { progressBar } from './progress.ts';

/** What a recipe is read with. */
interface Reading {
  readonly recipe: TrainRecipe;
  /** That paths in the recipe are relative to. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly cache: Cache;
  readonly quiet?: boolean;
}

/** The models, tasks and pictures that a recipe names. */
export interface Source {
  readonly training: Pick<LearnJob, 'head' | 'input' | 'tasks' | 'pictures'>;
  readonly cut: string;
  /** What the codec says it was made for. */
  readonly name: string;
  /** What the card tells of a codec. */
  readonly measure: (name: string, codec: Codec) => Promise<Pick<MeasuredCodec, 'points' | 'heldOut'>>;
}

/**
 * Opens what a recipe names. Throws `INVALID_ARGUMENT` unless that is a suite or models with pictures, and what opening, cutting and
 * reading throw.
 */
export async function sourceOf(reading: Reading): Promise<Source> {
  const { recipe, folder } = reading;
  if ((recipe.suite === undefined) === (recipe.models === undefined)) {
    throw new IsthmusError('INVALID_ARGUMENT', 'a recipe names either a suite or models');
  }
  const picturesAt = recipe.data.pictures === undefined ? undefined : resolve(folder, recipe.data.pictures);
  const pictures = picturesAt === undefined ? undefined : await picturesOf(picturesAt);
  if (recipe.suite !== undefined)
    return sourceOfSuite(reading, await openSuite(resolve(folder, recipe.suite)), pictures);
  if (pictures === undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      'data.pictures: models need a folder or a list of pictures to learn from',
    );
  }
  return sourceOfModels(
    reading,
    (recipe.models as string[]).map((path) => resolve(folder, path)),
    pictures,
  );
}

async function sourceOfSuite(
  { recipe, signal, cache, quiet }: Reading,
  suite: Suite,
  given?: readonly PictureItem[],
): Promise<Source> {
  const named = Object.hasOwn(suite.cuts, recipe.cut) ? suite.cuts[recipe.cut] : [recipe.cut];
  if (named.length !== 1) {
    throw new IsthmusError(
      'CUT_INVALID',
      `'${recipe.cut}' cuts at ${named.length} tensors, and a transform is trained for one`,
    );
  }
  const [cut] = named;
  const training = await suiteSource(suite, cut, recipe.data.split, note);
  const pictures = given ?? training.pictures;
  return {
    training: { ...training, pictures: limited(pictures, recipe) },
    cut,
    name: suite.name,
    async measure(name, codec) {
      const tasks = await tasksWith(
        suite,
        recipe.measure.split,
        training.tasks.map((task) => task.name as TaskName),
      );
      if (tasks.length === 0) return { points: [] };
      const bar = progressBar(`measuring ${name}`, quiet);
      const { points } = await bench({
        dir: suite.dir,
        open: openSession,
        tasks,
        split: recipe.measure.split,
        ways: [],
        codecs: [{ name, codec }],
        limit: recipe.measure.limit,
        cache,
        signal,
        onProgress: ({ done, total, label }) => bar.update(done, total, label),
      }).finally(() => bar.stop());
      return { points };
    },
  };
}

/** The tasks that have the split. */
async function tasksWith(suite: Suite, split: string, names: readonly TaskName[]): Promise<TaskName[]> {
  const tasks: TaskName[] = [];
  for (const name of names) {
    const items = await readSplit(suite, name, split).catch(() => []);
    if (items.length > 0) tasks.push(name);
    else note(`${name} has no pictures in ${split} to be measured on`);
  }
  return tasks;
}

/** Share of the pictures that codecs of bare models are measured on, and not trained. */
const HELD_OUT = 0.05;

async function sourceOfModels(
  { recipe, signal }: Reading,
  paths: readonly string[],
  all: readonly PictureItem[],
): Promise<Source> {
  const whole = await openChain(paths, {});
  const input = await pictureInput(whole, {
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    order: 'RGB',
    ...recipe.input,
  });
  const { head, tail, headHash } = cutNetwork(whole, [recipe.cut], input.name);
  const { rest, heldOut } = holdOut(
    await readPictures(limited(all, recipe), input, { signal, onBad: noteBad }),
    HELD_OUT,
    recipe.seed,
  );
  return {
    training: {
      head: { graph: head, hash: headHash },
      input,
      tasks: [{ name: 'logits', whole, tail, teach: teachImages, asks: new Map([['', [null]]]) }],
      pictures: rest,
    },
    cut: recipe.cut,
    name: paths.map((path) => basename(path)).join(' + '),
    async measure(_name, codec) {
      const what = { input, pictures: heldOut, open: openSession, signal };
      return { points: [], heldOut: await measureHeldOut(codec, { head, tail, whole }, what) };
    },
  };
}

async function picturesOf(path: string): Promise<PictureItem[]> {
  return /\.(json|jsonl|ndjson|csv)$/i.test(path) ? picturesOfList(path) : picturesIn(path);
}

/** As many as the recipe says, chosen by its seed. */
function limited(pictures: readonly PictureItem[], { data: { limit }, seed }: TrainRecipe): readonly PictureItem[] {
  return limit === undefined || limit >= pictures.length ? pictures : sample(pictures, limit, seed);
}

/** Tells a person something beside the output. */
export function note(text: string): void {
  process.stderr.write(printable(`note: ${text}\n`));
}

export function noteBad({ message }: BadInput): void {
  note(`skipped: ${message}`);
}
