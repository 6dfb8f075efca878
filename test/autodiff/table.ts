import { readGradients } from '../../fixtures/gradients/manifest.ts';
import { RULES } from '../../src/autodiff/index.ts';
import { gradientsOf, type Real } from './applied.ts';
import { Draw } from './cases/draw.ts';
import { CASES } from './cases.ts';
import { checkRule } from './check.ts';
import { errorAgainst } from './torch.ts';

/** Prints each rule's worst relative error as Markdown: `npm run --silent gradients:table`. */

/** Random samples of each case and operator set. */
const SAMPLES = 8;

/** Worst errors by the precision that the runtime has kernels of. */
type Worst = Map<Real, number>;

function note(worst: Worst, real: Real, error: number): void {
  worst.set(real, Math.max(worst.get(real) ?? 0, error));
}

async function againstDifferences(op: string): Promise<{ worst: Worst; opsets: Set<number> }> {
  const worst: Worst = new Map();
  const tried = new Set<number>();
  for (const { opsets = [13, 21], draw, isSingle } of CASES.filter((each) => each.op === op)) {
    for (const opset of opsets) {
      tried.add(opset);
      for (let seed = 1; seed <= SAMPLES; seed++) {
        const sample = draw(new Draw(1000 * opset + seed, opset));
        const { dtype, error } = await checkRule(op, opset, sample, seed, { isOpen: seed % 2 === 0, isSingle });
        note(worst, dtype, error);
      }
    }
  }
  return { worst, opsets: tried };
}

const stored = readGradients();

async function againstTorch(op: string): Promise<Worst> {
  const worst: Worst = new Map();
  for (const { expected, isSingle, ...of } of stored.cases.filter((each) => each.op === op)) {
    const { real, gradients } = await gradientsOf(of, { isSingle });
    note(worst, real, errorAgainst(gradients, expected));
  }
  return worst;
}

function print(worst: Worst): string {
  const cells = [...worst].map(([real, error]) => `${error === 0 ? '0' : error.toExponential(0)} (${real})`);
  return cells.length === 0 ? '–' : cells.join(', ');
}

console.log('| operator | operator sets | central differences | PyTorch |\n| --- | --- | --- | --- |');
for (const op of Object.keys(RULES).sort((a, b) => a.localeCompare(b, 'en'))) {
  const { worst, opsets } = await againstDifferences(op);
  console.log(`| ${op} | ${[...opsets].join(', ') || '–'} | ${print(worst)} | ${print(await againstTorch(op))} |`);
}
