import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { dump } from 'npyjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readNpy } from '../../src/cli/npy.ts';
import { IsthmusError } from '../../src/errors.ts';
import { elements } from '../../src/tensor.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-'));
});
afterAll(() => rm(folder, { recursive: true }));

const valid = new Uint8Array(dump(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]));

/** Reads the bytes as a .npy file: a whole float32 tensor, or an IsthmusError. */
async function survive(bytes: Uint8Array): Promise<'read' | 'refused'> {
  const path = join(folder, 'x.npy');
  await writeFile(path, bytes);
  try {
    const { dtype, shape, data } = await readNpy(path);
    expect(dtype).toBe('float32');
    expect(data.length).toBe(elements(shape));
    return 'read';
  } catch (error) {
    if (error instanceof IsthmusError) return 'refused';
    throw error;
  }
}

it('reads the undamaged file, and refuses it at any other length', async () => {
  expect(await survive(valid)).toBe('read');
  for (let length = 0; length < valid.length; length++)
    expect(await survive(valid.subarray(0, length))).toBe('refused');
  expect(await survive(Uint8Array.from([...valid, 0, 0, 0, 0]))).toBe('refused');
});

it('reads or refuses a file that is changed anywhere, and any bytes', async () => {
  const edit = fc.record({ at: fc.nat(valid.length - 1), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 4 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      fc.uint8Array({ maxLength: 100 }),
      async (edits, noise) => {
        const bytes = [...valid];
        for (const { at, remove, insert } of edits) bytes.splice(at, remove, ...insert);
        await survive(Uint8Array.from(bytes));
        expect(await survive(noise)).toBe('refused');
      },
    ),
    { seed: 41, numRuns: 200 },
  );
});
