import { describe, expect, it } from 'vitest';
import { RULES } from '../../src/autodiff/index.ts';
import { Draw } from './cases/draw.ts';
import { CASES } from './cases.ts';
import { checkRule } from './check.ts';

/** Random samples for each operator set, in turn of constant and of symbolic lengths. */
const SAMPLES = 4;

describe('each rule agrees with central differences', () => {
  for (const [i, { op, opsets = [13, 21], draw, isSingle }] of CASES.entries()) {
    const twin = CASES.slice(0, i).filter((each) => each.op === op).length;
    it(twin === 0 ? op : `${op}, case ${twin + 1}`, async () => {
      for (const opset of opsets) {
        for (let seed = 1; seed <= SAMPLES; seed++) {
          const sample = draw(new Draw(1000 * opset + seed, opset));
          const { dtype, error } = await checkRule(op, opset, sample, seed, { isOpen: seed % 2 === 0, isSingle });
          const what = `${op} ${opset}, sample ${seed}: ${dtype}, ${JSON.stringify(sample)}`;
          expect(error, what).toBeLessThan(dtype === 'float64' ? 1e-6 : 5e-3);
        }
      }
    });
  }
});

it('every rule is checked', () => {
  const untested = new Set(Object.keys(RULES));
  for (const { op } of CASES) untested.delete(op);
  // Their gradient is not that of the function, or the runtime has no kernel that shows it.
  expect([...untested]).toEqual(['Round', 'isthmus.LowerBound', 'CastLike', 'RandomNormalLike', 'RandomUniformLike']);
});
