import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LogLine, train } from '../../src/train/index.ts';
import { hashOf, toyTraining } from './toy.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-train-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);

/** Trains in one go and gives what is kept. */
async function straight(steps: number, more: Partial<Parameters<typeof train>[0]> = {}): Promise<string> {
  const options = toyTraining(steps);
  await train({ ...options, ...more });
  await options.trainer.release();
  return hashOf(options.trainer);
}

const failure = (attempt: Promise<unknown>) =>
  attempt.then(
    () => ({ code: 'none', message: '' }),
    (thrown: Error & { code: string }) => ({ code: thrown.code, message: thrown.message }),
  );

describe('training', () => {
  it('learns, logs every step, and tells how far it is', async () => {
    const log = join(dir, 'learns.jsonl');
    const seen: number[] = [];
    const options = toyTraining(60);
    await train({
      ...options,
      log,
      measure: { every: 25, run: async (trainer) => ({ done: trainer.done }) },
      onStep: ({ step, steps, secondsLeft, stepsPerSecond, measured }) => {
        seen.push(step);
        expect(steps).toBe(60);
        expect(stepsPerSecond).toBeGreaterThan(0);
        expect(secondsLeft === 0).toBe(step === 60);
        expect(measured.done).toBe(step === 60 ? 60 : step < 25 ? undefined : 25 * Math.floor(step / 25));
      },
    });
    expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    const lines = linesOf(log);
    const losses = lines.flatMap((line) => ('loss' in line ? [line.loss] : []));
    expect(losses.length).toBe(60);
    expect(losses.at(-1)).toBeLessThan(losses[0] / 4);
    expect(lines.filter((line) => 'measured' in line).map(({ step }) => step)).toEqual([25, 50, 60]);
    await options.trainer.release();
  });

  it('gives the same bits twice, and others for other data', async () => {
    const once = await straight(12);
    expect(await straight(12)).toBe(once);
    const { batch } = toyTraining(12);
    expect(await straight(12, { batch: (step, micro) => batch(step + 1, micro) })).not.toBe(once);
  });

  it('averages the gradients of a step’s batches', async () => {
    const asked: [number, number][] = [];
    const { batch } = toyTraining(3);
    await straight(3, {
      accumulate: 2,
      batch: (step, micro) => {
        asked.push([step, micro]);
        return batch(step, micro);
      },
    });
    expect(asked.sort()).toEqual([0, 1, 2].flatMap((step) => [0, 1].map((micro) => [step, micro])));
  });

  it('killed in the middle and resumed ends in the same weights and log', async () => {
    const [path, log] = [join(dir, 'killed.safetensors'), join(dir, 'killed.jsonl')];
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('./killed.ts', import.meta.url)), '40', path, log],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const died = new Promise((resolve) => child.on('exit', (_code, signal) => resolve(signal)));
    for await (const text of child.stdout) if (/\b1[4-9]\b/.test(String(text))) child.kill('SIGKILL');
    expect(await died).toBe('SIGKILL');
    const before = linesOf(log).length;
    expect(before).toBeGreaterThanOrEqual(14);
    writeFileSync(log, '{"step":17,"lo', { flag: 'a' });

    const options = toyTraining(40);
    await train({ ...options, log, checkpoint: { path, every: 4, training: 'toy', resume: true } });
    await options.trainer.release();
    expect(hashOf(options.trainer)).toBe(await straight(40));
    expect(linesOf(log).map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it('stopped through its signal writes a checkpoint and says how to go on', async () => {
    const path = join(dir, 'aborted.safetensors');
    const controller = new AbortController();
    const options = toyTraining(30);
    const checkpoint = { path, every: 100, training: 'toy' };
    const onStep = ({ step }: { step: number }) => step === 7 && controller.abort();
    const { code, message } = await failure(train({ ...options, checkpoint, onStep, signal: controller.signal }));
    expect(code).toBe('ABORTED');
    expect(message).toMatch(/after step 7 of 30.*--resume.*aborted\.safetensors/);
    const rest = toyTraining(30);
    await train({ ...rest, checkpoint: { ...checkpoint, resume: true } });
    expect(hashOf(rest.trainer)).toBe(await straight(30));
    await Promise.all([options.trainer.release(), rest.trainer.release()]);
  });
});

describe('a training that cannot go on', () => {
  it('keeps its last checkpoint where a loss is not finite', async () => {
    const path = join(dir, 'diverged.safetensors');
    const options = toyTraining(20);
    const { code, message } = await failure(
      train({
        ...options,
        checkpoint: { path, every: 4, training: 'toy' },
        batch: async (step, micro) => {
          const batch = await options.batch(step, micro);
          if (step === 9) (batch.x.data as Float32Array)[0] = Number.NaN;
          return batch;
        },
      }),
    );
    expect(code).toBe('TRAINING_DIVERGED');
    expect(message).toMatch(/step 10: the loss 'loss' is NaN/);
    const rest = toyTraining(20);
    await train({ ...rest, checkpoint: { path, every: 4, training: 'toy', resume: true } });
    expect(hashOf(rest.trainer)).toBe(await straight(20));
  });

  it('says where a checkpoint or log cannot be written, and leaves the last one', async () => {
    const folder = join(dir, 'gone');
    mkdirSync(folder);
    const path = join(folder, 'state.safetensors');
    await straight(4, { checkpoint: { path, every: 4, training: 'toy' } });
    const before = readFileSync(path);
    const nowhere = join(folder, 'state.safetensors', 'below');
    for (const options of [{ checkpoint: { path: nowhere, every: 2, training: 'toy' } }, { log: nowhere }]) {
      const { code, message } = await failure(straight(4, options));
      expect(code).toBe('FILE_UNWRITABLE');
      expect(message).toContain(nowhere);
    }
    if (process.getuid?.() !== 0) {
      chmodSync(folder, 0o500);
      expect((await failure(straight(8, { checkpoint: { path, every: 2, training: 'toy' } }))).code).toBe(
        'FILE_UNWRITABLE',
      );
      chmodSync(folder, 0o700);
    }
    expect(readFileSync(path)).toEqual(before);
  });

  it('refuses another training’s checkpoint, and one that is not there', async () => {
    const path = join(dir, 'foreign.safetensors');
    await straight(4, { checkpoint: { path, every: 4, training: 'toy' } });
    const resume = (file: string) =>
      failure(straight(8, { checkpoint: { path: file, every: 4, training: 'other', resume: true } }));
    const foreign = await resume(path);
    expect(foreign.code).toBe('CHECKPOINT_FOREIGN');
    expect(foreign.message).toContain(path);
    expect((await resume(`${path}.none`)).code).toBe('FILE_NOT_FOUND');
  });

  it('gives the error of its data', async () => {
    const batch = async (step: number) => {
      throw new Error(`no data for ${step}`);
    };
    expect((await failure(straight(4, { batch }))).message).toBe('no data for 0');
  });

  it('refuses counts that cannot be', async () => {
    for (const options of [{ steps: 0 }, { accumulate: 0 }, { measure: { every: 0.5, run: async () => ({}) } }]) {
      expect((await failure(straight(4, options))).code).toBe('INVALID_ARGUMENT');
    }
  });
});
