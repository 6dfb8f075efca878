import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newTable } from '../../src/table.ts';
import { chromium, firefox } from './browsers.ts';
import { bundleInto } from './bundle.ts';
import type { Report, Way } from './golden.ts';
import { bun, deno, node } from './processes.ts';
import type { Runtime } from './runtime.ts';
import { workerd } from './workerd.ts';

/*
 * npm run test:runtimes -- [--only NAMES] [--require NAMES] [--json FILE]
 * Reads and makes the golden files on each runtime that is installed, and exits with 1 where one differs from the golden files
 * or from the others, fails, or is required and not there. NAMES are separated by commas.
 */

const RUNTIMES: readonly Runtime[] = [node, bun, deno, workerd, chromium, firefox];
const START_MS = 60_000;
const REPORT_MS = 60_000;

/** One runtime made to code one way. */
interface Row {
  readonly runtime: string;
  readonly version: string;
  readonly way: Way;
  readonly report: Report | null;
  readonly problems: string[];
}

const { values: options } = parseArgs({
  options: { only: { type: 'string' }, require: { type: 'string' }, json: { type: 'string' } },
});
const required = namesOf(options.require);
const chosen = options.only === undefined ? RUNTIMES.map(({ name }) => name) : namesOf(options.only);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
const within = (milliseconds: number): AbortSignal => AbortSignal.any([stop.signal, AbortSignal.timeout(milliseconds)]);

const rows: Row[] = [];
const missing: string[] = [];
const folder = mkdtempSync(join(tmpdir(), 'isthmus-runtimes-'));
try {
  await bundleInto(folder);
  for (const runtime of RUNTIMES.filter(({ name }) => chosen.includes(name))) {
    if (stop.signal.aborted) break;
    await runOn(runtime);
  }
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
compareDigests();
show();

function namesOf(list = ''): string[] {
  const names = list.split(',').filter((name) => name !== '');
  const known = RUNTIMES.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return names;
  console.error(`no runtime is named ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}

async function runOn(runtime: Runtime): Promise<void> {
  const { name, ways } = runtime;
  const add = (way: Way, version: string, report: Report | null, problems: readonly string[]) =>
    rows.push({ runtime: name, version, way, report, problems: [...problems] });
  try {
    const open = await runtime.open(folder, within(START_MS));
    if (open === null) {
      missing.push(name);
      return;
    }
    try {
      for (const way of ways) {
        try {
          const report = await open.report(way, within(REPORT_MS));
          add(way, open.version, report, report.differences);
        } catch (error) {
          add(way, open.version, null, [String(error)]);
        }
      }
    } finally {
      await open.close();
    }
  } catch (error) {
    for (const way of ways) add(way, '', null, [`it is installed and does not start: ${error}`]);
  }
}

/** All digests are the first one's. */
function compareDigests(): void {
  const first = rows.find(({ report }) => report !== null);
  for (const { report, problems } of rows) {
    if (first?.report && report && report.digest !== first.report.digest) {
      problems.push(`its random packets are not those of ${first.runtime} ${first.version}`);
    }
  }
}

function show(): void {
  const table = newTable(
    ['runtime', 'version', 'way', 'codecs', 'packets', 'encoded', 'random', 'streams', 'scenes', 'digest', 'result'],
    3,
    process.stdout.isTTY,
  );
  for (const { runtime, version, way, report, problems } of rows) {
    table.push([
      runtime,
      version,
      way,
      report?.codecs ?? '',
      report?.packets ?? '',
      report?.encoded ?? '',
      report?.random ?? '',
      report?.streams ?? '',
      report?.scenes ?? '',
      report?.digest.slice(0, 12) ?? '',
      problems.length === 0 ? 'same' : `${problems.length} PROBLEMS`,
    ]);
  }
  console.log(table.toString());
  for (const { runtime, way, problems } of rows) {
    for (const problem of problems) console.log(`${runtime}, ${way}: ${problem}`);
  }
  for (const { name, install } of RUNTIMES.filter((runtime) => missing.includes(runtime.name))) {
    console.log(`${name} is not installed${required.includes(name) ? ', and is required' : ''}: ${install}`);
  }
  const lacking = required.filter((name) => !rows.some(({ runtime }) => runtime === name));
  const failed = rows.filter(({ problems }) => problems.length > 0).length + lacking.length;
  const passed = rows.length + lacking.length - failed;
  console.log(`${passed} passed, ${failed} failed, ${missing.length} not installed`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ passed, failed, missing, rows }, null, 2)}\n`);
  }
  if (stop.signal.aborted) console.error(stop.signal.reason.message);
  if (failed > 0 || rows.length === 0 || stop.signal.aborted) process.exitCode = 1;
}
