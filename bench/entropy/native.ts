import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TableBank } from '../../src/entropy/index.ts';

const SOURCE = 'bench/entropy/rans.c';
const OPTIONS = ['-O3', '-march=native'];
/** Runs of each variant from which the fastest is chosen. */
const TRIALS = 7;

/** The C coder, compiled. */
export interface Native {
  /** gcc's version and options. */
  readonly compiler: string;
  readonly binary: string;
  readonly folder: string;
}

/** Null where there is no gcc. */
export function compileNative(): Native | null {
  let version: string;
  try {
    version = execFileSync('gcc', ['-dumpfullversion'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-rans-'));
  const binary = join(folder, 'rans');
  execFileSync('gcc', [...OPTIONS, '-o', binary, SOURCE], { stdio: 'inherit' });
  return { compiler: `gcc ${version} ${OPTIONS.join(' ')}`, binary, folder };
}

/** A variant of the C coder that stands ready with its symbols. */
export interface Variant {
  readonly name: string;
  readonly lanes: number;
  readonly direction: 'encode' | 'decode';
  /** Runs it once; milliseconds. */
  readonly run: () => Promise<number>;
}

export interface NativeCoder {
  readonly variants: readonly Variant[];
  readonly close: () => Promise<void>;
}

/**
 * Starts the C coder on one table's values and our stream of 32 lanes. It fails where its stream is not that one to the byte, or
 * where one of its decoders gives other values.
 */
export async function openNative({ binary, folder }: Native, bank: TableBank, values: Int32Array, stream: Uint8Array) {
  const job = join(folder, 'job');
  const head = [bank.precision, bank.low[0], bank.frequency.length, values.length, stream.length, ...bank.frequency];
  writeFileSync(job, Buffer.concat([Buffer.from(Int32Array.from(head).buffer), bytesOf(values), stream]));
  const child = spawn(binary, [job]);
  child.stderr.pipe(process.stderr);
  const lines = linesOf(child);
  const variants: Variant[] = [];
  for (let line = await lines(); line !== 'ready'; line = await lines()) {
    const [index, direction, lanes, ...name] = line.split(' ');
    variants.push({
      name: name.join(' '),
      lanes: Number(lanes),
      direction: direction as Variant['direction'],
      run: async () => {
        child.stdin.write(`${index}\n`);
        return Number(await lines()) / 1e6;
      },
    });
  }
  const close = () =>
    new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.stdin.end();
    });
  return { variants, close } satisfies NativeCoder;
}

/** The fastest variant of a direction with these numbers of lanes, by its best of a few runs. */
export async function fastest(
  { variants }: NativeCoder,
  direction: Variant['direction'],
  suits: (lanes: number) => boolean,
): Promise<Variant> {
  const candidates = variants.filter((variant) => variant.direction === direction && suits(variant.lanes));
  const best = candidates.map(() => Infinity);
  for (let trial = 0; trial < TRIALS; trial++) {
    for (const [i, { run }] of candidates.entries()) best[i] = Math.min(best[i], await run());
  }
  return candidates[best.indexOf(Math.min(...best))];
}

export function removeNative({ folder }: Native): void {
  rmSync(folder, { recursive: true });
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Reads a process line by line; fails where it ends. */
function linesOf(child: ChildProcessWithoutNullStreams): () => Promise<string> {
  const iterator = createInterface(child.stdout)[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await iterator.next();
    if (done) throw new Error('the C coder ended');
    return value;
  };
}
