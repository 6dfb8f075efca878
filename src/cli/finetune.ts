import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { IsthmusError } from '../errors.ts';
import { type Graph, saveGraph } from '../onnx/index.ts';
import { printable } from '../table.ts';
import { openSuite } from '../tasks/index.ts';
import {
  type FinetuneRecipe,
  finetune as finetuneModel,
  holdOut,
  type PictureItem,
  parseFinetuneRecipe,
  picturesByClass,
  picturesOfList,
  readPictures,
  splitPictures,
} from '../train/index.ts';
import { addChainOptions, type ChainOptions, collectText, openChain } from './chain.ts';
import { finetuneSuiteModels } from './finetune-suite.ts';
import { addPictureOptions, type PictureOptions, pictureInput } from './picture-input.ts';
import { interruptible, progressBar } from './progress.ts';
import { drawCurve, filesBeside, writeText } from './training-files.ts';

interface Options extends PictureOptions, ChainOptions {
  data?: string;
  recipe?: string;
  validation?: string;
  holdOut: number;
  out: string;
  logits?: string;
  weights?: string[];
  freeze?: string[];
  init: FinetuneRecipe['init'];
  steps?: number;
  epochs?: number;
  batch: number;
  accumulate: number;
  optimizer: FinetuneRecipe['optimizer'];
  momentum: number;
  rate: number;
  schedule: FinetuneRecipe['schedule'];
  warmup: number;
  decay: number;
  clip?: number;
  smoothing: number;
  average?: number;
  augment: boolean;
  seed: number;
  threads?: number;
  workers?: number;
  measureEvery?: number;
  checkpointEvery: number;
  resume?: boolean;
  quiet?: boolean;
  json?: boolean;
}

/** Adds `isthmus finetune`. */
export function addFinetune(program: Command): void {
  const command = program
    .command('finetune')
    .summary("train models' weights")
    .description(
      'Trains weights of a classifier on labelled pictures (several models are chained in order) and writes ONNX, with a log, a loss ' +
        'curve and a card beside it. Of a suite, trunk and tails are trained together by a recipe, and written into a folder. ' +
        'BatchNormalization keeps its statistics.',
    )
    .argument('<models...>', 'ONNX models in order, or one folder with a suite.json')
    .option(
      '--data <PATH>',
      'a folder with one folder a class, a list of pictures and labels (JSON, JSON lines, CSV), or a suite',
    )
    .option(
      '--recipe <FILE>',
      'of a suite: the recipe, JSON; it says all that is trained, so that the options from --data to --seed do not',
    )
    .requiredOption('--out <PATH>', 'the ONNX file to write; of a suite, the folder')
    .option('--validation <PATH>', 'pictures to score on, given as --data is')
    .option('--hold-out <SHARE>', 'share of --data to score on, where there is no --validation', number, 0.1)
    .option('--logits <TENSOR>', 'the output of logits, where there are several')
    .option('--weights <PATTERN>', 'weights to train, * for any text; repeat for several (all)', collectText)
    .option('--freeze <PATTERN>', 'weights to leave as they are; repeat for several', collectText)
    .addOption(
      new Option('--init <WHAT>', 'start from the weights of the model, or random ones')
        .choices(['model', 'random'])
        .default('model'),
    )
    .option('--steps <N>', 'steps to train', number)
    .option('--epochs <N>', 'or how often each picture comes (10)', number)
    .option('--batch <N>', 'pictures a batch', number, 32)
    .option('--accumulate <N>', 'batches a step, gradients averaged', number, 1)
    .addOption(new Option('--optimizer <KIND>', 'optimizer').choices(['adamw', 'sgd']).default('adamw'))
    .option('--momentum <M>', 'sgd: momentum', number, 0.9)
    .option('--rate <R>', 'learning rate', number, 3e-4)
    .addOption(
      new Option('--schedule <KIND>', 'how the rate falls').choices(['constant', 'cosine', 'linear']).default('cosine'),
    )
    .option('--warmup <N>', 'steps over which the rate rises', number, 0)
    .option('--decay <D>', 'weight decay of matrices and kernels', number, 0.05)
    .option('--clip <NORM>', 'clip gradients to this global norm', number)
    .option('--smoothing <S>', 'label smoothing', number, 0.1)
    .option('--average <D>', 'write a moving average of the weights, of this decay, such as 0.999', number)
    .option('--no-augment', 'pictures as they are, not cropped, mirrored and varied in colour')
    .option('--seed <N>', 'decides order, variations and random weights', number, 0)
    .option('--threads <N>', 'threads of an operator', number)
    .option('--workers <N>', 'threads that share the pictures of a batch', number)
    .option('--measure-every <N>', 'steps between two scores; at the ends alone where absent', number)
    .option('--checkpoint-every <N>', 'steps between two checkpoints', number, 100)
    .option('--resume', 'go on from the checkpoint');
  addChainOptions(addPictureOptions(command))
    .option('--quiet', 'no progress')
    .option('--json', 'print what was made as JSON')
    .addHelpText(
      'after',
      `
Examples:
  isthmus finetune resnet18.onnx --data flowers --epochs 20 --rate 1e-3 --freeze 'layer1*' --out flowers.onnx \\
    --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  isthmus finetune small.onnx --data train.csv --validation val.csv --init random --steps 5000 --warmup 200 --out trained.onnx
  isthmus finetune scenes --recipe recipe.json --workers 2 --out trained`,
    )
    .action(finetune);
}

