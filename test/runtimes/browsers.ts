import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'puppeteer-core';
import type { Report, Way } from './golden.ts';
import { type BrowserName, launchBrowser, programOf } from './launch.ts';
import { type Runtime, unlessAborted } from './runtime.ts';

const CLOSE_MS = 10_000;

/** Nothing but the page's own scripts and files; what else a way may do. */
const POLICY = "default-src 'none'; connect-src 'self'; script-src 'self'";
const POLICIES: ReadonlyMap<Way, string> = new Map([
  ['typescript', POLICY],
  ['webassembly', `${POLICY} 'wasm-unsafe-eval'`],
  ['refused', POLICY],
]);

const browser = (name: BrowserName, install: string): Runtime => ({
  name,
  ways: [...POLICIES.keys()],
  install,
  open: async (folder, signal) => {
    const program = programOf(name);
    if (program === null) return null;
    // Kills the browser and all that it started.
    const kill = new AbortController();
    const launching = launchBrowser(name, program, folder, { signal: kill.signal });
    const started = await unlessAborted(launching, signal).catch(async (error) => {
      kill.abort();
      await launching.catch(() => {});
      throw error;
    });
    const server = await serve(folder);
    return {
      version: (await started.version()).replace(/^.*\//, ''),
      report: (way, until) => unlessAborted(reportOf(started, server, way), until),
      close: async () => {
        server.closeAllConnections();
        server.close();
        await unlessAborted(started.close(), AbortSignal.timeout(CLOSE_MS)).catch(() => kill.abort());
      },
    };
  },
});

async function reportOf(browser: Browser, server: Server, way: Way): Promise<Report> {
  const page = await browser.newPage();
  const said: string[] = [];
  page.on('pageerror', (error) => said.push(String(error)));
  page.on('console', (message) => said.push(message.text()));
  try {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${way}`);
    return (await page.evaluate('report')) as Report;
  } catch (error) {
    throw new Error([String(error), ...said].join('; '), { cause: error });
  } finally {
    await page.close();
  }
}

/** Serves the bundle to the page: a way is a page under its policy, whatever has another name is a file. */
async function serve(folder: string): Promise<Server> {
  const server = createServer((request, response) => {
    const name = (request.url as string).slice(1);
    const policy = POLICIES.get(name as Way);
    if (policy !== undefined) {
      response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy });
      response.end('<!doctype html><title>isthmus</title><script type="module" src="/page.mjs"></script>');
    } else if (/^(page|golden)\.mjs$|^golden\.json$/.test(name)) {
      response.writeHead(200, { 'content-type': name.endsWith('json') ? 'application/json' : 'text/javascript' });
      response.end(readFileSync(join(folder, name)));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}

export const chromium = browser('chromium', 'on Debian apt-get install chromium');
export const firefox = browser('firefox', 'on Debian apt-get install firefox-esr');
