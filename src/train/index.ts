export { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
export { type CardFacts, cardOf, type MeasuredCodec } from './codec/card.ts';
export { type HeldOut, measureHeldOut } from './codec/held-out.ts';
export type { Learned, LearnJob, LearnProgress } from './codec/job.ts';
export { learnCodecs } from './codec/learn.ts';
export { TRAIN_RECIPE, type TrainRecipe } from './codec/recipe.ts';
export { type Rehearsal, rehearse } from './codec/rehearse.ts';
export { suiteSource, type TrainingSource } from './codec/source.ts';
export type { TaughtTask } from './codec/teacher.ts';
export { lossCurve } from './curve.ts';
export { type Augmentation, parseAugmentation } from './data/augment.ts';
export { type Batches, type BatchesOptions, batches } from './data/batches.ts';
export { picturesByClass } from './data/classes.ts';
export { openTrainingFeatures, type TrainingFeatures, type TrainingFeaturesOptions } from './data/features.ts';
export { holdOut } from './data/hold-out.ts';
export { picturesOfList } from './data/list.ts';
export {
  type Picture,
  type PictureItem,
  picturesIn,
  type ReadPicturesOptions,
  readPictures,
  splitPictures,
} from './data/pictures.ts';
export type { Column } from './data/row-file.ts';
export type { FillOptions } from './data/rows.ts';
export type { Views } from './data/views.ts';
export { Extension } from './extension.ts';
export { type Finetuned, type FinetuneJob, finetune, type Score } from './finetune.ts';
export { type FinetuneRecipe, parseFinetuneRecipe } from './finetune-recipe.ts';
export { type FitJob, fitCodec } from './fit.ts';
export { narrowWeights, widenWeights } from './half-weights.ts';
export { randomWeights } from './initialize.ts';
export { type LogLine, type MeasuredLine, readLog, type StepLine } from './log.ts';
export { crossEntropy, topOne, weightedChoices, weightedSum } from './losses.ts';
export { noise } from './noise.ts';
export type { AdamW, OptimizerSpec, Sgd } from './optimizer.ts';
export type { StateTensor, StepOptions, TrainedWeight, WeightGroup } from './plan.ts';
export type { Provenance } from './provenance.ts';
export { FITTED_KINDS, parseRecipe, type Recipe } from './recipe.ts';
export { type RecipeFile, readRecipeFile, recipeJsonSchema } from './recipe-file.ts';
export { learningRate, type Schedule } from './schedule.ts';
export { type TrainingStep, trainingStep } from './step.ts';
export { suiteCard } from './suite/card.ts';
export { finetuneSuite, type SuiteJob, type SuiteTrained } from './suite/finetune.ts';
export { SUITE_RECIPE, type SuiteRecipe } from './suite/recipe.ts';
export type { TaskScore } from './suite/score.ts';
export { type TrainOptions, type TrainProgress, train } from './train.ts';
export { type StepResult, Trainer, type TrainerOptions, type TrainerState } from './trainer.ts';
export { decayGroups, trainableWeights, type WeightChoice, withWeights } from './weights.ts';
