import { dirname } from 'node:path';
import { z } from 'zod';
import { IsthmusError } from '../errors.ts';
import { readWhole } from '../files.ts';
import { type Limits, limitsOf } from '../limits.ts';
import { problemsOf } from './recipe-problems.ts';
import { type Path, type Problem, readRecipeText } from './recipe-text.ts';

/** A recipe that was read and checked. */
export interface RecipeFile<Recipe> {
  readonly recipe: Recipe;
  /** The file's folder, which paths in the recipe are relative to. */
  readonly folder: string;
  /** `FILE:LINE:COLUMN` of the value at a path of keys and indices, for messages about what it names. */
  placeOf(path: Path): string;
}

/** Problems that one message tells; a file of another kind has hundreds. */
const TOLD = 10;

/**
 * Reads a recipe: JSON, in which comments and trailing commas are allowed (`.jsonc`), of the form of `schema`, its defaults
 * filled in. A key `$schema` is for editors and left out. UTF-8.
 *
 * Throws `RECIPE_INVALID` that tells each problem with file, line and column, what is allowed and, of unknown keys and
 * words, the nearest known; `FILE_NOT_FOUND`, `FILE_UNREADABLE`, and `LIMIT_EXCEEDED` above the cap `recipeBytes`.
 */
export async function readRecipeFile<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
  options: { readonly limits?: Partial<Limits> } = {},
): Promise<RecipeFile<z.output<Schema>>> {
  const limits = limitsOf(options.limits);
  const bytes = await readWhole(file, limits, 'recipeBytes', 'the recipe');
  const text = textOf(bytes, file);
  const place = (offset: number) => `${file}:${lineAndColumn(text, offset)}`;
  const read = readRecipeText(text, limits.recipeNesting);
  if ('problems' in read) throw invalid(read.problems, place);
  const parsed = schema.safeParse(withoutSchema(read.value));
  if (!parsed.success) throw invalid(problemsOf(parsed.error.issues, schema, read), place, parsed.error);
  return { recipe: parsed.data, folder: dirname(file), placeOf: (path) => place(read.offsetOf(path)) };
}

/**
 * The form of a recipe as JSON Schema, by which editors complete and check it: descriptions and defaults are those of the
 * form; `title` is shown on top. The key `$schema`, which names the file of this, is allowed. Draft 7, which all of them know.
 */
export function recipeJsonSchema(schema: z.ZodType, title: string): Record<string, unknown> {
  const { $schema, properties, ...form } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
  });
  const own = { type: 'string', description: 'The JSON Schema of this file, for editors.' };
  return { $schema, title, ...form, properties: { ...properties, $schema: own } };
}

function textOf(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new IsthmusError('RECIPE_INVALID', `${file}: the recipe is not UTF-8 text`, { cause });
  }
}

function withoutSchema(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$schema' in value)) return value;
  const { $schema, ...rest } = value;
  return typeof $schema === 'string' ? rest : value;
}

/** `LINE:COLUMN`, both from 1; columns count UTF-16 units, as editors do. */
function lineAndColumn(text: string, offset: number): string {
  const lines = text.slice(0, offset).split(/\r\n|\n|\r/);
  return `${lines.length}:${lines[lines.length - 1].length + 1}`;
}

function invalid(problems: readonly Problem[], place: (offset: number) => string, cause?: unknown): IsthmusError {
  const told = problems
    .toSorted((a, b) => a.offset - b.offset)
    .slice(0, TOLD)
    .map(({ offset, message }) => `${place(offset)}: ${message}`);
  const more = problems.length > TOLD ? [`and ${problems.length - TOLD} more`] : [];
  return new IsthmusError('RECIPE_INVALID', [...told, ...more].join('\n'), { cause });
}
