import { readFileSync } from 'node:fs';
import { useKernels } from '../../src/entropy/index.ts';

/** The two ways in which isthmus does its work; the bytes are the same. */
export const WAYS = ['WebAssembly', 'TypeScript'] as const;
export type Way = (typeof WAYS)[number];

export const KERNELS = readFileSync('dist/kernels/kernels.wasm');
const module = new WebAssembly.Module(KERNELS);
let current: Way | undefined;

/** Switches; true where another way was in use, whose caches are gone. */
export function take(way: Way): boolean {
  if (way === current) return false;
  useKernels(way === 'WebAssembly' ? module : null);
  current = way;
  return true;
}

/** What must happen before `run` is timed in a way: its tables and memory in place, as in a program that codes more than once. */
export function readyFor(way: Way, run: () => unknown): () => void {
  return () => {
    if (take(way)) run();
  };
}
