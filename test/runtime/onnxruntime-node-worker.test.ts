import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltRuntime, builtRuntime } from './built.ts';
import { failure, sessionContract } from './contract.ts';
import { AFFINE, float, onnxSubject } from './onnx-subject.ts';
import { openingContract } from './opening.ts';

let built: BuiltRuntime;
beforeAll(async () => {
  built = await builtRuntime();
});
afterAll(() => built.remove());

const opener = () => built.module.openInWorker;

sessionContract('onnxruntime-node in a thread', () => onnxSubject(opener(), /^onnxruntime-node \d+\.\d+\.\d+$/));
openingContract('onnxruntime-node in a thread', opener);

describe('a session in a thread', () => {
  /** Runs code in a process of its own, with `runtime` imported and AFFINE as `model`. */
  const inProcess = (code: string) => {
    const setup = `import * as runtime from ${JSON.stringify(built.url)};
      const model = Uint8Array.of(${AFFINE});
      const x = { dtype: 'float32', shape: [1, 3], data: Float32Array.of(1, 2, 3) };`;
    return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', setup + code], { timeout: 30_000 });
  };

  it('keeps no process alive when idle, released or not', async () => {
    const { stdout } = await inProcess(`
      const session = await runtime.openInWorker(model);
      console.log((await session.run({ x })).y.data.join());
      const other = await runtime.openInWorker(model);
      await other.release();
      console.log('end');`);
    expect(stdout.trim().split('\n')).toEqual(['3,5,7', 'end']);
  });

  it('keeps the process alive while it runs', async () => {
    const { stdout } = await inProcess(`
      const session = await runtime.openInWorker(model);
      session.run({ x }).then(({ y }) => console.log(y.data.join()));`);
    expect(stdout.trim()).toBe('3,5,7');
  });

  it('leaves the thread of its caller free', async () => {
    const session = await built.module.openInWorker(AFFINE);
    const rows = 2_000_000;
    const x = { dtype: 'float32', shape: [rows, 3], data: new Float32Array(rows * 3) } as const;
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await session.run({ x });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    expect(x.data.length).toBe(rows * 3); // Copied, not handed over.
    await session.release();
  });

  it('says so when the thread dies, during a run and after', async () => {
    const { stdout } = await inProcess(`
      import worker_threads from 'node:worker_threads';
      import { syncBuiltinESMExports } from 'node:module';
      let worker;
      worker_threads.Worker = class extends worker_threads.Worker {
        constructor(...given) { super(...given); worker = this; }
      };
      syncBuiltinESMExports();
      const session = await runtime.openInWorker(model);
      worker.postMessage = () => {}; // The run is asked for and never answered: a small model could be quicker than the end.
      const running = session.run({ x });
      await null;
      await worker.terminate();
      for (const run of [running, session.run({ x })]) {
        await run.catch((error) => console.log(error.name, error.code, error.message));
      }
      await session.release();
      console.log('end');`);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^IsthmusError RUNTIME_RUN .*thread of the session ended/);
    expect(lines[1]).toMatch(/^IsthmusError RUNTIME_RUN .*thread of the session ended/);
    expect(lines[2]).toBe('end');
  });

  it('answers several sessions at once', async () => {
    const sessions = await Promise.all([0, 1, 2].map(() => built.module.openInWorker(AFFINE)));
    const results = await Promise.all(sessions.map((session, i) => session.run({ x: float([1, 3], i, i, i) })));
    expect(results.map(({ y }) => y.data[0])).toEqual([1, 3, 5]);
    await Promise.all(sessions.map((session) => session.release()));
    await expect(sessions[0].run({ x: float([1, 3], 0, 0, 0) })).rejects.toEqual(failure('RUNTIME_RUN', /released/));
  });
});
