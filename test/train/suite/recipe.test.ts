import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readRecipeFile, recipeJsonSchema, SUITE_RECIPE } from '../../../src/train/index.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

it('has a JSON Schema for editors, which `npx vitest run test/train/suite/recipe.test.ts -u` writes again', async () => {
  const text = `${JSON.stringify(recipeJsonSchema(SUITE_RECIPE, 'How isthmus trains the models of a suite'), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(join(ROOT, 'docs/finetune.schema.json'));
});

const models = readdirSync(join(ROOT, 'models'), { recursive: true, encoding: 'utf8' });
const recipes = models.filter((path) => /training\/\w+\.json$/.test(path)).map((path) => `models/${path}`);
it.each([...recipes, 'docs/finetune.jsonc'])('%s can be read', async (path) => {
  const { recipe } = await readRecipeFile(join(ROOT, path), SUITE_RECIPE);
  expect(recipe.warmup).toBeLessThan(recipe.steps);
});
