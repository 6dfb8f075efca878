import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readRecipeFile, recipeJsonSchema, TRAIN_RECIPE } from '../../../src/train/index.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

it('has a JSON Schema for editors, which `npx vitest run test/train/codec/recipe.test.ts -u` writes again', async () => {
  const text = `${JSON.stringify(recipeJsonSchema(TRAIN_RECIPE, 'How isthmus trains a codec'), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(join(ROOT, 'docs/train.schema.json'));
});

describe('recipes of the repository', () => {
  const recipes = readdirSync(join(ROOT, 'codecs')).map((name) => `codecs/${name}/recipe.json`);
  it.each([...recipes, 'docs/block6.jsonc'])('%s can be read', async (path) => {
    const { recipe } = await readRecipeFile(join(ROOT, path), TRAIN_RECIPE);
    expect(recipe.transform.kind).toBe('tokens');
  });
});
