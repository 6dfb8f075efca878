import { z } from 'zod';
import { KLT_MODELS } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';

/** Kinds of codecs that statistics are enough for. */
export const FITTED_KINDS = ['raw-f32', 'raw-f16', 'int8-deflate', 'klt'] as const;

/** How a codec is made. Data only; unknown keys are refused. */
const RECIPE = z
  .strictObject({
    kind: z.enum(FITTED_KINDS),
    /** The tensors to cut at. */
    cut: z.array(z.string().min(1)).min(1),
    /** klt: the quantization step, in the feature's units. */
    step: z.number().positive().optional(),
    /** klt, instead of a step: bits an element to aim at. */
    bits: z.number().positive().max(24).optional(),
    /** klt: the axis along which the vectors lie; channels or the last axis where absent. */
    axis: z.int().min(0).optional(),
    /** klt: what gives integers their probabilities; `predictive` where absent. */
    entropy: z.enum(KLT_MODELS).optional(),
    /** klt: weighted by what the losses of tasks feel at the cut; plain squared error where absent. */
    weight: z.enum(['task']).optional(),
    /** The tasks of a weight, by the suite's names; all of them where absent. */
    tasks: z.array(z.string().min(1)).min(1).optional(),
    /** int8-deflate: integers from -levels to levels. */
    levels: z.int().min(1).max(127).optional(),
    /** Images to learn from, chosen by the seed. */
    images: z.int().min(1).default(300),
    seed: z.int().min(0).default(0),
  })
  .refine(({ kind, step, bits }) => kind !== 'klt' || (step === undefined) !== (bits === undefined), {
    message: 'a klt codec takes either step or bits',
  })
  .refine(
    ({ kind, step, bits, axis, entropy, weight }) =>
      kind === 'klt' || (step ?? bits ?? axis ?? entropy ?? weight) === undefined,
    { message: 'step, bits, axis, entropy and weight are for klt codecs' },
  )
  .refine(({ weight, tasks }) => weight !== undefined || tasks === undefined, {
    message: 'tasks are those of a weight',
  })
  .refine(({ kind, levels }) => kind === 'int8-deflate' || levels === undefined, {
    message: 'levels are for int8-deflate codecs',
  });

export type Recipe = z.infer<typeof RECIPE>;

/** Checks a recipe and fills in its defaults. Throws `INVALID_ARGUMENT` with the place and the reason. */
export function parseRecipe(value: unknown): Recipe {
  const parsed = RECIPE.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new IsthmusError('INVALID_ARGUMENT', `recipe: ${z.prettifyError(parsed.error)}`, { cause: parsed.error });
}
