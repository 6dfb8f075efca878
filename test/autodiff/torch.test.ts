import { describe, expect, it } from 'vitest';
import { readGradients } from '../../fixtures/gradients/manifest.ts';
import { RULES } from '../../src/autodiff/index.ts';
import { gradientsOf, type Weighted, weighted } from './applied.ts';
import { CODEC } from './cases/codec.ts';
import { Draw } from './cases/draw.ts';
import { CASES } from './cases.ts';
import { askTorch, errorAgainst, pythonWithTorch } from './torch.ts';

/** Largest relative errors. The runtime computes some functions of float64 with constants of float32. */
const BOUND = { float64: 1e-7, float32: 5e-5 };

describe('each rule agrees with gradients that PyTorch gave', () => {
  const { cases } = readGradients();
  it.each([...new Set(cases.map(({ op }) => op))])('%s', async (op) => {
    for (const [i, { expected, isSingle, ...of }] of cases.filter((each) => each.op === op).entries()) {
      const { real, loss, gradients } = await gradientsOf(of, { isSingle, isOpen: i % 2 === 1 });
      const what = `${op} ${of.opset}: ${real}, ${JSON.stringify(of.sample)}`;
      expect(errorAgainst(gradients, expected), what).toBeLessThan(BOUND[real]);
      expect(Math.abs(loss - expected.loss) / Math.max(1, Math.abs(expected.loss)), what).toBeLessThan(BOUND[real]);
    }
  });

  it('every rule has one', () => {
    const stored = new Set(cases.map(({ op }) => op));
    // PyTorch has no counterpart, or the result is random.
    expect(Object.keys(RULES).filter((op) => !stored.has(op))).toEqual([
      'CastLike',
      'RandomNormalLike',
      'RandomUniformLike',
    ]);
  });
});

const python = pythonWithTorch();
describe.skipIf(python === undefined)('each rule agrees with PyTorch, where a Python has it', () => {
  it('on further samples', { timeout: 120_000 }, async () => {
    const drawn: { isSingle?: boolean; of: Weighted }[] = [];
    for (const { op, opsets = [13, 21], draw, isSingle } of [...CASES, ...CODEC]) {
      for (const opset of opsets) {
        const seed: number = drawn.length;
        drawn.push({ isSingle, of: await weighted(op, opset, draw(new Draw(seed, opset)), seed) });
      }
    }
    const { answers } = askTorch(
      python as string,
      drawn.map(({ of }) => of),
    );
    expect(answers.filter((answer) => answer !== undefined).length).toBeGreaterThan(0.9 * drawn.length);
    for (const [i, { of, isSingle }] of drawn.entries()) {
      const answer = answers[i];
      if (answer === undefined) continue;
      const { real, gradients } = await gradientsOf(of, { isSingle });
      const what = `${of.op} ${of.opset}: ${real}, ${JSON.stringify(of.sample)}`;
      expect(errorAgainst(gradients, answer), what).toBeLessThan(BOUND[real]);
    }
  });
});