async function finetune(models: string[], options: Options): Promise<void> {
  if (models.length === 1 && existsSync(join(models[0], 'suite.json'))) return finetuneSuiteModels(models[0], options);
  const graph = await openChain(models, options);
  const signal = interruptible();
  const { pictures, validation, classes, input } = await dataOf(graph, options, signal);
  const recipe = recipeOf(options, pictures.length);
  const files = filesBeside(options.out);
  const bar = progressBar('training', options.quiet);
  const result = await finetuneModel({
    recipe,
    graph,
    name: models.map((path) => basename(path)).join(' + '),
    input,
    pictures,
    validation,
    classes,
    logits: options.logits,
    measureEvery: options.measureEvery,
    checkpoint: { path: files.checkpoint, every: options.checkpointEvery, resume: options.resume },
    log: files.log,
    threads: options.threads,
    workers: options.workers,
    signal,
    onStep: ({ step, steps, loss, stepsPerSecond, measured }) => {
      const top1 = measured['validation top-1'];
      const score = top1 === undefined ? '' : `, top-1 ${percent(top1)}`;
      bar.update(step, steps, `loss ${loss.toFixed(4)}, ${stepsPerSecond.toPrecision(3)} steps/s${score}`);
    },
  }).finally(() => bar.stop());
  await saveGraph(result.graph, options.out);
  await writeText(files.card, result.card);
  await drawCurve(files, models.map((path) => basename(path)).join(' + '));
  // The weights are written: nothing is left to go on with.
  await rm(files.checkpoint, { force: true });
  const { weights, before, after } = result;
  const made = { file: options.out, ...weights, steps: recipe.steps, pictures: pictures.length, before, after };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...made, validation: validation.length, card: files.card, log: files.log })}\n`
      : `${made.file}: ${weights.parameters} parameters trained for ${made.steps} steps on ${made.pictures} pictures` +
          `${before && after ? `; top-1 on ${validation.length} others ${percent(before.top1)} before, ${percent(after.top1)} after` : ''}\n`,
  );
}

async function dataOf(graph: Graph, options: Options, signal: AbortSignal) {
  const { data, validation } = options;
  if (data === undefined) throw new IsthmusError('INVALID_ARGUMENT', 'name the pictures to learn from with --data');
  const input = await pictureInput(
    graph,
    existsSync(join(data, 'suite.json')) ? { ...options, suite: options.suite ?? data } : options,
  );
  const read = async (items: readonly PictureItem[], what: string) => {
    const bar = progressBar(what, options.quiet);
    return readPictures(items, input, {
      onBad: ({ message }) => process.stderr.write(printable(`skipped: ${message}\n`)),
      onPictures: (done, total) => bar.update(done, total),
      signal,
    }).finally(() => bar.stop());
  };
  const training = await itemsOf(data, 'train');
  const other = validation === undefined ? await suiteValidation(data) : await itemsOf(validation, 'val');
  checkClasses(training.classes, other?.classes);
  const pictures = await read(training.items, 'reading pictures');
  if (other)
    return { input, pictures, validation: await read(other.items, 'reading pictures'), classes: training.classes };
  const { rest, heldOut } = holdOut(pictures, options.holdOut, options.seed);
  return { input, pictures: rest, validation: heldOut, classes: training.classes };
}

interface Labelled {
  items: PictureItem[];
  classes?: string[];
}

/** The labelled pictures that a path names: a suite's split, a folder of classes, or a list. */
async function itemsOf(path: string, split: string): Promise<Labelled> {
  if (existsSync(join(path, 'suite.json'))) {
    const items = await splitPictures(await openSuite(path), split);
    return { items: items.filter(({ label }) => label !== undefined) };
  }
  const found = await stat(path).catch(() => undefined);
  if (found === undefined)
    throw new IsthmusError('FILE_NOT_FOUND', `${path} does not exist; check the path of the data`);
  if (!found.isDirectory()) return { items: await picturesOfList(path) };
  const { pictures, classes } = await picturesByClass(path);
  return { items: pictures, classes };
}

async function suiteValidation(data: string): Promise<Labelled | undefined> {
  return existsSync(join(data, 'suite.json')) ? itemsOf(data, 'val') : undefined;
}

function checkClasses(training: readonly string[] | undefined, validation: readonly string[] | undefined): void {
  if (training === undefined || validation === undefined) return;
  if (training.join('\n') === validation.join('\n')) return;
  const other = [...training, ...validation].find((name) => !training.includes(name) || !validation.includes(name));
  throw new IsthmusError(
    'DATA_INVALID',
    `the folders of --data and --validation are not the same classes: '${other}' is in one alone`,
  );
}

function recipeOf(options: Options, pictures: number): FinetuneRecipe {
  const { epochs = 10, batch, accumulate, augment } = options;
  const steps = options.steps ?? Math.max(1, Math.ceil((epochs * pictures) / (batch * accumulate)));
  const { weights, freeze, init, optimizer, momentum, rate, schedule, warmup, decay, clip, smoothing, average, seed } =
    options;
  return parseFinetuneRecipe({
    weights,
    freeze,
    init,
    steps,
    batch,
    accumulate,
    optimizer,
    momentum,
    rate,
    schedule,
    warmup,
    decay,
    clip,
    smoothing,
    average,
    seed,
    ...(augment ? {} : { augmentation: null }),
  });
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('not a number');
  return value;
}
