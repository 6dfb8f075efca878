import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { defineConfig } from 'tsdown';

/**
 * The bench as one plain module, so that no loader stands between it and what it measures: `src/` is taken from the `dist/` that
 * users get, and packages from node_modules, in whose cache the module lies.
 */
export default defineConfig({
  cwd: process.cwd(),
  entry: 'bench/entropy/run.ts',
  outDir: 'node_modules/.cache/isthmus-bench',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  dts: false,
  fixedExtension: true,
  logLevel: 'warn',
  plugins: [
    {
      name: 'src-from-dist',
      resolveId(source, importer) {
        const path = /\/src\/(.+)\.ts$/.exec(source)?.[1];
        if (path) return { id: pathToFileURL(resolve(`dist/${path}.js`)).href, external: true };
        return importer && !source.startsWith('.') ? { id: source, external: true } : null;
      },
    },
  ],
});
