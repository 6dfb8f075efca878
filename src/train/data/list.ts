import { dirname, extname, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { IsthmusError, messageOf } from '../../errors.ts';
import { readWhole } from '../../files.ts';
import { type Limits, limitsOf } from '../../limits.ts';
import type { PictureItem } from './pictures.ts';

/** An entry of a list and where it stands in the file. */
interface Entry {
  readonly value: unknown;
  readonly where: string;
}

const ENTRY = z.union([
  z
    .string()
    .min(1)
    .transform((image) => ({ image, label: undefined })),
  z.object({ image: z.string().min(1), label: z.int().min(0).optional() }),
]);

/** How the entries of a text are told apart, by the file's extension. */
const FORMS: Readonly<Record<string, (text: string) => Entry[]>> = {
  '.json': jsonEntries,
  '.jsonl': lineEntries,
  '.ndjson': lineEntries,
  '.csv': csvEntries,
};

/**
 * The pictures that a list file names, in its order. `.json` holds an array of `"PATH"` or `{ "image": PATH, "label": N }`;
 * `.jsonl` (`.ndjson`) one such value a line; `.csv` (RFC 4180) a first line `image` or `image,label`, further columns
 * allowed. Paths are relative to the file's folder; labels are whole numbers from 0 on.
 *
 * Throws `DATA_INVALID` with file and place for another form, an unknown extension or a list without entries;
 * `FILE_NOT_FOUND`, `FILE_UNREADABLE`, and `LIMIT_EXCEEDED` above the cap `jsonBytes`.
 */
export async function picturesOfList(
  file: string,
  options: { readonly limits?: Partial<Limits> } = {},
): Promise<PictureItem[]> {
  const form = FORMS[extname(file).toLowerCase()];
  if (form === undefined) {
    throw invalid(file, '', `a list of pictures is a file ending in ${Object.keys(FORMS).join(', ')}`);
  }
  const bytes = await readWhole(file, limitsOf(options.limits), 'jsonBytes', 'the list');
  const entries = attempt(file, () => form(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  if (entries.length === 0) throw invalid(file, '', 'names no picture');
  const folder = dirname(file);
  return entries.map(({ value, where }) => {
    const read = ENTRY.safeParse(value);
    if (!read.success) throw invalid(file, where, reasonOf(value, read.error), read.error);
    const { image, label } = read.data;
    const path = resolve(folder, image);
    return label === undefined ? { path } : { path, label };
  });
}

function jsonEntries(text: string): Entry[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error('is no array');
  return list.map((value, i) => ({ value, where: `[${i}]` }));
}

function lineEntries(text: string): Entry[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const where = `line ${i + 1}`;
    try {
      return [{ value: JSON.parse(line) as unknown, where }];
    } catch (cause) {
      throw new Error(`${where}: ${messageOf(cause)}`, { cause });
    }
  });
}

function csvEntries(text: string): Entry[] {
  const rows = parse(text, { bom: true, columns: true, info: true, skip_empty_lines: true, trim: true }) as unknown as {
    record: Record<string, string>;
    info: { lines: number };
  }[];
  return rows.map(({ record: { image, label }, info }) => ({
    value: { image, label: label === undefined || label === '' ? undefined : wholeNumber(label) },
    where: `line ${info.lines}`,
  }));
}

/** The number that digits spell; what is no number stays a text, which the form refuses. */
function wholeNumber(text: string): number | string {
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

function attempt<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw invalid(file, '', `cannot be read as a list: ${messageOf(cause)}`, cause);
  }
}

/** What the form of an entry with its keys is missing, since of a union zod tells nothing. */
function reasonOf(value: unknown, error: z.ZodError): string {
  if (typeof value !== 'object' || value === null) {
    return 'an entry is a path, or an object (a line of CSV) with an image and, where it is known, a label';
  }
  const [issue] = (error.issues[0] as z.core.$ZodIssueInvalidUnion).errors?.[1] ?? error.issues;
  return `${z.core.toDotPath(issue.path)}: ${issue.message}`;
}

function invalid(file: string, where: string, what: string, cause?: unknown): IsthmusError {
  return new IsthmusError('DATA_INVALID', `${file}${where && ` at ${where}`}: ${what}`, { cause });
}
