import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { KLT_MODELS, type KltModel } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { Cache, SuiteLosses, type TaskLoss } from '../evaluate/index.ts';
import { writeBeside } from '../files.ts';
import { cutNetwork, openNetwork } from '../network.ts';
import type { Graph } from '../onnx/index.ts';
import { identity } from '../packet/index.ts';
import { printable } from '../table.ts';
import { type InputSpec, openSuite, type Suite, taskNames } from '../tasks/index.ts';
import {
  FITTED_KINDS,
  type FitJob,
  fitCodec,
  type PictureItem,
  parseRecipe,
  picturesIn,
  splitPictures,
} from '../train/index.ts';
import { addChainOptions, type ChainOptions, collectText, openChain, tensorsNamed } from './chain.ts';
import { addPictureOptions, type PictureOptions, pictureInput } from './picture-input.ts';
import { interruptible, progressBar } from './progress.ts';

interface Options extends PictureOptions, ChainOptions {
  at: string[];
  kind: (typeof FITTED_KINDS)[number];
  out: string;
  step?: number;
  bits?: number;
  axis?: number;
  entropy?: KltModel;
  weight?: 'task';
  tasks?: string[];
  levels?: number;
  images?: string;
  split: string;
  limit: number;
  seed: number;
  cache?: string;
  quiet?: boolean;
  json?: boolean;
}

/** Adds `isthmus fit`. */
export function addFit(program: Command): void {
  const command = program
    .command('fit')
    .summary('make a codec file from statistics')
    .description(
      'Makes a codec for a cut. A folder with a suite.json brings its models, pictures and preparation; else name the models, chained ' +
        'in order, and a folder of pictures.',
    )
    .argument('<models...>', 'a suite folder, or ONNX models in order')
    .requiredOption('--at <TENSOR>', 'tensor to cut at, or a cut that the suite names; repeat for several', collectText)
    .requiredOption('--out <FILE>', 'the codec file to write')
    .addOption(new Option('--kind <KIND>', 'kind of codec').choices(FITTED_KINDS).default('klt'))
    .option('--bits <B>', 'klt: bits an element to aim at', number)
    .option('--step <S>', "klt: quantization step in the feature's units", number)
    .option('--axis <N>', 'klt: axis of the vectors (channels, or the last axis)', number)
    .addOption(
      new Option('--entropy <MODEL>', 'klt: probabilities from neighbours (fewest bytes), or tables (fastest)').choices(
        KLT_MODELS,
      ),
    )
    .addOption(
      new Option('--weight <WHAT>', 'klt: fewest bytes for what tasks answer, not for squared error').choices(['task']),
    )
    .option('--tasks <NAMES>', "tasks of --weight, joined by commas (default: all of the suite's)", list)
    .option('--levels <N>', 'int8-deflate: integers from -N to N', number)
    .option('--images <DIR>', 'pictures to learn from')
    .option('--split <NAME>', "the suite's split to learn from", 'train')
    .option('--limit <N>', 'pictures to learn from, at most', number, 300)
    .option('--seed <N>', 'chooses the pictures', number, 0);
  addChainOptions(addPictureOptions(command))
    .option('--cache <DIR>', 'where features are kept between runs')
    .option('--quiet', 'no progress')
    .option('--json', 'print what was made as JSON')
    .addHelpText(
      'after',
      `
Examples:
  isthmus fit photos --at "after block 6" --bits 1.5 --out block6.codec
  isthmus fit photos --at "after block 9" --bits 0.6 --weight task --tasks classification,vqa --out block9.codec
  isthmus fit resnet50.onnx --at /layer2/layer2.3/relu_2/Relu_output_0 --bits 1 --images pictures \\
    --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --out layer2.codec`,
    )
    .action(fit);
}

