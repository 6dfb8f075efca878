import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Report } from './golden.ts';
import type { Runtime } from './runtime.ts';

/* Runtimes that are commands: each report is a process of its own. */

const { resolve } = createRequire(import.meta.url);
const ofPackage = (name: string, file: string): string => join(dirname(resolve(`${name}/package.json`)), file);
const INSTALL = 'npm ci (its install script must run: allowScripts in package.json)';

const command = (
  name: string,
  program: () => string,
  flags: (folder: string) => readonly string[],
  environment: (folder: string) => NodeJS.ProcessEnv,
): Runtime => ({
  name,
  ways: ['typescript', 'webassembly'],
  install: INSTALL,
  open: async (folder, signal) => {
    const run = async (args: readonly string[], until: AbortSignal): Promise<string> => {
      const env = { ...process.env, ...environment(folder) };
      const options = { env, signal: until, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 } as const;
      return (await promisify(execFile)(program(), args, options)).stdout.trim();
    };
    let version: string;
    try {
      version = /\d[\w.+-]*/.exec(await run(['--version'], signal))?.[0] ?? 'of no version';
    } catch {
      // Without its install script the package is there and its program is not, or is a text that says so.
      signal.throwIfAborted();
      return null;
    }
    const args = [...flags(folder), join(folder, 'command.mjs'), join(folder, 'golden.json')];
    return {
      version,
      report: async (way, until): Promise<Report> => JSON.parse(await run([...args, way], until)),
      close: async () => {},
    };
  },
});

const suffix = process.platform === 'win32' ? '.exe' : '';

export const node = command(
  'node',
  () => process.execPath,
  () => [],
  () => ({ NODE_OPTIONS: '' }),
);

export const bun = command(
  'bun',
  () => ofPackage('bun', 'bin/bun.exe'),
  () => ['--no-install'],
  (folder) => ({ BUN_RUNTIME_TRANSPILER_CACHE_PATH: join(folder, 'bun') }),
);

export const deno = command(
  'deno',
  () => ofPackage('deno', `deno${suffix}`),
  (folder) => ['run', '--no-config', '--no-lock', '--no-remote', '--no-prompt', `--allow-read=${folder}`],
  (folder) => ({ DENO_DIR: join(folder, 'deno'), DENO_NO_UPDATE_CHECK: '1' }),
);
