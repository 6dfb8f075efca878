import { defineConfig } from 'tsdown';

/** One output file a source file, so that every subpath export and the worker entry keep their place. */
export default defineConfig({
  entry: ['src/**/*.ts', '!src/kernels/assembly/**', '!src/**/*.d.wasm.ts'],
  copy: ['kernels.wasm', 'kernels.d.wasm.ts'].map((file) => ({ from: `src/kernels/${file}`, to: 'dist/kernels' })),
  unbundle: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  dts: true,
  sourcemap: true,
  clean: true,
  fixedExtension: false,
});
