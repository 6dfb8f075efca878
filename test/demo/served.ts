import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Codec } from '../../src/codec/index.ts';
import type { Answered, Manifest, Refused } from '../../src/demo/wire.ts';
import { openDevice } from '../../src/device.ts';
import { openEdge } from '../../src/edge.ts';
import { cutNetwork, openNetwork } from '../../src/network.ts';
import { type OpenSession, openSession } from '../../src/runtime/index.ts';
import { type ImageInput, openSuite, type TaskName, taskNames } from '../../src/tasks/index.ts';
import { MAIN } from '../cli/run.ts';
import { tinyLearned } from '../tasks/tiny-learned.ts';
import { makeTinySuite } from '../tasks/tiny-suite.ts';

/** Rates of the tiny codecs, the finest first. */
export const STEPS = [0.125, 0.5, 2] as const;

/** `isthmus demo`, built, on a tiny suite with a codec at three rates. */
export interface Served {
  readonly url: string;
  readonly dir: string;
  readonly codecs: readonly Codec[];
  readonly child: ChildProcess;
  /** What it wrote to standard error. */
  readonly said: () => string;
  /** Ends it as Ctrl-C does; its exit code. */
  stop(): Promise<number | null>;
  remove(): Promise<void>;
}

/** With another `name` than its own the suite passes for that one. */
export async function serveTiny(images = 8, name = 'tiny'): Promise<Served> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-demo-'));
  await makeTinySuite(join(dir, 'tiny'), 7, { images, splits: ['val'] });
  const file = join(dir, 'tiny/suite.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), name }));
  const codecs = STEPS.map((step) => tinyLearned(false, step));
  const files = codecs.map((_, i) => join(dir, `step-${STEPS[i]}.codec`));
  await Promise.all(codecs.map((codec, i) => writeFile(files[i], codec.toBytes())));
  const args = ['demo', join(dir, 'tiny'), ...files.flatMap((file) => ['--codec', file]), '--port', '0', '--json'];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const first = once(createInterface(child.stdout), 'line') as Promise<[string]>;
  const line = await Promise.race([first, ended.then(() => null)]);
  if (line === null) throw new Error(`isthmus demo did not start: ${said}`);
  const stop = async () => {
    child.kill('SIGINT');
    return (await ended)[0];
  };
  return {
    url: (JSON.parse(line[0]) as { url: string }).url,
    dir: join(dir, 'tiny'),
    codecs,
    child,
    said: () => said,
    stop,
    async remove() {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Both halves in one process, the way that the demo's answers are held to. */
export async function openNodePath(dir: string, codecs: readonly Codec[]) {
  const suite = await openSuite(dir);
  const halves = new Map<number, Awaited<ReturnType<typeof openRate>>>();
  for (const codec of codecs) halves.set(codec.id, await openRate(suite.dir, codec, taskNames(suite)));
  return {
    encode: (id: number, image: ImageInput) => halves.get(id)!.device.encode(image),
    /** What every task answers from a packet. */
    async answer(id: number, packet: Uint8Array, question: string): Promise<Required<Answered['answers']>> {
      const answers: Record<string, unknown> = {};
      for (const { name, edge } of halves.get(id)!.edges) {
        answers[name] = name === 'vqa' ? await edge.answer(packet, question) : await edge.answer(packet);
      }
      return answers as unknown as Required<Answered['answers']>;
    },
  };
}

async function openRate(dir: string, codec: Codec, tasks: readonly TaskName[]) {
  const cut = codec.features.map(({ name }) => name);
  const opened = await Promise.all(tasks.map((name) => openNetwork(dir, name)));
  const cuts = opened.map(({ graph, input }) => cutNetwork(graph, cut, input.name));
  const open: OpenSession = (model, options) => openSession(model, { ...options, threads: 1 });
  const device = await openDevice({ input: opened[0].input, head: cuts[0].head, codec, open });
  const edges = await Promise.all(
    tasks.map(async (name, i) => {
      const edge = await openEdge({ tail: cuts[i].tail, codec, task: opened[i].task as never, open });
      return { name, edge: edge as { answer(packet: Uint8Array, ask?: string): Promise<unknown> } };
    }),
  );
  return { device, edges };
}

export async function manifestOf(url: string): Promise<Manifest> {
  return (await (await fetch(`${url}api/manifest`)).json()) as Manifest;
}

/** Posts a form to the demo; a packet is bytes. */
export async function post(
  url: string,
  fields: Readonly<Record<string, Uint8Array | string>>,
): Promise<{ status: number; body: Answered & Refused }> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.set(name, typeof value === 'string' ? value : new Blob([value as Uint8Array<ArrayBuffer>]));
  }
  const response = await fetch(`${url}api/answer`, { method: 'POST', body: form });
  return { status: response.status, body: (await response.json()) as Answered & Refused };
}

/** A picture of the tiny suite, by its place in the manifest. */
export async function pictureOf(dir: string, name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(join(dir, 'images/val', name)));
}
