import type { Sharp } from 'sharp';
import { IsthmusError } from '../errors.ts';
import type { Pixels } from '../tasks/index.ts';
import type { Way } from './point.ts';

/** A picture format with its chroma sampling, and the qualities of its ladder from the fewest bytes to the most. */
export interface PictureFormat {
  readonly way: Way;
  readonly chroma: '4:2:0' | '4:4:4' | null;
  readonly qualities: readonly number[];
  /** Qualities that are always measured; the others are where these do not reach a loss that is asked for. */
  readonly first: readonly [from: number, to: number];
}

/**
 * Settings of the encoders beside quality and chroma: those that cost a network the fewest bytes, by the KL divergence
 * of a ViT's output on photos (sharp 0.35.5, 96 of them, for AVIF 144). JPEG: the standard tables with optimized scans;
 * what mozjpeg adds for eyes (trellis, its own tables) costs a network a fifth more bytes. WebP: effort 6 with smart
 * subsampling; its lossy mode has 4:2:0 alone. AVIF: tuned for SSIM, effort 2, which needs 0 to 8 % more bytes than
 * effort 4 at equal divergence, in a seventh of its time. PNG is lossless.
 */
export const PICTURE_SETTINGS = {
  png: { adaptiveFiltering: true },
  jpeg: { optimiseCoding: true, optimiseScans: true },
  webp: { effort: 6, smartSubsample: true },
  avif: { effort: 2, tune: 'ssim' },
} as const;

/** What pictures are sent as. */
export const PICTURE_FORMATS: readonly PictureFormat[] = [
  { way: 'png', chroma: null, qualities: [9], first: [0, 1] },
  { way: 'jpeg', chroma: '4:2:0', qualities: [10, 25, 50, 75, 90, 97], first: [2, 4] },
  { way: 'jpeg', chroma: '4:4:4', qualities: [10, 25, 50, 75, 90, 97], first: [2, 4] },
  { way: 'webp', chroma: null, qualities: [10, 30, 60, 80, 92, 99], first: [2, 4] },
  { way: 'avif', chroma: '4:2:0', qualities: [12, 27, 45, 63, 80, 93], first: [2, 4] },
  { way: 'avif', chroma: '4:4:4', qualities: [12, 27, 45, 63, 80, 93], first: [2, 4] },
];

/** A setting as points name it: `q=60 4:2:0`, `level=9` of PNG. */
export function pictureSetting({ way, chroma }: PictureFormat, quality: number): string {
  return `${way === 'png' ? 'level' : 'q'}=${quality}${chroma === null ? '' : ` ${chroma}`}`;
}

/** A file of the format that holds the pixels. Throws `PEER_MISSING` without sharp. */
export async function encodePicture(pixels: Pixels, format: PictureFormat, quality: number): Promise<Uint8Array> {
  const sharp = await openSharp();
  const { width, height, data } = pixels;
  const picture = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false });
  return withFormat(picture, format, quality).toBuffer();
}

function withFormat(picture: Sharp, { way, chroma }: PictureFormat, quality: number): Sharp {
  const chromaSubsampling = chroma ?? undefined;
  switch (way) {
    case 'png':
      return picture.png({ compressionLevel: quality, ...PICTURE_SETTINGS.png });
    case 'jpeg':
      return picture.jpeg({ quality, chromaSubsampling, ...PICTURE_SETTINGS.jpeg });
    case 'webp':
      return picture.webp({ quality, ...PICTURE_SETTINGS.webp });
    default:
      return picture.avif({ quality, chromaSubsampling, ...PICTURE_SETTINGS.avif });
  }
}

/** The pixels of a file that {@link encodePicture} made. */
export async function decodePicture(bytes: Uint8Array): Promise<Pixels> {
  const sharp = await openSharp();
  const { data, info } = await sharp(bytes, { limitInputPixels: false }).raw().toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) {
    throw new IsthmusError('IMAGE_UNREADABLE', `an encoded picture came back with ${info.channels} channels`);
  }
  return { width: info.width, height: info.height, data };
}

/** A picture as the edge has it, and what sending it cost. */
export interface SentPicture {
  readonly decoded: Pixels;
  readonly bytes: number;
  readonly encodeMs: number;
  readonly decodeMs: number;
}

/** Sent pictures by image and setting, as many as fit into a number of bytes. */
export class SentPictures {
  readonly #most: number;
  readonly #kept = new Map<string, SentPicture>();
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): SentPicture | undefined {
    return this.#kept.get(key);
  }

  keep(key: string, sent: SentPicture): void {
    const { length } = sent.decoded.data;
    if (this.#kept.has(key) || this.#bytes + length > this.#most) return;
    this.#kept.set(key, sent);
    this.#bytes += length;
  }
}

/** Versions of the encoders, which decide every byte. */
export async function pictureVersions(): Promise<Readonly<Record<string, string>>> {
  const { versions } = await openSharp();
  const { sharp, vips, mozjpeg, webp, aom, heif, png } = versions as Record<string, string>;
  return { sharp, vips, mozjpeg, webp, aom, heif, png };
}

async function openSharp() {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new IsthmusError('PEER_MISSING', 'measuring pictures needs the package sharp: npm install sharp', { cause });
  }
}
