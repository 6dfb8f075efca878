import { describe, expect, it } from 'vitest';
import { learningRate, type Schedule } from '../../src/train/index.ts';
import { codeOf } from '../code-of.ts';

const rates = (schedule: Schedule, steps: number) => {
  const rate = learningRate(schedule, steps);
  return Array.from({ length: steps }, (_, i) => rate(i + 1));
};
const close = (found: number[], expected: number[]) => {
  expect(found.length).toBe(expected.length);
  for (const [i, each] of expected.entries()) expect(found[i]).toBeCloseTo(each, 10);
};

describe('learning rates', () => {
  it('stay, fall along a line, along half a wave, or in steps', () => {
    close(rates({ kind: 'constant', rate: 2 }, 3), [2, 2, 2]);
    close(rates({ kind: 'linear', rate: 2 }, 4), [2, 1.5, 1, 0.5]);
    close(rates({ kind: 'linear', rate: 2, final: 0.5 }, 2), [2, 1.5]);
    close(rates({ kind: 'cosine', rate: 2 }, 4), [2, 1 + Math.SQRT1_2, 1, 1 - Math.SQRT1_2]);
    close(rates({ kind: 'step', rate: 2, every: 2, factor: 0.5 }, 5), [2, 2, 1, 1, 0.5]);
  });

  it('rise in equal parts while warming up', () => {
    close(rates({ kind: 'constant', rate: 4, warmup: 3 }, 5), [1, 2, 3, 4, 4]);
    close(rates({ kind: 'cosine', rate: 4, warmup: 3 }, 5), [1, 2, 3, 4, 2]);
  });

  it('are refused where they cannot be', () => {
    const wrong: Schedule[] = [
      { kind: 'none' as never, rate: 1 },
      { kind: 'constant', rate: 0 },
      { kind: 'constant', rate: Number.NaN },
      { kind: 'cosine', rate: 1, warmup: 10 },
      { kind: 'cosine', rate: 1, warmup: 1.5 },
      { kind: 'linear', rate: 1, final: 2 },
      { kind: 'step', rate: 1 },
      { kind: 'step', rate: 1, every: 1, factor: 0 },
    ];
    for (const schedule of wrong) expect(codeOf(() => learningRate(schedule, 10))).toBe('INVALID_ARGUMENT');
  });
});
