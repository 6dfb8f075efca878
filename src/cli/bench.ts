import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { IsthmusError } from '../errors.ts';
import {
  type BenchDocument,
  type BenchResult,
  bench,
  Cache,
  type Circumstances,
  controlLine,
  makeFolder,
  type Progress,
  pointsTable,
  pointsToCsv,
  reportPage,
  summaryTable,
  WAYS,
} from '../evaluate/index.ts';
import { openVega } from '../evaluate/report/vega.ts';
import { writeBeside } from '../files.ts';
import { openSession } from '../runtime/index.ts';
import { printable } from '../table.ts';
import { openSuite, type TaskName, taskNames } from '../tasks/index.ts';
import { openCodec } from './codec-file.ts';
import { interruptible, progressBar } from './progress.ts';

interface Options {
  task: string;
  split: string;
  cut?: string[];
  ways?: string;
  limit?: number;
  seed: number;
  out?: string;
  report?: string;
  cache?: string;
  codec?: string[];
  fresh?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** Threads that answer side by side at most: each holds the weights of the model. */
const MOST_PARALLEL = 4;

/** Pictures of each task in a report. */
const SAMPLES = 6;

/** Between two lines of progress where standard error is no terminal. */
const LINE_EVERY_MS = 10_000;

/** Adds `isthmus bench`. */
export function addBench(program: Command): void {
  program
    .command('bench')
    .summary('measure bytes against score on a suite of images')
    .description(
      'Measures what each way of sending costs in bytes and does to the score: pictures (PNG, JPEG, WebP, AVIF), features through ' +
        'codecs, and the control of answering on the device. Losses are paired: the same images through the uncut model and ' +
        'the way. Stopped by Ctrl-C, the same command goes on where it was.',
    )
    .argument('<dir>', 'folder with a suite.json')
    .option('--task <names>', 'all, or some of classification,captioning,vqa', 'all')
    .option('--split <name>', 'split to measure', 'val')
    .option('--cut <cut...>', 'cuts named in suite.json, or TENSOR[,TENSOR]; after <dir> (default: all of suite.json)')
    .option('--ways <ways>', `some of ${WAYS.join(',')} (default: all)`)
    .option('--limit <n>', 'images of each task, drawn by seed (default: all)', atLeast(1))
    .option('--seed <n>', 'draws images, training images and the bootstrap', atLeast(0), 1)
    .option('--codec <file...>', 'measure codec files too, each at its own cut')
    .option('--out <dir>', 'write points.json, points.csv and report.html there')
    .option('--report <file>', 'write a report to look at: one HTML file that needs nothing beside it')
    .option('--cache <dir>', "where features, answers and finished points are kept (default: the user's cache folder)")
    .option('--fresh', 'measure points again that an earlier run finished')
    .option('--json', 'print what points.json holds instead of tables')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Examples:
  isthmus bench photos --task all --split val --limit 200 --cut "after block 6" --out results
  isthmus bench photos --limit 200 --codec block6.codec --report report.html
  isthmus bench photos --task vqa --ways reference,device,jpeg,klt --cut /blocks/blocks.5/Add_1_output_0
  isthmus bench photos --task classification --ways jpeg,webp --codec block6.codec`,
    )
    .action(run);
}

async function run(dir: string, options: Options): Promise<void> {
  const start = performance.now();
  const cache = new Cache(options.cache);
  const tasks = await tasksOf(dir, options.task);
  // Found out now, not after an hour.
  const reports = await reportFiles(options);
  const show = reporter(options.quiet);
  const result = await bench({
    dir,
    open: openSession,
    parallel: Math.min(MOST_PARALLEL, availableParallelism()),
    tasks,
    split: options.split,
    cuts: options.cut,
    ways: options.ways === undefined ? undefined : waysOf(options.ways),
    limit: options.limit,
    seed: options.seed,
    codecs: await Promise.all(
      (options.codec ?? []).map(async (file) => ({
        name: basename(file, extname(file)),
        codec: await openCodec(file),
      })),
    ),
    samples: reports.length > 0 ? SAMPLES : 0,
    cache,
    fresh: options.fresh,
    signal: interruptible(),
    onProgress: (progress) => show.progress(progress),
    onBad: ({ message }) => show.line(printable(`skipped: ${message}`)),
    onNote: (note) => show.line(printable(`note: ${note}`)),
  }).finally(() => show.stop());
  const document: BenchDocument = { ...result, run: { ...circumstances(start), ...result.run } };
  const json = `${JSON.stringify({ run: document.run, points: result.points, summary: result.summary }, null, 2)}\n`;
  if (options.out !== undefined) await writeResults(options.out, json, document);
  await writeReports(reports, document, (line) => show.line(line));
  if (options.json) process.stdout.write(json);
  else process.stdout.write(tables(result));
  const { entries, bytes } = await cache.size();
  show.line(
    `cache: ${(bytes / 2 ** 20).toFixed(0)} MiB in ${entries} files in ${cache.folder}; deleting it loses only time`,
  );
  if (!result.run.complete) {
    throw new IsthmusError('ABORTED', 'stopped; finished points are kept, the same command goes on from there');
  }
}

/** What the numbers depend on beside the options: a speed means nothing without. */
function circumstances(start: number): Circumstances {
  const [cpu] = cpus();
  return {
    command: ['isthmus', ...process.argv.slice(2)],
    date: new Date().toISOString(),
    seconds: (performance.now() - start) / 1000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    versions: { isthmus: manifest.version, node: process.version },
    machine: {
      platform: `${platform()} ${release()} ${arch()}`,
      cpu: cpu?.model ?? 'unknown',
      cores: cpus().length,
      memoryBytes: totalmem(),
    },
  };
}

async function writeResults(folder: string, json: string, { points }: BenchDocument): Promise<void> {
  await writeText(join(folder, 'points.json'), json);
  await writeText(join(folder, 'points.csv'), pointsToCsv(points));
}

/** A report to write. One that was not asked for by name is left out, with a line that says so, where it cannot be drawn. */
interface ReportFile {
  readonly path: string;
  readonly asked: boolean;
}

/** Folders are made and what draws is looked for now, not after an hour. */
async function reportFiles({ out, report }: Options): Promise<ReportFile[]> {
  if (out !== undefined) await makeFolder(out);
  if (report !== undefined) {
    await openVega('draw reports');
    await makeFolder(dirname(report));
  }
  return [
    ...(report === undefined ? [] : [{ path: report, asked: true }]),
    ...(out === undefined ? [] : [{ path: join(out, 'report.html'), asked: false }]),
  ];
}

async function writeReports(files: readonly ReportFile[], document: BenchDocument, say: (line: string) => void) {
  if (files.length === 0) return;
  let page: string;
  try {
    page = await reportPage(document);
  } catch (thrown) {
    const optional = files.every(({ asked }) => !asked);
    if (!(optional && thrown instanceof IsthmusError && thrown.code === 'PEER_MISSING')) throw thrown;
    say(`no report.html: ${thrown.message}`);
    return;
  }
  for (const { path } of files) {
    await writeText(path, page);
    say(`report: ${printable(path)}`);
  }
}

function writeText(path: string, content: string): Promise<void> {
  return writeBeside(path, [new TextEncoder().encode(content)]);
}

function tables({ run: { tasks, metric, cuts, skipped, complete }, points, summary }: BenchResult): string {
  const options = { styled: process.stdout.isTTY === true, cuts };
  const parts = tasks.flatMap((task) => {
    const ofTask = points.filter((point) => point.task === task);
    if (ofTask.length === 0) return [];
    return [`${task}, ${metric[task]}, ${ofTask[0].images} images`, pointsTable(ofTask, options), ''];
  });
  if (summary.length > 0) {
    parts.push('Bytes an image at a loss of 0.1, 0.5 and 1 point, interpolated', summaryTable(summary, options), '');
  }
  const control = controlLine(points);
  if (control !== '') parts.push('Control', control, '');
  if (skipped.length > 0) parts.push(`${skipped.length} images could not be used and were skipped`, '');
  if (!complete) parts.push('The run was stopped; these are the points that it had finished', '');
  return parts.join('\n');
}

/** Progress on standard error: a bar on a terminal, else a line now and then. */
function reporter(quiet = false) {
  const bar = progressBar('', quiet);
  const tty = process.stderr.isTTY === true;
  const start = performance.now();
  let said = start;
  return {
    progress({ label, done, total }: Progress): void {
      bar.update(done, total, label);
      const now = performance.now();
      if (quiet || tty || now - said < LINE_EVERY_MS) return;
      said = now;
      const left = done > 0 ? ((now - start) / 1000) * (total / done - 1) : 0;
      process.stderr.write(`${done} of ${total} images, about ${Math.ceil(left)} s left: ${label}\n`);
    },
    line(text: string): void {
      process.stderr.write(`${text}\n`);
    },
    stop: () => bar.stop(),
  };
}

async function tasksOf(dir: string, given: string): Promise<TaskName[]> {
  const names = taskNames(await openSuite(dir));
  if (given === 'all') return names;
  return list(given).map((name) => {
    const known = names.find((each) => each === name);
    if (known) return known;
    throw new IsthmusError('INVALID_ARGUMENT', `the suite has no task '${name}'; it has ${names.join(', ')}`);
  });
}

function waysOf(given: string): (typeof WAYS)[number][] {
  return list(given).map((name) => {
    const known = WAYS.find((way) => way === name);
    if (known) return known;
    throw new IsthmusError('INVALID_ARGUMENT', `'${name}' is no way of sending; choose from ${WAYS.join(', ')}`);
  });
}

/** The names in a list joined by commas, each once. */
function list(given: string): string[] {
  const names = given.split(',').map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== '');
}

function atLeast(least: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
    throw new InvalidArgumentError(`a whole number of at least ${least} is needed`);
  };
}
