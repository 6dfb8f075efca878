import { z } from 'zod';
import { AUGMENTATION } from '../data/augment.ts';

const count = z.int().min(1);
const positive = z.number().gt(0);
const names = z.array(z.string().min(1)).min(1);

const AUXILIARY = z
  .strictObject({
    model: z
      .string()
      .min(1)
      .describe(
        "A model after the trunk, in the suite's folder; each output is [batch, …, classes], a choice for each place.",
      ),
    data: z
      .string()
      .min(1)
      .describe(
        "The right choices, a JSON file in the suite's folder with {split} in its name: " +
          '[{ "image": PATH, "labels": { OUTPUT: [class, …] } }], -1 where there is none.',
      ),
    weight: positive.default(1).describe('Weight of the cross-entropy of each output.'),
  })
  .describe('A further loss that helps the trunk to learn (Lee et al., Deeply-Supervised Nets, 2015).');

/** How the models of a suite are trained together. Data only; unknown keys are refused. */
export const SUITE_RECIPE = z
  .strictObject({
    split: z.string().default('train').describe('The split to learn from.'),
    validation: z.string().default('val').describe('The split that the card tells the scores of.'),
    weights: names.optional().describe('Patterns of weights to train, `trunk/*` or `vqa/*`; all where absent.'),
    freeze: names.optional().describe('Patterns of weights that stay as they are.'),
    init: z
      .union([z.enum(['model', 'random']), names])
      .default('model')
      .describe(
        "Whether training starts from the models' weights, or the trained ones are drawn anew: all, or those that patterns fit.",
      ),
    losses: z
      .strictObject({
        classification: z.number().min(0).default(1),
        captioning: z.number().min(0).default(1),
        vqa: z.number().min(0).default(1),
      })
      .prefault({})
      .describe("Weight of each task's cross-entropy; 0 leaves a task out."),
    auxiliary: z
      .record(z.string().regex(/^[\w-]+$/), AUXILIARY)
      .default({})
      .describe('Further losses by name.'),
    questions: count.max(64).default(4).describe('Questions that a step asks of a picture.'),
    steps: count.describe('Steps of the training.'),
    batch: count.default(32).describe('Pictures of a batch.'),
    accumulate: count.default(1).describe('Batches of a step, whose gradients are averaged.'),
    rate: positive.default(3e-4).describe('Learning rate of AdamW.'),
    schedule: z.enum(['constant', 'cosine', 'linear']).default('cosine').describe('How the rate falls.'),
    warmup: z.int().min(0).default(0).describe('Steps over which the rate rises.'),
    decay: z.number().min(0).default(0.05).describe('Weight decay of matrices, kernels and tables.'),
    clip: positive.optional().describe('Global norm that gradients are clipped to; none where absent.'),
    smoothing: z.number().min(0).lt(1).default(0).describe('Share of each target that is spread over all choices.'),
    average: z
      .number()
      .min(0)
      .lt(1)
      .optional()
      .describe('Decay of a moving average of the weights, which is what is written then.'),
    augmentation: AUGMENTATION.nullable().default(null).describe('How pictures are varied; not at all unless told.'),
    store: z
      .enum(['float32', 'float16'])
      .default('float32')
      .describe(
        'What the trained weights are written as; float16 halves the files, and the models still work in float32.',
      ),
    seed: z.int().min(0).default(0).describe('Decides order, questions, captions, variations and random weights.'),
  })
  .refine(({ warmup, steps }) => warmup < steps, { message: 'warmup must be fewer than steps', path: ['warmup'] });

export type SuiteRecipe = z.output<typeof SUITE_RECIPE>;
