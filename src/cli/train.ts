import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { Cache } from '../evaluate/index.ts';
import { writeBeside } from '../files.ts';
import { identity } from '../packet/index.ts';
import {
  cardOf,
  type LearnJob,
  learnCodecs,
  type MeasuredCodec,
  readRecipeFile,
  rehearse,
  TRAIN_RECIPE,
  type TrainRecipe,
} from '../train/index.ts';
import { interruptible, stageBars } from './progress.ts';
import { noteBad, sourceOf } from './train-source.ts';
import { drawCurve, filesBeside, provenanceOf, writeText } from './training-files.ts';

interface Options {
  out: string;
  resume?: boolean;
  dryRun?: boolean;
  cache?: string;
  threads?: number;
  workers?: number;
  quiet?: boolean;
  json?: boolean;
}

/** Adds `isthmus train`. */
export function addTrain(program: Command): void {
  program
    .command('train')
    .summary('train a codec through the tail')
    .description(
      'Carries out a recipe: trains the transform of a codec through the frozen tail, so that answers stay those of the uncut model, and ' +
        'writes codec files, a card with what was measured, a log and a loss curve. docs/training.md tells what a recipe says.',
    )
    .argument('<recipe>', 'a recipe, JSON')
    .requiredOption('--out <FILE>', 'the codec file to write; the other files stand beside it')
    .option('--resume', 'go on from the checkpoint of a run that was stopped')
    .option('--dry-run', 'try a few steps on a few pictures and tell shapes, memory and time; nothing is written')
    .option('--cache <DIR>', 'where features and answers are kept between runs')
    .option('--threads <N>', 'threads of an operator; the same number gives the same codec', count)
    .option('--workers <N>', 'threads that share the pictures of a step; the same number gives the same codec', count)
    .option('--quiet', 'no progress')
    .option('--json', 'print what was made as JSON')
    .addHelpText(
      'after',
      `
Example:
  isthmus train block6.json --dry-run --out block6.codec
  isthmus train block6.json --out block6.codec`,
    )
    .action(train);
}

async function train(file: string, options: Options): Promise<void> {
  const { recipe, folder } = await readRecipeFile(file, TRAIN_RECIPE);
  const signal = interruptible();
  const source = await sourceOf({ recipe, folder, signal, cache: new Cache(options.cache), quiet: options.quiet });
  const bars = stageBars(options.quiet);
  const files = filesBeside(options.out);
  const job: LearnJob = {
    recipe,
    ...source.training,
    cut: source.cut,
    name: source.name,
    cache: new Cache(options.cache),
    files,
    resume: options.resume,
    threads: options.threads,
    workers: options.workers,
    signal,
    onProgress: ({ stage, done, total, training }) => {
      const label = training && `loss ${training.loss.toFixed(4)}, ${training.stepsPerSecond.toPrecision(3)} steps/s`;
      bars.tell(stage, done, total, label);
    },
    onBad: noteBad,
  };
  if (options.dryRun) {
    const told = await rehearse({ ...job, onProgress: undefined });
    process.stdout.write(options.json ? `${JSON.stringify(told)}\n` : rehearsalText(told, recipe));
    return;
  }
  const learned = await learnCodecs(job).finally(() => bars.stop());
  const measured: MeasuredCodec[] = [];
  for (const { step, codec } of learned.codecs) {
    const path = learned.codecs.length === 1 ? options.out : `${files.stem}-${step}.codec`;
    const name = basename(path, '.codec');
    measured.push({ file: basename(path), step, codec, ...(await source.measure(name, codec)) });
  }
  const card = cardOf({
    recipe,
    learned,
    measured,
    provenance: await provenanceOf(files, `isthmus train ${basename(file)} --out ${basename(options.out)}`),
  });
  for (const { file: name, codec } of measured)
    await writeBeside(join(dirname(options.out), name), [codec.toBytes(card)]);
  await writeText(files.card, card);
  await drawCurve(files, basename(file));
  // The codecs are written: nothing is left to go on with.
  await rm(files.checkpoint, { force: true });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ card: files.card, log: files.log, codecs: measured.map(madeOf) })}\n`
      : measured.map((each) => `${lineOf(each, dirname(options.out))}\n`).join(''),
  );
}

// What is written and told

function madeOf({ file, step, codec, points, heldOut }: MeasuredCodec) {
  return { file, step, identity: identity(codec.id), points, heldOut };
}

function lineOf({ file, codec, points, heldOut }: MeasuredCodec, folder: string): string {
  const scores = points.map(
    ({ task, bytes, loss }) => `${task} ${bytes.toFixed(0)} bytes at a loss of ${loss.toFixed(2)}`,
  );
  if (heldOut)
    scores.push(`${heldOut.bytes.toFixed(0)} bytes, ${(100 * heldOut.agreement).toFixed(1)} % the same class`);
  return `${join(folder, file)}: ${codec.kind} ${codec.setting}, identity ${identity(codec.id)}; ${scores.join(', ')}`;
}

function rehearsalText(told: Awaited<ReturnType<typeof rehearse>>, recipe: TrainRecipe): string {
  const minutes = (seconds: number) => (seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const all = Object.values(told.seconds).reduce((sum, seconds) => sum + seconds, 0);
  return [
    `feature     ${told.feature.name} [${told.feature.shape.join(', ')}]`,
    ...told.latents.map(({ name, shape }) => `latents     ${name} [${shape.join(', ')}]`),
    `parameters  ${told.parameters}, a codec file of ${megabytes(told.codecBytes)}`,
    `pictures    ${told.pictures} in ${recipe.data.versions} versions, ${megabytes(told.cacheBytes)} on disk`,
    `memory      ${megabytes(told.memoryBytes)}`,
    `a step      ${told.secondsAStep.toFixed(2)} s of ${recipe.schedule.batch} pictures`,
    `time        ${minutes(all)}: ${Object.entries(told.seconds)
      .map(([stage, seconds]) => `${stage} ${minutes(seconds)}`)
      .join(', ')}`,
    '',
  ].join('\n');
}

function count(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError('a whole number of at least 1 is needed');
}
