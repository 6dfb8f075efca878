export { type BenchOptions, type BenchResult, bench, type RunInfo } from './bench.ts';
export { Cache, type CacheKind, cacheKey, contentHash, defaultCacheFolder, makeFolder } from './cache.ts';
export type { Progress } from './conditions.ts';
export { pointsToCsv } from './csv.ts';
export type { ShownAnswer } from './evidence.ts';
export { type FeatureOptions, Features, feedOf, type Head, runHead } from './features.ts';
export {
  type BadInput,
  checkBadShare,
  type FileFacts,
  type Input,
  type InputItem,
  PixelStore,
  readInputs,
} from './inputs.ts';
export { type BytesAtLoss, bytesAtLoss, LOSS_TARGETS, type SummaryRow, summarize } from './interpolate.ts';
export { PICTURE_WAYS, POINT_KEYS, type Point, WAYS, type Way } from './point.ts';
export type { BenchDocument, Circumstances } from './report/document.ts';
export { reportPage } from './report/page.ts';
export type { Sample, SampleAnswer, SampleAsked } from './samples.ts';
export { type SensitivityOptions, sensitivityOf, type TaskLoss } from './sensitivity.ts';
export {
  type ByteSummary,
  type Estimate,
  percentileInterval,
  type Resamples,
  resample,
  resampledScores,
  type SummedScore,
  sample,
  summarizeBytes,
  totalScore,
} from './statistics.ts';
export { modelLoss, SuiteLosses } from './suite-losses.ts';
export { controlLine, pointsTable, summaryTable, type TableOptions } from './tables.ts';
