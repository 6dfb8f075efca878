import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../src/limits.ts';
import { elements, tensor } from '../../src/tensor.ts';
import { parseCheckpoint, readCheckpoint, writeCheckpoint } from '../../src/train/checkpoint.ts';

let dir: string;
let path: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-checkpoint-'));
  path = join(dir, 'state.safetensors');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const shape = fc.array(fc.nat(3), { maxLength: 3 });
const value = shape.chain((lengths) =>
  fc
    .array(fc.float(), { minLength: elements(lengths), maxLength: elements(lengths) })
    .map((values) => tensor('float32', lengths, Float32Array.from(values))),
);
// Names such as "12" are moved to the front of JavaScript's objects.
const name = fc.oneof(
  fc.nat(30).map(String),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constant('a "quoted" \\ name'),
);
const state = fc.record({
  step: fc.nat(),
  tensors: fc.dictionary(
    name.filter((each) => each !== '__proto__' && each !== '__metadata__'),
    value,
    { maxKeys: 5 },
  ),
});

const codeOf = async (attempt: Promise<unknown>) => {
  const error = await attempt.catch((thrown: unknown) => thrown);
  return error instanceof IsthmusError ? error.code : error;
};

describe('a checkpoint', () => {
  it('comes back as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(state, async (written) => {
        await writeCheckpoint(path, 'training', written);
        const { step, tensors } = await readCheckpoint(path, 'training');
        expect({ step, tensors }).toEqual(written);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('lies in the file as safetensors has it', async () => {
    const tensors = { w: tensor('float32', [2], Float32Array.of(1, -2)), b: tensor('float32', [], Float32Array.of(3)) };
    await writeCheckpoint(path, 'mine', { step: 7, tensors });
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
    expect(header).toMatchObject({
      __metadata__: { format: 'isthmus checkpoint', version: '1', training: 'mine', step: '7' },
      b: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
      w: { dtype: 'F32', shape: [2], data_offsets: [4, 12] },
    });
    expect([0, 4, 8].map((at) => bytes.readFloatLE(8 + length + at))).toEqual([3, 1, -2]);
  });
});

describe('what is no checkpoint', () => {
  const tensors = {
    w: tensor('float32', [3], Float32Array.of(1, 2, 3)),
    v: tensor('float32', [1, 2], Float32Array.of(4, 5)),
  };
  const codes = (bytes: Uint8Array) => {
    try {
      parseCheckpoint(bytes, DEFAULT_LIMITS);
      return 'none';
    } catch (error) {
      return error instanceof IsthmusError ? error.code : error;
    }
  };

  it('is refused wherever a byte of it was changed, cut off or added', async () => {
    await writeCheckpoint(path, 'training', { step: 3, tensors });
    const bytes = new Uint8Array(readFileSync(path));
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [1, 0x20, 0x80]) {
        const changed = bytes.slice();
        changed[at] ^= mask;
        expect(['CHECKPOINT_INVALID', 'LIMIT_EXCEEDED'], `byte ${at}`).toContain(codes(changed));
      }
      expect(codes(bytes.subarray(0, at))).toBe('CHECKPOINT_INVALID');
    }
    expect(codes(Uint8Array.of(...bytes, 0))).toBe('CHECKPOINT_INVALID');
  });

  it('is refused whatever it is made of', () => {
    const json = fc.json({ maxDepth: 4 });
    const entry = fc.record({
      dtype: fc.constantFrom('F32', 'F16', 'X'),
      shape: fc.array(fc.oneof(fc.nat(4), fc.constantFrom(-1, 2 ** 31, 2 ** 53, 0.5)), { maxLength: 20 }),
      data_offsets: fc.tuple(fc.nat(20), fc.nat(20)),
    });
    const header = fc.oneof(
      json,
      fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue())).map((each) => JSON.stringify(each)),
    );
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 24 }), (text, data) => {
        const encoded = new TextEncoder().encode(text);
        const bytes = new Uint8Array(8 + encoded.length + data.length);
        new DataView(bytes.buffer).setBigUint64(0, BigInt(encoded.length), true);
        bytes.set(encoded, 8);
        bytes.set(data, 8 + encoded.length);
        expect(codes(bytes)).toBe('CHECKPOINT_INVALID');
        expect(['CHECKPOINT_INVALID', 'LIMIT_EXCEEDED']).toContain(codes(data));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('is refused with its name, beyond the caps and from later versions too', async () => {
    await writeCheckpoint(path, 'training', { step: 3, tensors });
    expect(await codeOf(readCheckpoint(path, 'other'))).toBe('CHECKPOINT_FOREIGN');
    expect(await codeOf(readCheckpoint(path, 'training', { limits: { checkpointBytes: 10 } }))).toBe('LIMIT_EXCEEDED');
    expect(await codeOf(readCheckpoint(path, 'training', { limits: { checkpointHeaderBytes: 10 } }))).toBe(
      'LIMIT_EXCEEDED',
    );
    const later = readFileSync(path).toString('latin1').replace('"version":"1"', '"version":"2"');
    writeFileSync(path, later, 'latin1');
    const error = await readCheckpoint(path, 'training').catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'CHECKPOINT_INVALID' });
    expect((error as Error).message).toContain(path);
    expect((error as Error).message).toMatch(/version 1; update/);
  });
});
