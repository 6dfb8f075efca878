import {
  CODEC_FILE_VERSION,
  type Codec,
  type CodecSource,
  kltCodecs,
  kltStatistics,
  readCodec,
  stepForRate,
} from '../codec/index.ts';
import { cacheKey } from './cache.ts';
import type { Features } from './features.ts';
import type { Input } from './inputs.ts';
import { lossIdentity, type SensitivityOptions, sensitivityOf, type TaskLoss } from './sensitivity.ts';

/** Bits an element that the steps of the ladder aim at, by the Gaussian estimate of `stepForRate`. */
const KLT_BITS = [0.1, 0.2, 0.35, 0.6, 0.9, 1.3, 1.8, 2.5, 3.5, 5, 7];

/** Rungs of {@link fitKltLadder} that are always measured. */
export const KLT_FIRST = [3, 7] as const;

/**
 * KLT codecs for a ladder of steps, fitted on the training images, from the coarsest step to the finest; weighted by what `losses` feel
 * where there are any. Kept in the cache by head, images and preparation, and tails and questions of the losses. Throws what fitting and
 * {@link sensitivityOf} throw, `ABORTED`.
 */
export async function fitKltLadder(
  source: CodecSource,
  features: Features,
  training: readonly Input[],
  losses: readonly TaskLoss[],
  options: SensitivityOptions,
): Promise<Codec[]> {
  const { cache } = options;
  const weighted = losses.length > 0 ? [options.seed, losses.map(lossIdentity)] : [];
  const images = training.map(({ hash }) => hash);
  const key = (rung: number) =>
    cacheKey(['klt', CODEC_FILE_VERSION, features.identity, source, KLT_BITS, rung, images, ...weighted]);
  const kept = await Promise.all(KLT_BITS.map((_, rung) => cache.read('codecs', key(rung))));
  if (kept.every((bytes) => bytes !== undefined)) return kept.map((bytes) => readCodec(bytes));
  await features.fill(training, options);
  const stream = async function* () {
    for (const input of training) yield await features.of(input);
  };
  const weighting = losses.length > 0 ? await sensitivityOf(source, losses, features, training, options) : undefined;
  const statistics = await kltStatistics(source, stream, { ...options, weighting });
  const steps = KLT_BITS.map((bits) => stepForRate(statistics, bits));
  const codecs = await kltCodecs(source, statistics, stream, steps, options);
  await Promise.all(codecs.map((codec, rung) => cache.write('codecs', key(rung), codec.toBytes())));
  return codecs;
}
