import { madeBy, type Provenance } from '../provenance.ts';
import type { SuiteTrained } from './finetune.ts';
import type { SuiteRecipe } from './recipe.ts';

export interface SuiteCardFacts {
  readonly name: string;
  readonly recipe: SuiteRecipe;
  readonly trained: SuiteTrained;
  /** Bytes of each model's file. */
  readonly bytes: Readonly<Record<string, number>>;
  readonly provenance: Provenance;
}

/** The card of trained models, Markdown: what they are, what they scored, how they were made. */
export function suiteCard({ name, recipe, trained, bytes, provenance }: SuiteCardFacts): string {
  const { weights, pictures, scores, models } = trained;
  const files = models.map(({ file }) => `\`${file}\` (${bytes[file].toLocaleString('en')} bytes)`).join(', ');
  const all = Object.values(bytes).reduce((sum, each) => sum + each, 0);
  return [
    `# ${name}, ${recipe.init === 'random' ? 'trained from random weights' : 'fine-tuned'}`,
    '',
    `${weights.parameters.toLocaleString('en')} parameters in ${weights.tensors} tensors, trained for ${recipe.steps} steps of ` +
      `${recipe.batch * recipe.accumulate} pictures on ${pictures} pictures, ${Math.round(provenance.seconds / 60)} minutes of steps. ` +
      `${files}: ${all.toLocaleString('en')} bytes.`,
    ...(recipe.average === undefined ? [] : ['The weights are the moving average.']),
    '',
    `On the split ${recipe.validation}, by the files as they are:`,
    '',
    '| task | pictures | asks | scores |',
    '|---|---|---|---|',
    ...scores.map(({ task, pictures: count, asks, scores: each }) => {
      const list = Object.entries(each).map(([metric, points]) => `${metric} ${points.toFixed(2)}`);
      return `| ${task} | ${count} | ${asks} | ${list.join(', ')} |`;
    }),
    '',
    ...madeBy(provenance, recipe),
  ].join('\n');
}
