import { rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { IsthmusError } from '../errors.ts';
import { makeFolder } from '../evaluate/index.ts';
import { saveGraph } from '../onnx/index.ts';
import { openSuite } from '../tasks/index.ts';
import { finetuneSuite, readRecipeFile, SUITE_RECIPE, suiteCard } from '../train/index.ts';
import { interruptible, stageBars } from './progress.ts';
import { noteBad } from './train-source.ts';
import { drawCurve, filesBeside, provenanceOf, writeText } from './training-files.ts';

export interface SuiteOptions {
  readonly recipe?: string;
  readonly out: string;
  readonly threads?: number;
  readonly workers?: number;
  readonly measureEvery?: number;
  readonly checkpointEvery: number;
  readonly resume?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** Trains the models of a suite together by a recipe, and writes them, log, curve and card into the folder `out`. */
export async function finetuneSuiteModels(folder: string, options: SuiteOptions): Promise<void> {
  if (options.recipe === undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `${folder} is a suite, whose models are trained together by a recipe; give one with --recipe (docs/training.md)`,
    );
  }
  const { recipe } = await readRecipeFile(options.recipe, SUITE_RECIPE);
  const suite = await openSuite(folder);
  await makeFolder(options.out);
  const files = filesBeside(join(options.out, 'finetune'));
  const signal = interruptible();
  const bars = stageBars(options.quiet);
  const trained = await finetuneSuite({
    suite,
    recipe,
    measureEvery: options.measureEvery,
    checkpoint: { path: files.checkpoint, every: options.checkpointEvery, resume: options.resume },
    log: files.log,
    threads: options.threads,
    workers: options.workers,
    signal,
    onBad: noteBad,
    onPictures: (done, total) => bars.tell('reading pictures', done, total),
    onStep: ({ step, steps, loss, stepsPerSecond, measured }) => {
      const right = Object.entries(measured).flatMap(([name, share]) => {
        const task = /^validation right\/(\w+)$/.exec(name)?.[1];
        return task === undefined ? [] : [`, ${task} ${(100 * share).toFixed(1)} %`];
      });
      bars.tell(
        'training',
        step,
        steps,
        `loss ${loss.toFixed(4)}, ${stepsPerSecond.toPrecision(3)} steps/s${right.join('')}`,
      );
    },
    onScored: (done, total) => bars.tell('scoring', done, total),
  }).finally(() => bars.stop());
  const bytes: Record<string, number> = {};
  for (const { file, graph } of trained.models) {
    const path = join(options.out, file);
    await makeFolder(dirname(path));
    await saveGraph(graph, path);
    bytes[file] = (await stat(path)).size;
  }
  const card = suiteCard({
    name: suite.name,
    recipe,
    trained,
    bytes,
    provenance: await provenanceOf(
      files,
      `isthmus finetune ${basename(folder)} --recipe ${basename(options.recipe)} --out ${basename(options.out)}`,
    ),
  });
  await writeText(files.card, card);
  await drawCurve(files, suite.name);
  // The weights are written: nothing is left to go on with.
  await rm(files.checkpoint, { force: true });
  const { weights, pictures, scores } = trained;
  const made = { folder: options.out, models: bytes, ...weights, steps: recipe.steps, pictures, scores };
  const text = scores.map((each) => {
    const [[metric, points]] = Object.entries(each.scores);
    return `${each.task} ${metric} ${points.toFixed(2)}`;
  });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...made, card: files.card, log: files.log })}\n`
      : `${options.out}: ${weights.parameters} parameters trained for ${recipe.steps} steps on ${pictures} pictures; ${text.join(', ')}\n`,
  );
}
