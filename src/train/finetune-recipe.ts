import { z } from 'zod';
import { IsthmusError } from '../errors.ts';
import { AUGMENTATION } from './data/augment.ts';

const count = z.int().min(1);
const names = z.array(z.string().min(1)).min(1);

/** How weights of a model are trained on labels. Data only; unknown keys are refused. */
const FINETUNE_RECIPE = z
  .strictObject({
    /** Patterns of weights, `*` for any text; all where absent. */
    weights: names.optional(),
    /** Patterns of weights that stay as they are. */
    freeze: names.optional(),
    /** Whether training starts from the model's weights, or the trained ones are drawn anew. */
    init: z.enum(['model', 'random']).default('model'),
    steps: count,
    /** Pictures of a batch. */
    batch: count.default(32),
    /** Batches of a step, whose gradients are averaged. */
    accumulate: count.default(1),
    optimizer: z.enum(['adamw', 'sgd']).default('adamw'),
    /** sgd: decay of the sum of past gradients. */
    momentum: z.number().min(0).lt(1).default(0.9),
    rate: z.number().positive().default(3e-4),
    schedule: z.enum(['constant', 'cosine', 'linear']).default('cosine'),
    warmup: z.int().min(0).default(0),
    /** Weight decay of matrices, kernels and tables. */
    decay: z.number().min(0).default(0.05),
    /** Global norm that gradients are clipped to; none where absent. */
    clip: z.number().positive().optional(),
    /** Share of the target that is spread over all classes. */
    smoothing: z.number().min(0).lt(1).default(0.1),
    /** Decay of a moving average of the weights, which is what is written then. */
    average: z.number().min(0).lt(1).optional(),
    /** How pictures are varied; null for not at all. */
    augmentation: AUGMENTATION.nullable().default(AUGMENTATION.parse({})),
    seed: z.int().min(0).default(0),
  })
  .refine(({ warmup, steps }) => warmup < steps, { message: 'warmup must be fewer than steps' });

export type FinetuneRecipe = z.infer<typeof FINETUNE_RECIPE>;

/** Checks a recipe and fills in its defaults. Throws `INVALID_ARGUMENT` with the place and the reason. */
export function parseFinetuneRecipe(value: unknown): FinetuneRecipe {
  const parsed = FINETUNE_RECIPE.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new IsthmusError('INVALID_ARGUMENT', `recipe: ${z.prettifyError(parsed.error)}`, { cause: parsed.error });
}
