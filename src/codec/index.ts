export { type ByteItem, CODEC_KINDS, type Codec, type CodecKind, type FeatureTensor } from './codec.ts';
export {
  CODEC_FILE_VERSION,
  type CodecSource,
  int8DeflateCodec,
  kltCodec,
  type LearnedParts,
  learnedCodec,
  rawCodec,
  readCard,
  readCodec,
} from './file.ts';
export {
  type FeatureStream,
  type KltStatistics,
  kltCodecs,
  kltStatistics,
  stepForRate,
  vectorLayout,
} from './fit.ts';
export { fitLatentModel, KLT_MODELS, type KltModel, type LatentModelOptions } from './fit-model.ts';
export type { KltPart } from './klt.ts';
export type { Latent } from './learned.ts';
export { type OpenTransforms, openTransforms } from './open-transforms.ts';
export { openParallelDecoder, type ParallelDecoder, type ParallelOptions } from './parallel.ts';
export { quantize, quantizeBy } from './quantizer.ts';
export {
  analyze,
  centre,
  type LinearTransform,
  synthesize,
  type VectorLayout,
  vectorsOf,
} from './transform.ts';
export type { TransformGraphs } from './transform-graphs.ts';
export { type VectorRange, type VectorSensitivity, vectorRanges } from './weighting.ts';
