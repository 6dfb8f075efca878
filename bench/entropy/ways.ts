import { readFileSync } from 'node:fs';
import { useKernels } from '../../src/entropy/index.ts';

/** The two ways in which isthmus does its work; the bytes are the same. */
export const WAYS = ['WebAssembly', 'TypeScript'] as const;
export type Way = (typeof WAYS)[number];

export const KERNELS = readFileSync('dist/kernels/kernels.wasm');
const module = new WebAssembly.Module(KERNELS);
let current: Way | undefined;
/** Work that has run since the last switch. */
const warm = new Set<() => unknown>();

/** Switches, which drops the kernels' memory and all tables in it. */
export function take(way: Way): void {
  if (way === current) return;
  useKernels(way === 'WebAssembly' ? module : null);
  current = way;
  warm.clear();
}

/** What must happen before `run` is timed in a way: its tables and memory in place, as in a program that codes more than once. */
export function readyFor(way: Way, run: () => unknown): () => void {
  return () => {
    take(way);
    if (!warm.has(run)) run();
    warm.add(run);
  };
}
