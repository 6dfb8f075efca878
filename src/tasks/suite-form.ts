import { z } from 'zod';
import { IsthmusError, messageOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { readWholeFile } from './files.ts';

/** The form of a suite's JSON files. Keys that are not named here are left alone, except names of tasks. */

const path = z.string().min(1);
const words = z.array(z.string()).min(1);
const three = z.tuple([z.number(), z.number(), z.number()]);
const side = z.int().min(1).max(16_384);
const count = z.int().min(1);

const network = {
  /** The model after the suite's trunk (or the only one where the suite has none). */
  tail: path.optional(),
  /** Instead: a model that is the whole network. */
  model: path.optional(),
  data: path,
  /** Name of the metric that losses are reported in. */
  score: z.string().optional(),
};

const oneNetwork = (entry: { tail?: string; model?: string }) =>
  (entry.tail === undefined) !== (entry.model === undefined);
const ONE_NETWORK = "needs either 'tail' (a model after the trunk) or 'model' (the whole network)";

export const SUITE = z.object({
  name: z.string().min(1),
  input: z.object({
    name: z.string().min(1),
    width: side,
    height: side,
    layout: z.enum(['NCHW', 'NHWC']),
    order: z.enum(['RGB', 'BGR']),
    mean: three,
    std: three.refine((std) => std.every((value) => value > 0), 'must be above 0'),
  }),
  trunk: path.optional(),
  tasks: z
    .strictObject({
      classification: z
        .object({ ...network, labels: path })
        .refine(oneNetwork, ONE_NETWORK)
        .optional(),
      captioning: z
        .object({ ...network, vocabulary: path, beam: count.optional(), maxTokens: count.optional() })
        .refine(oneNetwork, ONE_NETWORK)
        .optional(),
      vqa: z
        .object({ ...network, vocabulary: path, maxTokens: count.optional() })
        .refine(oneNetwork, ONE_NETWORK)
        .optional(),
    })
    .refine((tasks) => Object.keys(tasks).length > 0, 'names no task'),
  cuts: z.record(z.string(), z.union([z.string().min(1), words])).default({}),
});

/** Labels by class, or words by id. */
export const WORDS = words;
export const VQA_VOCABULARY = z.object({ vocab: words, answers: words });

export const DATA = {
  classification: z.array(z.object({ image: path, label: z.int().min(0) })).min(1),
  captioning: z.array(z.object({ image: path, captions: words })).min(1),
  vqa: z
    .array(
      z.object({
        image: path,
        questions: z.array(z.object({ question: path, answers: words, type: z.string().optional() })),
      }),
    )
    .min(1),
};

/** `SUITE_INVALID` with file and place. */
export function invalid(file: string, where: string, what: string, cause?: unknown): IsthmusError {
  return new IsthmusError('SUITE_INVALID', `${file}${where && ` at ${where}`}: ${what}`, { cause });
}

/** A JSON file of a suite. Throws `SUITE_INVALID` where it is missing, no JSON or of another form; `LIMIT_EXCEEDED`. */
export async function readJson<T>(file: string, form: z.ZodType<T>, limits: Readonly<Limits>): Promise<T> {
  const bytes = await readWholeFile(file, 'jsonBytes', limits).catch((thrown: IsthmusError) => {
    throw thrown.code === 'FILE_NOT_FOUND' ? invalid(file, '', 'the file does not exist', thrown) : thrown;
  });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid(file, '', `is no JSON: ${messageOf(cause)}`, cause);
  }
  const result = form.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(file, z.core.toDotPath(issue.path), issue.message, result.error);
}
