import type { Tensor, TensorLike } from '../tensor.ts';
import type { TransformGraphs } from './transform-graphs.ts';

/** One tensor of the feature that a codec is made for, at batch 1. */
export interface FeatureTensor {
  /** Name of the tensor at the cut. */
  readonly name: string;
  readonly dtype: 'float32' | 'float16';
  /** Whole shape with the batch axis, such as `[1, 197, 192]`. */
  readonly shape: readonly number[];
}

export const CODEC_KINDS = ['raw-f32', 'raw-f16', 'int8-deflate', 'klt', 'learned'] as const;
export type CodecKind = (typeof CODEC_KINDS)[number];

/** What a packet's bytes went to, for `inspect`; they add up to the packet's length, in fractions where bits are shared. */
export interface ByteItem {
  readonly what: string;
  readonly bytes: number;
}

/** How a body of several pieces is decoded piece by piece, in any order and on any thread. */
export interface BodyPieces {
  /** The same for every packet; at least 2. */
  readonly count: number;
  /** The pieces, as views. Throws `PACKET_CORRUPT`. */
  split(body: Uint8Array): Uint8Array[];
  /** Puts what piece number `i` tells into its places in `tensors`, the coded values before their dtype. Throws `PACKET_CORRUPT`. */
  decode(i: number, piece: Uint8Array, tensors: readonly Float32Array[]): void;
}

/** One kind's way between the tensors that are coded and the body of a packet; {@link Codec} puts the frame around it. */
export interface CodecBody {
  encode(coded: readonly TensorLike[]): Uint8Array;
  decode(body: Uint8Array): Tensor[];
  /** Bits that the entropy model's own probabilities ask for; null where there is no such model. */
  idealBits(coded: readonly TensorLike[]): number | null;
  itemize(body: Uint8Array): ByteItem[];
  /** Null or absent where a body is one piece. */
  readonly pieces?: BodyPieces | null;
}

/**
 * Transform, quantizer and entropy model for one feature shape: complete and immutable. Same codec and same integers
 * give the same packet on every machine.
 */
export interface Codec {
  readonly kind: CodecKind;
  /** First 4 bytes, little-endian, of the SHA-256 of `codec.json`; every packet carries it. */
  readonly id: number;
  /** The tensors at the cut. */
  readonly features: readonly FeatureTensor[];
  /** The tensors that {@link encode} takes and {@link decode} gives: the latents of a learned codec, `features` of every other kind. */
  readonly coded: readonly FeatureTensor[];
  /**
   * What lies between `features` and `coded`, to be run where models run ({@link openTransforms}); null for kinds whose transform is a part
   * of encoding and decoding.
   */
  readonly transforms: TransformGraphs | null;
  /** What tells this codec from others of its kind, such as `step 0.75`; empty where there is nothing to set. */
  readonly setting: string;
  /** Name of the model the codec was made for and SHA-256 of its file, where its maker said so. */
  readonly model: { readonly name: string; readonly sha256: string } | null;
  /** One each of `coded`, in order, batch 1, to a packet. Throws `TENSOR_INVALID`. */
  encode(coded: readonly TensorLike[]): Uint8Array;
  /** The inverse, up to what quantizing lost. Throws the `PACKET_…` errors. */
  decode(packet: Uint8Array): Tensor[];
  /** Bytes that the entropy model's own probabilities ask for, with the frame; null where a codec has no such model. */
  idealBytes(coded: readonly TensorLike[]): number | null;
  /** What each byte of a packet is spent on. Throws the `PACKET_…` errors. */
  itemize(packet: Uint8Array): ByteItem[];
  /** What its file holds, by name: `codec.json` first. */
  readonly entries: ReadonlyMap<string, Uint8Array>;
  /** The codec file (docs/codec-file.md); `card` is a Markdown page of how it was made and what it scored. */
  toBytes(card?: string): Uint8Array;
}
