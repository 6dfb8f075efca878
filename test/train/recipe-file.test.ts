import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { IsthmusError } from '../../src/errors.ts';
import { readRecipeFile, recipeJsonSchema } from '../../src/train/recipe-file.ts';

/** A form with everything that forms are made of. */
const FORM = z
  .strictObject({
    model: z.string().min(1).describe('The model to train.'),
    cut: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
    steps: z.int().min(1).max(1000).default(10).describe('Steps to take.'),
    transform: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('linear'), channels: z.int().min(1) }),
      z.strictObject({ kind: z.literal('blocks'), blocks: z.int().min(1), width: z.int().default(64) }),
    ]),
    losses: z
      .strictObject({ task: z.number().positive().default(1), feature: z.number().min(0).default(0) })
      .prefault({}),
    betas: z.tuple([z.number(), z.number()]).default([0.9, 0.999]),
    precision: z.enum(['float16', 'float32']).default('float32'),
    rates: z.record(z.string(), z.number()).default({}),
    shuffle: z.boolean().default(true),
  })
  .refine(({ steps }) => steps !== 13, { message: '13 steps are unlucky', path: ['steps'] });

let root: string;
let file: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-recipe-'));
  file = join(root, 'recipe.jsonc');
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function read(text: string | Uint8Array, options = {}) {
  await writeFile(file, text);
  return readRecipeFile(file, FORM, options);
}

/** The message without the file's name: lines of `LINE:COLUMN: what`. */
async function complaints(text: string | Uint8Array): Promise<string[]> {
  const thrown = await read(text).catch((error) => error);
  expect(thrown).toBeInstanceOf(IsthmusError);
  expect(thrown.code).toBe('RECIPE_INVALID');
  return thrown.message.split('\n').map((line: string) => line.replace(`${file}:`, ''));
}

/** A right recipe with one line changed or added. */
function recipe(line: string, without?: string): string {
  const lines = ['"model": "a.onnx"', '"cut": "x"', '"transform": { "kind": "linear", "channels": 8 }'];
  const kept = lines.filter((each) => without === undefined || !each.startsWith(`"${without}"`));
  return `{\n  ${[...kept, line].filter((each) => each !== '').join(',\n  ')}\n}\n`;
}

