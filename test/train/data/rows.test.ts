import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cache, cacheKey } from '../../../src/evaluate/index.ts';
import { floatToHalf, halfToFloat, type Tensor, tensor } from '../../../src/tensor.ts';
import type { Column } from '../../../src/train/data/row-file.ts';
import { type MakeRows, Rows } from '../../../src/train/data/rows.ts';
import { COLUMNS, maker } from './row-maker.ts';

const KEYS = [cacheKey(['version', 0]), cacheKey(['version', 1])];
const PER_FILE = 6;

let folder: string;
let cache: Cache;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-rows-'));
  cache = new Cache(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (options = {}) => Rows.open({ cache, keys: KEYS, rowsPerFile: PER_FILE, columns: COLUMNS, ...options });

/** What rows hold, whole. */
async function contents(rows: Rows): Promise<Tensor[]> {
  return rows.read(Array.from({ length: rows.count }, (_, i) => i));
}

describe('Rows', () => {
  it('give back what was made in the order asked for: floats to float16, others exactly', async () => {
    const rows = await open();
    await rows.fill(maker(), { batch: 4 });
    expect([rows.count, rows.columns]).toEqual([12, COLUMNS]);
    const whole = [await maker()(0, [0, 1, 2, 3, 4, 5]), await maker()(1, [0, 1, 2, 3, 4, 5])];
    const order = [11, 0, 7, 7, 3];
    const [feature, logits, tokens] = await rows.read(order);
    for (const [i, row] of order.entries()) {
      const [asFeature, asLogits, asTokens] = whole[Math.floor(row / PER_FILE)].map(({ data }) => data);
      const at = row % PER_FILE;
      const halves = halfToFloat(floatToHalf((asFeature as Float32Array).slice(at * 3, at * 3 + 3)));
      expect(feature.data.slice(i * 3, i * 3 + 3)).toEqual(halves);
      expect(logits.data.slice(i * 2, i * 2 + 2)).toEqual(asLogits.slice(at * 2, at * 2 + 2));
      expect(tokens.data.slice(i * 5, i * 5 + 5)).toEqual(asTokens.slice(at * 5, at * 5 + 5));
    }
    expect([feature, logits, tokens].map(({ dtype, shape }) => [dtype, shape])).toEqual([
      ['float32', [5, 3]],
      ['float32', [10, 1]],
      ['int32', [5, 5]],
    ]);
    await rows.close();
  });

  it('keep every float16, whatever its bits', async () => {
    const finite = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits).filter(
      (bits) => (bits & 0x7c00) !== 0x7c00,
    );
    const columns: Column[] = [{ name: 'all', dtype: 'float16', shape: [1, finite.length] }];
    const rows = await open({ keys: KEYS.slice(0, 1), rowsPerFile: 1, columns });
    await rows.fill(async () => [tensor('float16', [1, finite.length], finite)], { batch: 1 });
    const [{ data }] = await rows.read([0]);
    expect(floatToHalf(data as Float32Array)).toEqual(finite);
    await rows.close();
  });

  it('are made once, and told of', async () => {
    const made: string[] = [];
    const counts: string[] = [];
    const first = await open();
    await first.fill(maker(made), { batch: 4, onRows: (done, total) => counts.push(`${done}/${total}`) });
    await first.close();
    expect(made).toHaveLength(12);
    expect(counts).toEqual(['0/12', '4/12', '6/12', '10/12', '12/12']);
    const second = await open();
    await second.fill(maker(made), { batch: 4, onRows: (done, total) => counts.push(`${done}/${total}`) });
    await second.close();
    expect(made).toHaveLength(12);
    expect(counts.at(-1)).toBe('12/12');
  });

  it('stop between batches and go on where they were', async () => {
    const made: string[] = [];
    const controller = new AbortController();
    const first = await open();
    const onRows = (done: number) => {
      if (done >= 4) controller.abort();
    };
    await expect(first.fill(maker(made), { batch: 2, signal: controller.signal, onRows })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await first.close();
    expect(made).toEqual(['0:0', '0:1', '0:2', '0:3']);
    const second = await open();
    await second.fill(maker(made), { batch: 2 });
    expect(made.slice(4)).toEqual(['0:4', '0:5', '1:0', '1:1', '1:2', '1:3', '1:4', '1:5']);
    expect(await second.read([0, 3])).toEqual(await maker()(0, [0, 3]).then(roundedToHalf));
    await second.close();
  });

  it('make again what is cut off or damaged, and that alone', async () => {
    const whole = await open();
    await whole.fill(maker(), { batch: 3 });
    const expected = await contents(whole);
    await whole.close();
    const path = cache.path('rows', KEYS[0]);
    const good = await readFile(path);
    const record = good.length / PER_FILE;
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.boolean(), async (at, cut) => {
        const bad = Buffer.from(good);
        bad[at] ^= 0x10;
        await writeFile(path, bad);
        if (cut) await truncate(path, at);
        const rows = await open();
        const row = Math.floor(at / record);
        await expect(rows.read([row])).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
        const made: string[] = [];
        await rows.fill(maker(made), { batch: 3 });
        const lost = cut ? Array.from({ length: PER_FILE - row }, (_, i) => row + i) : [row];
        expect(made).toEqual(lost.map((each) => `0:${each}`));
        expect(await contents(rows)).toEqual(expected);
        await rows.close();
        expect(await readFile(path)).toEqual(good);
      }),
      { seed: 4, numRuns: 60 },
    );
  });

  it('do not take rows of another key, of another place or of other columns for theirs', async () => {
    const rows = await open({ keys: KEYS.slice(0, 1) });
    await rows.fill(maker(), { batch: 6 });
    await rows.close();
    const [path, other] = KEYS.map((key) => cache.path('rows', key));
    const bytes = await readFile(path);
    await mkdir(dirname(other), { recursive: true });
    await writeFile(other, bytes);
    const foreign = await open({ keys: KEYS.slice(1) });
    await expect(foreign.read([0])).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await foreign.close();
    const record = bytes.length / PER_FILE;
    await writeFile(path, Buffer.concat([bytes.subarray(record, 2 * record), bytes.subarray(0, record)]));
    const swapped = await open({ keys: KEYS.slice(0, 1) });
    await expect(swapped.read([0])).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await swapped.close();
    await writeFile(path, bytes);
    const columns = [COLUMNS[0], { ...COLUMNS[1], dtype: 'int32' }, COLUMNS[2]];
    const retyped = await open({ keys: KEYS.slice(0, 1), columns });
    await expect(retyped.read([0])).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await retyped.close();
  });

  it('are all there or absent after the process that made them was killed', async () => {
    const script = fileURLToPath(new URL('./fill-rows.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text: Buffer) => {
        if (Number(text.toString().trim().split('\n').at(-1)) >= 3) resolve();
      });
    });
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const rows = await Rows.open({ cache, keys: [KEYS[0]], rowsPerFile: 1000, columns: COLUMNS });
    const made: string[] = [];
    await rows.fill(maker(made), { batch: 100 });
    expect(made.length).toBeLessThanOrEqual(997);
    expect(made.length).toBeGreaterThan(0);
    const all = Array.from({ length: 1000 }, (_, i) => i);
    expect(await rows.read(all)).toEqual(roundedToHalf(await maker()(0, all)));
    await rows.close();
  });

  it.skipIf(!existsSync('/dev/full'))('say that the disk is full, and keep what there is', async () => {
    const [path, full] = KEYS.map((key) => cache.path('rows', key));
    await mkdir(dirname(full), { recursive: true });
    await symlink('/dev/full', full);
    const rows = await open();
    await expect(rows.fill(maker(), { batch: 6 })).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: expect.stringMatching(/no space left.*make room/),
    });
    expect(await rows.read([5])).toEqual(roundedToHalf(await maker()(0, [5])));
    await rows.close();
    expect((await readFile(path)).length).toBeGreaterThan(0);
  });

  it('ask for room before anything is made', async () => {
    const columns: Column[] = [{ name: 'huge', dtype: 'float32', shape: [1, 2 ** 28] }];
    const rows = await open({ rowsPerFile: 2 ** 20, columns });
    const made: string[] = [];
    await expect(rows.fill(maker(made), { batch: 1 })).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: expect.stringMatching(/need 2251799\.\d GB .* are free/),
    });
    expect(made).toEqual([]);
    await rows.close();
  });

  it('say that the folder cannot be written into', async () => {
    await writeFile(join(folder, 'rows'), '');
    await expect(open()).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
  });

  it.each([
    [
      'what float16 cannot hold',
      tensor('float32', [1, 3], Float32Array.of(1, 70_000, 2)),
      /'feature' has the value 70000/,
    ],
    ['NaN', tensor('float32', [1, 3], Float32Array.of(1, 2, Number.NaN)), /value NaN/],
    ['another shape', tensor('float32', [1, 2], Float32Array.of(1, 2)), /\[1,3\], got \[1,2\]/],
    ['no floats', tensor('int32', [1, 3], Int32Array.of(1, 2, 3)), /float/],
  ])('refuse %s', async (_, value, message) => {
    const rows = await open();
    const bad: MakeRows = async (file, chosen) => [value, ...(await maker()(file, chosen)).slice(1)];
    await expect(rows.fill(bad, { batch: 1 })).rejects.toMatchObject({
      code: 'TENSOR_INVALID',
      message: expect.stringMatching(message),
    });
    await rows.close();
  });

  it('refuse to read rows that do not exist or were never made', async () => {
    const rows = await open();
    for (const row of [-1, 12, 0.5]) {
      await expect(rows.read([row])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    await expect(rows.read([3])).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await rows.close();
  });
});

function roundedToHalf([feature, ...others]: readonly Tensor[]): Tensor[] {
  const halves = halfToFloat(floatToHalf(feature.data as Float32Array));
  return [tensor('float32', feature.shape, halves), ...others];
}
