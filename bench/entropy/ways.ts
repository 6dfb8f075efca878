import { readFileSync } from 'node:fs';
import { useKernels } from '../../src/entropy/index.ts';

/** The two ways in which isthmus does its work; the bytes are the same. */
export const WAYS = ['WebAssembly', 'TypeScript'] as const;
export type Way = (typeof WAYS)[number];

export const KERNELS = readFileSync('dist/kernels/kernels.wasm');
const module = new WebAssembly.Module(KERNELS);
let current: Way | undefined;
/**
 * A forced garbage collection would do away with others' garbage before each run, but with the optimized code too, and plain TypeScript
 * would be measured five times slower than it is. So work runs on for a while instead.
 */
const WARM_MS = 20;
/** Work that is warm since the last switch. */
const warm = new Set<() => unknown>();

/** Switches, which drops the kernels' memory and all tables in it. */
export function take(way: Way): void {
  if (way === current) return;
  useKernels(way === 'WebAssembly' ? module : null);
  current = way;
  warm.clear();
}

/**
 * What must happen before work is timed in a way: `warmUp` puts its tables and memory in place, as in a program that codes more than
 * once. Once after each switch.
 */
export function readyFor(way: Way, warmUp: () => unknown): () => void {
  return () => {
    take(way);
    if (warm.has(warmUp)) return;
    const end = performance.now() + WARM_MS;
    do warmUp();
    while (performance.now() < end);
    warm.add(warmUp);
  };
}
