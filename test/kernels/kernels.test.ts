import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Kernels, kernels, kernelsInUse, useKernels } from '../../src/kernels/index.ts';
import { KERNELS } from '../../src/kernels/inlined.ts';
import { codeOf } from '../code-of.ts';

const bytes = new Uint8Array(Buffer.from(KERNELS, 'base64'));
const module = new WebAssembly.Module(bytes);

describe('the kernels', () => {
  afterEach(() => useKernels(module));

  it('are the same as a file and inlined, import nothing, and fit a browser that compiles few kB at once', () => {
    expect(new Uint8Array(readFileSync(new URL('../../src/kernels/kernels.wasm', import.meta.url)))).toEqual(bytes);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(bytes.length).toBeLessThan(16 * 1024);
  });

  it('are left for plain TypeScript where they are refused, and come from a module that is handed over', async () => {
    vi.resetModules();
    const refused = vi.spyOn(WebAssembly, 'Module').mockImplementation(() => {
      throw new WebAssembly.CompileError('blocked by a content-security policy');
    });
    try {
      const fresh = await import('../../src/kernels/kernels.ts');
      expect(fresh.kernelsInUse()).toBe(false);
      expect(fresh.kernels()).toBeNull();
      fresh.useKernels(module);
      expect(fresh.kernelsInUse()).toBe(true);
      fresh.useKernels(null);
      expect(fresh.kernelsInUse()).toBe(false);
    } finally {
      refused.mockRestore();
      vi.resetModules();
    }
  });

  it('are only taken from a module that is theirs', () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    for (const wrong of [empty, bytes, undefined, {}]) {
      expect(codeOf(() => useKernels(wrong as WebAssembly.Module))).toBe('INVALID_ARGUMENT');
    }
    expect(kernelsInUse()).toBe(true);
  });

  it('are told to stay away, and to come back', () => {
    useKernels(null);
    expect([kernelsInUse(), kernels()]).toEqual([false, null]);
    useKernels(module);
    expect(kernelsInUse()).toBe(true);
  });
});

describe('the memory of the kernels', () => {
  const MiB = 2 ** 20;
  const filled = (length: number, byte: number) => () => new Uint8Array(length).fill(byte);
  const whole = (of: Kernels, at: number, length: number, byte: number) =>
    of.bytes.subarray(at, at + length).every((each) => each === byte);

  it('keeps images, makes each once, and gives room after them', () => {
    const memory = new Kernels(module);
    const [one, other] = [{}, {}];
    const first = memory.keep(one, filled(1000, 1)) as number;
    const second = memory.keep(other, filled(100, 2)) as number;
    const room = memory.room(MiB) as number;
    memory.bytes.fill(9, room, room + MiB);
    expect(first % 16).toBe(0);
    expect(second).toBeGreaterThanOrEqual(first + 1000);
    expect(room).toBeGreaterThanOrEqual(second + 100);
    expect(whole(memory, first, 1000, 1) && whole(memory, second, 100, 2)).toBe(true);
    const never = () => {
      throw new Error('made twice');
    };
    expect(memory.keep(one, never)).toBe(first);
  });

  it('drops all images when 16 MiB are full, and brings them again', () => {
    const memory = new Kernels(module);
    const owners = Array.from({ length: 5 }, () => ({}));
    let made = 0;
    const keep = (i: number) =>
      memory.keep(owners[i], () => {
        made++;
        return new Uint8Array(4 * MiB).fill(i + 1);
      }) as number;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) expect(whole(memory, keep(i), 4 * MiB, i + 1)).toBe(true);
    }
    expect(made).toBeGreaterThan(5);
    expect(memory.bytes.length).toBeLessThan(17 * MiB);
  });

  it('has no place for an image above 16 MiB, nor room above 64 MiB', () => {
    const memory = new Kernels(module);
    expect(memory.keep({}, filled(16 * MiB + 1, 0))).toBeNull();
    expect(memory.room(64 * MiB + 1)).toBeNull();
    expect(memory.room(64 * MiB)).not.toBeNull();
  });
});
