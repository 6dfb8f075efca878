import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/onnxruntime-node.ts';
import { AFFINE, float } from './onnx-subject.ts';

describe('damaged models', () => {
  /** Opens and runs bytes; whatever they are, only an IsthmusError may come of it. */
  const survive = async (bytes: Uint8Array) => {
    try {
      const session = await openOnnxRuntimeNode(bytes);
      await session.run({ x: float([1, 3], 1, 2, 3) });
      await session.release();
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(IsthmusError);
    }
  };

  it('are refused or run, byte by byte changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(AFFINE.length - 1), fc.integer({ min: 0, max: 255 }), async (at, value) => {
        const bytes = AFFINE.slice();
        bytes[at] = value;
        await survive(bytes);
      }),
      { numRuns: 500, seed: 11 },
    );
  });

  it('are refused, wherever they end', async () => {
    for (let length = 0; length < AFFINE.length; length++) await survive(AFFINE.slice(0, length));
  });
});
