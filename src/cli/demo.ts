import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError } from 'commander';
import type { NamedCodec } from '../demo/index.ts';
import { messageOf } from '../errors.ts';
import { readWhole } from '../files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { printable } from '../table.ts';

interface Options {
  codec?: string[];
  port: number;
  host: string;
  json?: boolean;
}

const PORT = 8128;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The suite and the codecs that the package brings along. */
const SCENES = join(ROOT, 'models/scenes');
const CODECS = join(ROOT, 'codecs');

/** Adds `isthmus demo`. */
export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('show a suite in the browser, live')
    .description(
      'Serves a page on this machine. Head, analysis and entropy coder run in the browser, the tails here; the page shows a picture ' +
        'or the camera, the packet beside it, and what the tasks answer. Without a suite it shows the scenes that isthmus brings along.',
    )
    .argument('[suite]', 'folder with a suite.json')
    .option('--codec <file>', 'a codec file for the suite; repeat for several rates', collect)
    .option('--port <n>', 'port to listen at; 0 takes a free one', asPort, PORT)
    .option(
      '--host <address>',
      'address to listen at; others than this machine reach it only if you say so',
      '127.0.0.1',
    )
    .option('--json', 'print the address as JSON, for programs')
    .addHelpText(
      'after',
      `
Examples:
  isthmus demo
  isthmus demo photos --codec block6-0.45.codec --codec block6-0.9.codec --port 0`,
    )
    .action(run);
}

async function run(suite: string | undefined, { codec, port, host, json }: Options): Promise<void> {
  const stopped = stopSignal();
  const files = codec ?? (suite === undefined ? await ownCodecs() : []);
  const codecs = await Promise.all(files.map(readCodecFile));
  // The other commands do without a server.
  const { serveDemo } = await import('../demo/index.ts');
  const demo = await serveDemo(suite ?? SCENES, {
    codecs,
    port,
    host,
    onFailure: (thrown) => process.stderr.write(`isthmus: ${printable(messageOf(thrown))}\n`),
  });
  process.stdout.write(json ? `${JSON.stringify({ url: demo.url })}\n` : `${demo.url}\nCtrl-C ends it\n`);
  await stopped;
  await demo.close();
}

/** Settles at Ctrl-C, or when the process is asked to end. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

/** The codec files of the scenes, in order of their names. */
async function ownCodecs(): Promise<string[]> {
  const folders = await readdir(CODECS).catch(() => []);
  const files = folders
    .filter((folder) => folder.startsWith('scenes-'))
    .map(async (folder) => (await readdir(join(CODECS, folder))).map((name) => join(CODECS, folder, name)));
  return (await Promise.all(files))
    .flat()
    .filter((file) => extname(file) === '.codec')
    .sort();
}

async function readCodecFile(path: string): Promise<NamedCodec> {
  const bytes = await readWhole(path, DEFAULT_LIMITS, 'codecBytes', 'codec file');
  return { name: basename(path, extname(path)), bytes };
}

function collect(file: string, files: readonly string[] = []): string[] {
  return [...files, file];
}

function asPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('It is a whole number from 0 to 65535.');
  return port;
}
