export { type ByteItem, CODEC_KINDS, type Codec, type CodecKind, type FeatureTensor } from './codec.ts';
export {
  CODEC_FILE_VERSION,
  type CodecSource,
  int8DeflateCodec,
  kltCodec,
  rawCodec,
  readCard,
  readCodec,
} from './file.ts';
export {
  type FeatureStream,
  KLT_MODELS,
  type KltModel,
  type KltStatistics,
  kltCodecs,
  kltStatistics,
  stepForRate,
  vectorLayout,
} from './fit.ts';
export type { KltPart } from './klt.ts';
export { openParallelDecoder, type ParallelDecoder, type ParallelOptions } from './parallel.ts';
export { quantize } from './quantizer.ts';
export {
  analyze,
  centre,
  type LinearTransform,
  synthesize,
  type VectorLayout,
  vectorsOf,
} from './transform.ts';
