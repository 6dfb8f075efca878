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
 * What pictures are sent as. Settings are those that cost a network the fewest bytes: measured on photos by the KL
 * divergence of a classifier's output, plain JPEG tables beat those of mozjpeg (tuned for eyes) by a tenth of the bytes
 * at a quarter of the divergence. WebP's lossy mode has 4:2:0 alone. PNG is lossless.
 */
export const PICTURE_FORMATS: readonly PictureFormat[] = [
  { way: 'png', chroma: null, qualities: [9], first: [0, 1] },
  { way: 'jpeg', chroma: '4:2:0', qualities: [20, 35, 50, 65, 75, 85, 92, 96], first: [3, 7] },
  { way: 'jpeg', chroma: '4:4:4', qualities: [20, 35, 50, 65, 75, 85, 92, 96], first: [3, 7] },
  { way: 'webp', chroma: null, qualities: [20, 35, 50, 65, 78, 86, 92, 97], first: [3, 7] },
  { way: 'avif', chroma: '4:2:0', qualities: [25, 35, 45, 55, 65, 75, 85, 93], first: [2, 6] },
  { way: 'avif', chroma: '4:4:4', qualities: [25, 35, 45, 55, 65, 75, 85, 93], first: [2, 6] },
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
      return picture.png({ compressionLevel: quality, adaptiveFiltering: true });
    case 'jpeg':
      return picture.jpeg({ quality, chromaSubsampling, optimiseCoding: true, optimiseScans: true });
    case 'webp':
      return picture.webp({ quality, effort: 6 });
    default:
      return picture.avif({ quality, chromaSubsampling, effort: 3 });
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

async function openSharp() {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new IsthmusError('PEER_MISSING', 'measuring pictures needs the package sharp: npm install sharp', { cause });
  }
}