describe('readRecipeFile', () => {
  it('reads JSON with comments and trailing commas, fills in defaults and tells where things stand', async () => {
    const text = `// how it is made
{
  "$schema": "../schema/recipe.schema.json",
  "model": "a.onnx", /* relative to this file */
  "cut": ["x", "y"],
  "transform": { "kind": "blocks", "blocks": 2, },
}`;
    const { recipe: made, folder, placeOf } = await read(text);
    expect(made).toEqual({
      model: 'a.onnx',
      cut: ['x', 'y'],
      steps: 10,
      transform: { kind: 'blocks', blocks: 2, width: 64 },
      losses: { task: 1, feature: 0 },
      betas: [0.9, 0.999],
      precision: 'float32',
      rates: {},
      shuffle: true,
    });
    expect(folder).toBe(root);
    expect(placeOf(['cut', 1])).toBe(`${file}:5:16`);
    expect(placeOf(['transform', 'width'])).toBe(`${file}:6:16`);
    expect(placeOf([])).toBe(`${file}:2:1`);
  });

  it.each([
    [
      '"stpes": 3',
      "5:3: the recipe has no key 'stpes'; it takes model, cut, steps, transform, losses, betas, precision, rates, shuffle; did you mean 'steps'?",
    ],
    [
      '"losses": { "featur": 1 }',
      "5:15: 'losses' has no key 'featur'; it takes task, feature; did you mean 'feature'?",
    ],
    [
      '"zzz": 1',
      "5:3: the recipe has no key 'zzz'; it takes model, cut, steps, transform, losses, betas, precision, rates, shuffle",
    ],
    ['"steps": "3"', '5:12: \'steps\' is "3"; it takes a number'],
    ['"steps": 1.5', "5:12: 'steps' is 1.5; it takes a whole number"],
    ['"steps": 0', "5:12: 'steps' is 0; it takes at least 1"],
    ['"steps": 1001', "5:12: 'steps' is 1001; it takes at most 1000"],
    ['"steps": 13', "5:12: 'steps': 13 steps are unlucky"],
    ['"steps": null', "5:12: 'steps' is null; it takes a number"],
    ['"losses": { "task": 0 }', "5:23: 'losses.task' is 0; it takes more than 0"],
    ['"losses": []', "5:13: 'losses' is an array; it takes an object"],
    ['"betas": [1, 2, 3]', "5:12: 'betas' is an array; it takes at most 2 values"],
    ['"betas": [1, "a"]', '5:16: \'betas[1]\' is "a"; it takes a number'],
    [
      '"precision": "flaot16"',
      '5:16: \'precision\' is "flaot16"; it takes "float16", "float32"; did you mean "float16"?',
    ],
    ['"precision": 16', '5:16: \'precision\' is 16; it takes "float16", "float32"'],
    ['"rates": { "a": true }', "5:19: 'rates.a' is true; it takes a number"],
    ['"shuffle": 1', "5:14: 'shuffle' is 1; it takes true or false"],
  ])('points at %s', async (line, complaint) => {
    expect(await complaints(recipe(line))).toEqual([complaint]);
  });

  it.each([
    [
      'transform',
      '"transform": { "kind": "blocks", "block": 2 }',
      [
        "4:16: 'transform' needs the key 'blocks': a number",
        "4:36: 'transform' has no key 'block'; it takes kind, blocks, width; did you mean 'blocks'?",
      ],
    ],
    [
      'transform',
      '"transform": { "kind": "lineal" }',
      ['4:26: \'transform.kind\' is "lineal"; it takes "linear", "blocks"; did you mean "linear"?'],
    ],
    ['transform', '"transform": { }', ['4:16: \'transform\' needs the key \'kind\': "linear", "blocks"']],
    ['cut', '"cut": 3', ["4:10: 'cut' is 3; it takes a text or an array"]],
    ['cut', '"cut": []', ["4:10: 'cut' is an array; it takes at least 1 values"]],
    ['cut', '"cut": ["x", 3]', ["4:16: 'cut[1]' is 3; it takes a text"]],
    ['model', '', ["1:1: the recipe needs the key 'model': a text"]],
  ])('points at a wrong %s: %s', async (key, line, expected) => {
    expect(await complaints(recipe(line, key))).toEqual(expected);
  });

  it.each([
    ['', '1:1: a value is expected here'],
    ['// nothing', '1:11: a value is expected here'],
    ['{\n  "model": a\n}', '2:12: this is no JSON value; texts stand in double quotes'],
    ['{\r\n  "model" "a"\r\n}', '2:11: a colon is expected here'],
    ['{\n  "model": "a"\n  "cut": "x"\n}', '3:3: a comma is expected here'],
    ['{\n  "model": "a', '2:12: this text does not end on its line'],
    ['{ "model": "a" /* }', '1:16: this comment does not end'],
    ['{ "a": 1, "b": 2, "a": 3 }', "1:19: the key 'a' stands here a second time"],
    ['{ "__proto__": { "model": "a" } }', "1:3: '__proto__' cannot be a key"],
    ['{} {}', '1:4: nothing is expected after the end of the recipe'],
    ['[1]', '1:1: the recipe is an array; it takes an object'],
    [`${'['.repeat(100_000)}`, '1:33: values nest more than 32 deep here'],
    [recipe('"$schema": 3'), /^5:3: the recipe has no key '\$schema'/],
  ])('points at the place in %j', async (text, complaint) => {
    expect((await complaints(text))[0]).toEqual(
      typeof complaint === 'string' ? complaint : expect.stringMatching(complaint),
    );
  });

  it('tells ten problems in the order of the lines, and how many more there are', async () => {
    const lines = Array.from({ length: 12 }, (_, i) => `"k${i}": ${i}`).join(',\n');
    const told = await complaints(recipe(lines));
    expect(told).toHaveLength(11);
    expect(told.map((line) => line.split(':')[0])).toEqual([
      ...Array.from({ length: 10 }, (_, i) => `${i + 5}`),
      'and 2 more',
    ]);
  });

  it('says what is wrong with the file itself', async () => {
    expect(await complaints(Uint8Array.of(0x7b, 0xff))).toEqual([expect.stringContaining('not UTF-8')]);
    await expect(read(recipe(''), { limits: { recipeBytes: 10 } })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await expect(readRecipeFile(join(root, 'none'), FORM)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(readRecipeFile(root, FORM)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  it('gives a recipe of the form, or points into the file, for any text', async () => {
    const good = recipe('"steps": 3, "betas": [1, 2], "rates": { "a": 1 }');
    const damaged = fc
      .array(
        fc.tuple(
          fc.nat(good.length),
          fc.nat(3),
          fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '1e999', '/*', 'kind', '\u2028', '\\'),
        ),
        {
          minLength: 1,
          maxLength: 4,
        },
      )
      .map((edits) => edits.reduce((text, [at, gone, put]) => text.slice(0, at) + put + text.slice(at + gone), good));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json(), damaged), async (text) => {
        const result = await read(text).catch((thrown) => thrown);
        if (!(result instanceof Error)) {
          expect(FORM.safeParse(result.recipe).success).toBe(true);
          return;
        }
        expect(result).toBeInstanceOf(IsthmusError);
        const lines = text.split(/\r\n|\n|\r/);
        for (const line of result.message.split('\n').filter((each) => !each.startsWith('and '))) {
          const [, row, column] = /:(\d+):(\d+): ./.exec(line.slice(file.length)) ?? [];
          expect(lines[Number(row) - 1].length).toBeGreaterThanOrEqual(Number(column) - 1);
        }
      }),
      { seed: 5, numRuns: 400 },
    );
  });
});

describe('recipeJsonSchema', () => {
  it('says for editors what the form says: kinds, defaults, descriptions, and that other keys are refused', () => {
    const schema = recipeJsonSchema(FORM, 'A recipe');
    expect(schema).toMatchObject({
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: 'A recipe',
      type: 'object',
      required: ['model', 'cut', 'transform'],
      additionalProperties: false,
      properties: {
        $schema: { type: 'string' },
        model: { type: 'string', minLength: 1, description: 'The model to train.' },
        steps: { type: 'integer', minimum: 1, maximum: 1000, default: 10, description: 'Steps to take.' },
        precision: { enum: ['float16', 'float32'], default: 'float32' },
      },
    });
  });
});
