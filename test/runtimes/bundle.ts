import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const GOLDEN = here('../../fixtures/golden/');

/**
 * Fills a folder with what runs in the runtimes: `golden.mjs` with all that it needs, `command.mjs`, `worker.mjs` and
 * `page.mjs` that import it, `kernels.wasm`, and the golden files as `golden.json`, base64 by name.
 */
export async function bundleInto(folder: string): Promise<void> {
  await build({
    config: false,
    entry: ['golden', 'command', 'worker', 'page'].map((name) => here(`${name}.ts`)),
    outDir: folder,
    clean: false,
    dts: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    deps: { alwaysBundle: [/./], neverBundle: [/^node:(fs|process)$/] },
    outExtensions: () => ({ js: '.mjs' }),
    logLevel: 'error',
    inputOptions: {
      preserveEntrySignatures: 'allow-extension',
      resolve: { mainFields: ['module', 'main'] },
    },
  });
  copyFileSync(here('../../src/kernels/kernels.wasm'), join(folder, 'kernels.wasm'));
  const files = readdirSync(GOLDEN, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  const golden = files.map((path) => [relative(GOLDEN, path).split(sep).join('/'), readFileSync(path, 'base64')]);
  writeFileSync(join(folder, 'golden.json'), JSON.stringify(Object.fromEntries(golden)));
}
