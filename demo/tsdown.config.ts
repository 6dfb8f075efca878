import { defineConfig } from 'tsdown';

/**
 * The demo's page, bundled from the package as it is published (`dist`, built before), for browsers. ONNX Runtime is no part of it: the
 * server hands out the files of the onnxruntime-web that is installed, so that its JavaScript and WebAssembly are of one version.
 */
export default defineConfig({
  entry: ['main.ts', 'device-worker.ts'],
  outDir: '../dist/demo/page',
  copy: ['index.html', 'style.css'].map((file) => ({ from: file, to: '../dist/demo/page' })),
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  // Its paths would lead to `src` instead of the package.
  inputOptions: { tsconfig: false },
  dts: false,
  minify: true,
  deps: { alwaysBundle: [/./], neverBundle: ['onnxruntime-web', 'sharp', /^@tensorflow\//, /^node:/] },
  outputOptions: { paths: { 'onnxruntime-web': '/runtime/ort.wasm.min.mjs' } },
  clean: true,
  logLevel: 'warn',
});
