import {
  type ByteSummary,
  percentileInterval,
  type Resamples,
  resampledScores,
  type SummedScore,
  totalScore,
} from './statistics.ts';

/** The ways of sending that can be asked for. */
export const WAYS = [
  'reference',
  'device',
  'png',
  'jpeg',
  'webp',
  'avif',
  'raw-f32',
  'raw-f16',
  'int8-deflate',
  'klt',
  'klt-task',
] as const;

/** What a point can be of: those, and codecs that nothing but training makes, which are measured from their files. */
export type Way = (typeof WAYS)[number] | 'learned';

/** The ways that send pictures. */
export const PICTURE_WAYS: readonly Way[] = ['png', 'jpeg', 'webp', 'avif'];

/** One measured pair of bytes and score. Scores, losses and agreement are in points of 100. */
export interface Point {
  readonly task: string;
  readonly way: Way;
  /** What makes this point another than its neighbours on the same ladder comes first: `q=60 4:2:0`, `step=0.5`. */
  readonly setting: string;
  /** Tensors at the cut, joined by commas; null where the feature is not sent. */
  readonly cut: string | null;
  readonly images: number;
  readonly score: number;
  readonly scoreLow: number;
  readonly scoreHigh: number;
  /** Score of the reference minus this score, on the same images. */
  readonly loss: number;
  readonly lossLow: number;
  readonly lossHigh: number;
  /** Mean bytes of an image at batch 1, frame included; for a picture the whole file. */
  readonly bytes: number;
  readonly bytesP50: number;
  readonly bytesP95: number;
  readonly bytesMax: number;
  /** Mean bytes that the entropy model's own probabilities ask for; null where there is no such model. */
  readonly idealBytes: number | null;
  /** Share of answers that say the same as the reference's. */
  readonly agreement: number;
  /** Share of the multiply-accumulates that the device does, 0 to 1. */
  readonly headShare: number;
  /** Milliseconds an image; null where the way has no such stage. */
  readonly headMs: number | null;
  readonly encodeMs: number | null;
  readonly decodeMs: number | null;
  readonly tailMs: number | null;
}

/** Every key of a point, in the order of the columns. */
export const POINT_KEYS = [
  'task',
  'way',
  'setting',
  'cut',
  'images',
  'score',
  'scoreLow',
  'scoreHigh',
  'loss',
  'lossLow',
  'lossHigh',
  'bytes',
  'bytesP50',
  'bytesP95',
  'bytesMax',
  'idealBytes',
  'agreement',
  'headShare',
  'headMs',
  'encodeMs',
  'decodeMs',
  'tailMs',
] as const satisfies readonly (keyof Point)[];

export interface Scores {
  readonly score: number;
  readonly scoreLow: number;
  readonly scoreHigh: number;
  readonly loss: number;
  readonly lossLow: number;
  readonly lossHigh: number;
}

/** The reference that a way is compared with: its score, and its score on every resample. */
export interface ReferenceScores {
  readonly score: number;
  readonly resampled: Float64Array;
}

/** Scores the reference once for all ways. */
export function scoreReference(metric: SummedScore, statistics: Float64Array, resamples: Resamples): ReferenceScores {
  return { score: totalScore(metric, statistics), resampled: resampledScores(metric, statistics, resamples) };
}

/** Score and paired loss of a way with their intervals: both sides of a loss are drawn on the same resamples. */
export function scoreWay(
  metric: SummedScore,
  statistics: Float64Array,
  resamples: Resamples,
  reference: ReferenceScores,
): Scores {
  const resampled = resampledScores(metric, statistics, resamples);
  const score = percentileInterval(totalScore(metric, statistics), resampled);
  const losses = resampled.map((value, r) => reference.resampled[r] - value);
  const loss = percentileInterval(reference.score - score.value, losses);
  return {
    score: score.value,
    scoreLow: score.low,
    scoreHigh: score.high,
    loss: loss.value,
    lossLow: loss.low,
    lossHigh: loss.high,
  };
}

/** The byte columns of a point. */
export function byteColumns({ mean, p50, p95, max }: ByteSummary) {
  return { bytes: mean, bytesP50: p50, bytesP95: p95, bytesMax: max };
}

/** What a ladder's points share: way, cut, and the setting without its first word. */
export function ladderOf({ way, cut, setting }: Pick<Point, 'way' | 'cut' | 'setting'>): string {
  const rest = setting.split(' ').slice(1).join(' ');
  return [way, rest, cut === null ? '' : `at ${cut}`].filter((part) => part !== '').join(' ');
}
