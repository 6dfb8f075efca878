import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NumericData, Tensor } from '../../src/tensor.ts';
import type { Network } from './networks.ts';

/** Times of steps in milliseconds, by the clock and of the processor, and the losses before each. */
export interface Steps {
  readonly times: readonly number[];
  readonly cpu: readonly number[];
  readonly losses: readonly number[];
}

export interface Versions {
  readonly torch: string;
  /** Libraries of BLAS that are loaded. */
  readonly blas: readonly string[];
}

/** PyTorch in a process of its own, a JSON object a line each way. */
export class PyTorch {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'));

  private constructor(python: string) {
    this.#process = spawn(python, [fileURLToPath(new URL('pytorch.py', import.meta.url))]);
    this.#process.stderr.pipe(process.stderr);
    this.#lines = createInterface(this.#process.stdout)[Symbol.asyncIterator]();
  }

  /** Null where no Python has torch; Debian's own has that of its package python3-torch. */
  static open(): PyTorch | null {
    const python = ['/usr/bin/python3', 'python3'].find(
      (path) => spawnSync(path, ['-c', 'import torch, numpy']).status === 0,
    );
    return python === undefined ? null : new PyTorch(python);
  }

  async versions(threads: number): Promise<Versions> {
    return (await this.#ask({ do: 'versions', threads })) as Versions;
  }

  /** Makes a network with these weights and this batch. */
  async make({ name, weights, feeds }: Network): Promise<void> {
    const written = (tensors: ReadonlyMap<string, Tensor>, what: string) =>
      [...tensors.values()].map(({ dtype, shape, data }, i) => {
        const path = join(this.#folder, `${name}-${what}-${i}`);
        const { buffer, byteOffset, byteLength } = data as NumericData;
        writeFileSync(path, new Uint8Array(buffer, byteOffset, byteLength));
        return { path, dtype, shape };
      });
    await this.#ask({ do: 'make', network: name, weights: written(weights, 'weight'), feeds: written(feeds, 'feed') });
  }

  async steps({ name }: Network, steps: number): Promise<Steps> {
    return (await this.#ask({ do: 'steps', network: name, steps })) as Steps;
  }

  close(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ask(question: object): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('PyTorch ended; its message is above');
    return JSON.parse(value);
  }
}
