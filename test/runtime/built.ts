import { rm } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'tsdown';
import config from '../../tsdown.config.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Builds a floor of `src` as the package is built, from what the source says now, and gives the URL of its index. A worker
 * thread starts from a JavaScript file, and vitest's own transformation leaves none. `threads` are files of other floors that
 * threads start from.
 */
export async function buildFloor(floor: string, outDir: string, threads: readonly string[] = []): Promise<string> {
  await build({
    ...config,
    config: false,
    cwd: ROOT,
    entry: [`src/${floor}/*.ts`, ...threads],
    root: 'src',
    outDir,
    dts: false,
    logLevel: 'error',
  });
  return pathToFileURL(`${outDir}/${floor}/index.js`).href;
}

export interface BuiltRuntime {
  /** What another process imports. */
  readonly url: string;
  readonly module: typeof import('../../src/runtime/index.ts');
  remove(): Promise<void>;
}

/** `src/runtime`, built below `node_modules`, so that packages are found and git sees nothing. */
export async function builtRuntime(): Promise<BuiltRuntime> {
  const out = `${ROOT}node_modules/.cache/isthmus-runtime-${process.pid}`;
  const url = await buildFloor('runtime', out);
  const module = await import(/* @vite-ignore */ url);
  return { url, module, remove: () => rm(out, { recursive: true, force: true }) };
}