async function fit(models: string[], options: Options): Promise<void> {
  const { graph, input, images, cut, losses } = await sourceOf(models, options);
  const recipe = parseRecipe({
    kind: options.kind,
    cut,
    step: options.step,
    bits: options.bits ?? (options.kind === 'klt' && options.step === undefined ? 1.5 : undefined),
    axis: options.axis,
    entropy: options.entropy,
    weight: options.weight,
    tasks: options.tasks,
    levels: options.levels,
    images: options.limit,
    seed: options.seed,
  });
  const bar = progressBar('features', options.quiet);
  let done = 0;
  const job: FitJob = {
    recipe,
    graph,
    input,
    images,
    losses,
    name: models.map((path) => basename(path)).join(' + '),
    cache: new Cache(options.cache),
    signal: interruptible(),
    onImages: (count, total) => {
      done += count;
      bar.update(done, total);
    },
    onBad: ({ message }) => process.stderr.write(printable(`skipped: ${message}\n`)),
  };
  const { codec, card } = await fitCodec(job).finally(() => bar.stop());
  const file = codec.toBytes(card);
  await writeBeside(options.out, [file]);
  const made = {
    file: options.out,
    bytes: file.length,
    kind: codec.kind,
    setting: codec.setting,
    id: identity(codec.id),
  };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...made, features: codec.features })}\n`
      : `${made.file}: ${made.kind} ${made.setting} for ${cut.join(', ')}, identity ${made.id}, ${made.bytes} bytes\n`,
  );
}

interface Source {
  graph: Graph;
  input: InputSpec;
  images: string[];
  cut: string[];
  losses?: TaskLoss[];
}

async function sourceOf(models: readonly string[], options: Options): Promise<Source> {
  if (models.length === 1 && existsSync(join(models[0], 'suite.json'))) return suiteSource(models[0], options);
  if (options.images === undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      'name a folder of pictures with --images DIR, or a suite folder instead of models',
    );
  }
  if (options.tasks !== undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      '--tasks names tasks of a suite; without one --weight task takes what the model answers',
    );
  }
  const graph = await openChain(models, options);
  return {
    graph,
    input: await pictureInput(graph, options),
    images: pathsOf(await picturesIn(options.images)),
    cut: options.at,
  };
}

async function suiteSource(folder: string, options: Options): Promise<Source> {
  const suite = await openSuite(folder);
  const note = (reason: string) =>
    process.stderr.write(printable(`note: pictures of other tasks only, since ${reason}\n`));
  const pictures = await (options.images === undefined
    ? splitPictures(suite, options.split, note)
    : picturesIn(options.images));
  const network = await networkWith(suite, options.at);
  const losses = options.weight === 'task' ? await lossesAt(suite, network.cut, options) : undefined;
  return { ...network, images: pathsOf(pictures), losses };
}

/** The losses of the tasks named, or of all that can be cut there. */
async function lossesAt(suite: Suite, cut: readonly string[], { tasks, split }: Options): Promise<TaskLoss[]> {
  const names = taskNames(suite);
  const unknown = tasks?.find((task) => !names.some((name) => name === task));
  if (unknown !== undefined) {
    throw new IsthmusError('INVALID_ARGUMENT', `the suite has no task '${unknown}'; it has ${names.join(', ')}`);
  }
  const wanted = names.filter((name) => tasks === undefined || tasks.includes(name));
  const losses = await new SuiteLosses(suite, wanted, split).at(cut);
  const missing = wanted.filter((name) => !losses.some((loss) => loss.name === name));
  if (missing.length === 0) return losses;
  const what = `${missing.join(', ')} cannot be cut there or has no split '${split}'`;
  if (tasks !== undefined) throw new IsthmusError('INVALID_ARGUMENT', `${what}; leave it out of --tasks`);
  process.stderr.write(printable(`note: weighted without ${what}\n`));
  return losses;
}

/** The first of the suite's networks that can be cut there: each task may have a model of its own. */
async function networkWith(suite: Suite, at: readonly string[]): Promise<Omit<Source, 'images'>> {
  const refused: IsthmusError[] = [];
  for (const name of taskNames(suite)) {
    const { graph, input } = await openNetwork(suite, name);
    const cut = at.flatMap((each) => suite.cuts[each] ?? tensorsNamed(graph, [each]));
    try {
      cutNetwork(graph, cut, input.name);
      return { graph, input, cut };
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError && thrown.code.startsWith('CUT_'))) throw thrown;
      refused.push(thrown);
    }
  }
  throw refused[0];
}

function pathsOf(pictures: readonly PictureItem[]): string[] {
  return pictures.map(({ path }) => path);
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('not a number');
  return value;
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
