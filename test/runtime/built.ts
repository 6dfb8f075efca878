import { rm } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'tsdown';
import config from '../../tsdown.config.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Below node_modules, so that packages are found and git sees nothing. */
const OUT = `${ROOT}node_modules/.cache/isthmus-runtime-${process.pid}`;

export interface BuiltRuntime {
  /** What another process imports. */
  readonly url: string;
  readonly module: typeof import('../../src/runtime/index.ts');
  remove(): Promise<void>;
}

/**
 * `src/runtime` built as the package is, from what the source says now: a worker thread starts from a JavaScript file,
 * which vitest's own transformation does not leave anywhere.
 */
export async function builtRuntime(): Promise<BuiltRuntime> {
  await build({
    ...config,
    config: false,
    cwd: ROOT,
    entry: ['src/runtime/*.ts'],
    root: 'src',
    outDir: OUT,
    dts: false,
    logLevel: 'error',
  });
  const url = pathToFileURL(`${OUT}/runtime/index.js`).href;
  const module = await import(/* @vite-ignore */ url);
  return { url, module, remove: () => rm(OUT, { recursive: true, force: true }) };
}
