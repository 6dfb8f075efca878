export { type CaptionAnswer, type CaptioningOptions, captioning } from './captioning.ts';
export { type ClassificationAnswer, type ClassProbability, classification, teachImages } from './classification.ts';
export { openCodedTail } from './coded-tail.ts';
export { topAccuracy } from './metrics/accuracy.ts';
export { bleu } from './metrics/bleu.ts';
export { ciderD } from './metrics/cider.ts';
export { type VqaTruth, vqaAccuracy } from './metrics/vqa.ts';
export { normalizeAnswer } from './metrics/vqa-normalize.ts';
export { type InputSpec, type Pixels, pixelsToTensor } from './pixels.ts';
export {
  type DecodeOptions,
  decodePixels,
  type ImageInput,
  type PrepareOptions,
  prepare,
  type View,
} from './prepare.ts';
export { gatherRows, paddedTokens, stackRows } from './rows.ts';
export {
  type Item,
  openTask,
  readSplit,
  type SuiteAnswer,
  type SuiteAsk,
  type SuiteTask,
  type SuiteTruth,
} from './split.ts';
export { entryOf, modelsOf, openSuite, pathIn, type Suite, type TaskName, taskNames } from './suite.ts';
export { readJson } from './suite-form.ts';
export { logitsOf, openTail, tokensOf } from './tail.ts';
export type { Lesson, Metric, Tail, Task, Teaching } from './task.ts';
export { words } from './text.ts';
export { type VqaAnswer, type VqaOptions, vqa } from './vqa.ts';
