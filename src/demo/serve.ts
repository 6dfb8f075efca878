import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { createAdaptorServer } from '@hono/node-server';
import { IsthmusError, messageOf } from '../errors.ts';
import { openSuite, taskNames } from '../tasks/index.ts';
import { openAnswering } from './answering.ts';
import { demoApp } from './app.ts';
import { ownNames } from './guard.ts';
import { readPage } from './page-files.ts';
import { type NamedCodec, openParts } from './parts.ts';
import { suitePictures } from './pictures.ts';
import type { Manifest } from './wire.ts';

export interface DemoOptions {
  readonly codecs: readonly NamedCodec[];
  /** 0 takes a free one. */
  readonly port: number;
  readonly host: string;
  /** Is told what went wrong on our side while a request was served. */
  readonly onFailure: (thrown: unknown) => void;
}

export interface Demo {
  readonly url: string;
  readonly manifest: Manifest;
  close(): Promise<void>;
}

/** Threads inside an operator of the tails at most: a browser beside them computes too. */
const MOST_THREADS = 4;
/** The suite whose pictures `fixtures/scenes` draws; the page draws them by itself. */
const SCENES = 'scenes';
/** Milliseconds until a request must have come whole. */
const REQUEST_MS = 30_000;

/**
 * Serves the demo of a suite: the page, the heads for the browser, and answers from packets. Throws what opening the suite, its models and
 * the codecs throws, `PEER_MISSING` without a runtime, `INVALID_ARGUMENT` for a port that is taken.
 */
export async function serveDemo(dir: string, { codecs, port, host, onFailure }: DemoOptions): Promise<Demo> {
  const suite = await openSuite(dir);
  const page = await readPage();
  const parts = await openParts(suite, codecs);
  const pictures = await suitePictures(suite);
  const { imageBytes, imagePixels, questionCharacters } = suite.limits;
  const manifest: Manifest = {
    suite: suite.name,
    input: suite.input,
    tasks: taskNames(suite),
    codecs: parts.codecs,
    pictures: pictures.map(({ name, questions }, i) => ({ url: `/api/pictures/${i}`, name, questions })),
    scenes: suite.name === SCENES,
    limits: { imageBytes, imagePixels, questionCharacters },
  };
  const threads = Math.min(MOST_THREADS, availableParallelism());
  const answering = await openAnswering({ ...parts.answering, threads });
  const app = demoApp({
    manifest,
    files: new Map([...page, ...parts.files]),
    pictures,
    answering,
    packetBytes: parts.packetBytes,
    limits: suite.limits,
    names: ownNames(host),
    onFailure,
  });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
  }) as Server;
  await listen(server, port, host).catch(async (thrown) => {
    await answering.close();
    throw thrown;
  });
  return {
    url: urlOf(server.address() as AddressInfo),
    manifest,
    async close() {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await ended;
      await answering.close();
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
      const what = taken ? 'the port is taken; --port 0 takes a free one' : messageOf(cause);
      reject(new IsthmusError('INVALID_ARGUMENT', `cannot listen at ${host}:${port}: ${what}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
}

/** An address that a browser on this machine opens. Only `localhost` and 127.0.0.1 are secure contexts without TLS. */
function urlOf({ address, port, family }: AddressInfo): string {
  if (['0.0.0.0', '::'].includes(address)) return `http://localhost:${port}/`;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`;
}
