import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IsthmusError } from '../errors.ts';

/** Where the build puts the page, from the built file's place. */
const PAGE = fileURLToPath(new URL('./page/', import.meta.url));

/** What a page needs of onnxruntime-web; the second loads the third, and starts threads from itself. */
const RUNTIME = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.avif': 'image/avif',
};

/** The content type of a file by its name. */
export function typeOf(name: string): string {
  return TYPES[extname(name).toLowerCase()] ?? 'application/octet-stream';
}

/** The page's own files and the runtime that it loads, by address. Throws `FILE_NOT_FOUND` for a page that was not built, `PEER_MISSING`. */
export async function readPage(): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = await readdir(PAGE).catch((cause) => {
    throw new IsthmusError('FILE_NOT_FOUND', `the page of the demo is not at ${PAGE}; run npm run build`, { cause });
  });
  const own = names.filter((name) => extname(name) in TYPES).map((name) => [`/${name}`, join(PAGE, name)] as const);
  const dist = runtimeFolder();
  const runtime = RUNTIME.map((name) => [`/runtime/${name}`, join(dist, name)] as const);
  const read = await Promise.all(
    [...own, ...runtime].map(async ([address, path]) => [address, await readFile(path)] as const),
  ).catch((cause) => {
    throw new IsthmusError('FILE_UNREADABLE', `a file of the demo's page cannot be read: ${cause.message}`, { cause });
  });
  const files = new Map<string, Uint8Array>(read);
  return files.set('/', files.get('/index.html') as Uint8Array);
}

/** The installed onnxruntime-web: its JavaScript and its WebAssembly must be of one version, so the page's bundle holds neither. */
function runtimeFolder(): string {
  try {
    return join(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'), '..');
  } catch (cause) {
    throw new IsthmusError(
      'PEER_MISSING',
      'the demo runs its head in the browser and needs the optional package onnxruntime-web; run `npm i onnxruntime-web`',
      { cause },
    );
  }
}
