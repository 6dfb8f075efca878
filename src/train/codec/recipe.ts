import { z } from 'zod';
import { KLT_MODELS } from '../../codec/index.ts';
import { AUGMENTATION } from '../data/augment.ts';

const positive = z.number().gt(0);
const weight = z.number().min(0);

const TRANSFORM = z
  .strictObject({
    kind: z.literal('tokens').describe('Groups of tokens, a linear map each way, and blocks of a transformer.'),
    group: z
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe('Tokens on each side of a square group that becomes one vector of latents.'),
    components: z.int().min(1).max(4096).default(256).describe("Latents of a group's vector at most."),
    prefixComponents: z.int().min(1).max(4096).default(96).describe('Latents of a class token at most.'),
    analysisBlocks: z
      .int()
      .min(0)
      .max(12)
      .default(0)
      .describe("Transformer blocks before the linear map, on the device's side."),
    synthesisBlocks: z.int().min(0).max(12).default(2).describe("Transformer blocks after it, on the edge's side."),
    grid: z
      .tuple([z.int().min(1), z.int().min(1)])
      .optional()
      .describe('Height and width of the tokens, where they are no square.'),
  })
  .describe('What becomes of a feature before it is quantized, and after.');

const QUANTIZER = z
  .strictObject({
    bytes: positive.describe(
      'Bytes a feature that a step of 1 is made for, by a Gaussian estimate; real packets take more or less.',
    ),
    range: z
      .tuple([positive, positive])
      .refine(([low, high]) => low <= high, 'goes from the lower step to the higher')
      .default([0.7, 2])
      .describe('Steps that training draws from, evenly by their logarithm: one transform serves all rates between.'),
    steps: z.array(positive).min(1).max(16).default([1]).describe('Steps that a codec file is made for each.'),
  })
  .describe('The uniform quantizer.');

const LOSSES = z
  .strictObject({
    tasks: z
      .record(z.string(), weight)
      .optional()
      .describe("Weight of each task's divergence from the uncut model's answers; 1 each unless told."),
    feature: weight.default(0).describe("Weight of the feature's squared error over its variance."),
    sensitive: weight.default(0).describe('Weight of the squared error as the tasks feel it, in nats.'),
    rate: positive.default(1).describe('Price of a bit, over what it is worth at high rates.'),
  })
  .describe('What is lessened, a weighted sum.');

const DATA = z
  .strictObject({
    split: z.string().default('train').describe("The suite's split to learn from."),
    pictures: z
      .string()
      .optional()
      .describe('Instead of a split, a folder of pictures, or a list (.json, .jsonl, .csv).'),
    limit: z.int().min(1).optional().describe('Pictures at most, chosen by the seed.'),
    versions: z.int().min(1).max(64).default(3).describe('Variations of each picture, the first as it is.'),
    augmentation: AUGMENTATION.prefault({}).describe('How pictures are varied.'),
  })
  .describe('What is learnt from.');

const SCHEDULE = z
  .strictObject({
    steps: z.int().min(1).describe('Steps of the training.'),
    batch: z.int().min(1).max(1024).default(16).describe('Pictures a step.'),
    rate: positive
      .default(3e-4)
      .describe("Learning rate; linear maps are trained at this share of their own numbers' size."),
    kind: z.enum(['constant', 'cosine', 'linear']).default('cosine').describe('How the rate falls.'),
    warmup: z.int().min(0).default(50).describe('Steps over which the rate rises.'),
    checkpoint: z.int().min(1).default(100).describe('Steps between two checkpoints.'),
  })
  .describe('How long and how fast.');

const OPTIMIZER = z
  .strictObject({
    beta1: z.number().min(0).lt(1).default(0.9).describe('Decay of the mean gradient.'),
    beta2: z.number().min(0).lt(1).default(0.99).describe('Decay of the mean squared gradient.'),
    decay: z.number().min(0).default(0).describe('Weight decay of the blocks.'),
    clip: positive.default(1e3).describe('Greatest global norm of a gradient.'),
    average: z.number().min(0).lt(1).default(0.99).describe('Decay of the average of weights that the codec takes.'),
  })
  .describe('AdamW.');

/** How a codec is trained. Data only; unknown keys are refused. */
export const TRAIN_RECIPE = z.strictObject({
  suite: z.string().optional().describe('Folder with a suite.json: models, tasks, pictures.'),
  models: z.array(z.string()).min(1).optional().describe('Instead of a suite, ONNX models in order, ending in logits.'),
  input: z
    .strictObject({
      mean: z
        .tuple([z.number(), z.number(), z.number()])
        .optional()
        .describe('Mean of the channels, of values from 0 to 1.'),
      std: z.tuple([positive, positive, positive]).optional().describe('Standard deviation of the channels.'),
      order: z.enum(['RGB', 'BGR']).optional().describe('Order of the channels; RGB unless told.'),
      size: z
        .tuple([z.int().min(1), z.int().min(1)])
        .optional()
        .describe('Width and height, where the model leaves them open.'),
    })
    .optional()
    .describe('How pictures become the input of models; of a suite, suite.json says it.'),
  cut: z.string().min(1).describe('The tensor to cut at, or a cut that the suite names.'),
  transform: TRANSFORM,
  quantizer: QUANTIZER,
  entropy: z
    .enum(KLT_MODELS)
    .default('predictive')
    .describe('Probabilities from neighbours (fewest bytes), or tables.'),
  losses: LOSSES.prefault({}),
  data: DATA.prefault({}),
  schedule: SCHEDULE,
  optimizer: OPTIMIZER.prefault({}),
  start: z.int().min(1).default(600).describe('Pictures that the first linear maps are made from.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(1)
    .describe('Decides everything that is drawn.'),
  measure: z
    .strictObject({
      split: z.string().default('val').describe('The split that the card tells the scores of.'),
      limit: z.int().min(1).default(200).describe('Pictures of each task.'),
    })
    .prefault({})
    .describe('What the card tells.'),
});

export type TrainRecipe = z.infer<typeof TRAIN_RECIPE>;
