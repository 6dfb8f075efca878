import type { Tensor, TensorLike } from '../tensor.ts';

/** One tensor of the feature that a codec is made for, at batch 1. */
export interface FeatureTensor {
  /** Name of the tensor at the cut. */
  readonly name: string;
  readonly dtype: 'float32' | 'float16';
  /** Whole shape with the batch axis, such as `[1, 197, 192]`. */
  readonly shape: readonly number[];
}

/** What a packet's bytes went to, for `inspect`; they add up to the packet's length. */
export interface ByteItem {
  readonly what: string;
  readonly bytes: number;
}

/**
 * Transform, quantizer and entropy model for one feature shape: complete and immutable. Same codec and same integers
 * give the same packet on every machine.
 */
export interface Codec {
  readonly kind: 'raw-f32' | 'raw-f16' | 'int8-deflate' | 'klt';
  /** First 4 bytes, little-endian, of the SHA-256 of `codec.json`; every packet carries it. */
  readonly id: number;
  readonly features: readonly FeatureTensor[];
  /** The tensors at the cut (one each of `features`, in order, batch 1) to a packet. Throws `TENSOR_INVALID`. */
  encode(feature: readonly TensorLike[]): Uint8Array;
  /** The inverse, up to what quantizing lost. Throws the `PACKET_…` errors. */
  decode(packet: Uint8Array): Tensor[];
  /** Bytes that the entropy model's own probabilities ask for with the frame; null where a codec has no such model. */
  idealBytes(feature: readonly TensorLike[]): number | null;
  /** What each byte of a packet is spent on. Throws the `PACKET_…` errors. */
  itemize(packet: Uint8Array): ByteItem[];
}
