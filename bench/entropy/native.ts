import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TableBank } from '../../src/entropy/index.ts';

const SOURCE = 'bench/entropy/rans.c';
const OPTIONS = ['-O3', '-march=native'];
/** Runs of each variant by which the fastest is chosen. */
const TRIALS = 9;

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
  /** Length of its stream. */
  readonly bytes: number;
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
    const [index, direction, lanes, bytes, ...name] = line.split(' ');
    variants.push({
      name: name.join(' '),
      lanes: Number(lanes),
      bytes: Number(bytes),
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

/** A variant with its best milliseconds of a few runs. */
export interface Trial {
  readonly variant: Variant;
  readonly best: number;
}

/** Tries all variants, by turns. */
export async function tryAll({ variants }: NativeCoder): Promise<Trial[]> {
  const best = variants.map(() => Infinity);
  for (let trial = 0; trial < TRIALS; trial++) {
    for (const [i, { run }] of variants.entries()) best[i] = Math.min(best[i], await run());
  }
  return variants.map((variant, i) => ({ variant, best: best[i] }));
}

/** The fastest variant of a direction with one number of lanes, or with any. */
export function fastest(trials: readonly Trial[], direction: Variant['direction'], lanes: number | null): Variant {
  return trials
    .filter(({ variant }) => variant.direction === direction && (lanes === null || variant.lanes === lanes))
    .reduce((a, b) => (b.best < a.best ? b : a)).variant;
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
