import type { Pixels } from 'isthmus';
import { Problem } from './problem.ts';
import { coverTo } from './resample.ts';

/** Where a picture comes from: a file, a frame of the camera, or pixels that need no decoding. */
export type Source = Blob | ImageBitmap | Pixels;

export interface Sides {
  readonly width: number;
  readonly height: number;
}

/** A longer side is halved by the browser until it fits: canvases have limits, and the network sees a few hundred pixels. */
const LONGEST = 8192;

/**
 * A picture as the network sees it: turned upright, in sRGB, transparency laid on white, the shorter side resized and the centre cut out.
 * Pixels of the input's own size are kept as they are. Throws a `Problem`.
 */
export async function preparePicture(source: Source, input: Sides, mostPixels: number): Promise<Pixels> {
  if ('data' in source) return source;
  const bitmap = source instanceof Blob ? await decode(source) : source;
  try {
    checkPixels(bitmap, mostPixels);
    const longer = Math.max(bitmap.width, bitmap.height);
    const scale = longer > LONGEST ? LONGEST / longer : 1;
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    const context = contextOf(new OffscreenCanvas(width, height));
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    return {
      width: input.width,
      height: input.height,
      data: coverTo({ width, height, data }, input.width, input.height),
    };
  } finally {
    bitmap.close();
  }
}

/** Throws `LIMIT_EXCEEDED` for sides that make more pixels than `most`. */
export function checkPixels({ width, height }: Sides, most: number): void {
  if (width * height <= most) return;
  const [sides, limit] = [`${width.toLocaleString('en')} × ${height.toLocaleString('en')}`, (most / 1e6).toFixed(0)];
  throw new Problem(
    'LIMIT_EXCEEDED',
    `the picture has ${sides} pixels, and ${limit} million are the most; make it smaller first`,
  );
}

async function decode(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch {
    throw unreadable();
  }
}

/** What is said of a file that is no picture, or a broken one. */
export function unreadable(): Problem {
  return new Problem(
    'IMAGE_UNREADABLE',
    'this is no picture that the browser can read: another kind of file, or a damaged one',
  );
}

/** Bytes of pixels as the picture formats that everybody has. */
export async function encodedSizes({ width, height, data }: Pixels): Promise<{ png: number; jpeg: number }> {
  const canvas = new OffscreenCanvas(width, height);
  contextOf(canvas).putImageData(imageDataOf({ width, height, data }), 0, 0);
  const png = await canvas.convertToBlob({ type: 'image/png' });
  const jpeg = await canvas.convertToBlob({ type: 'image/jpeg', quality: JPEG_QUALITY / 100 });
  return { png: png.size, jpeg: jpeg.size };
}

export const JPEG_QUALITY = 75;

export function imageDataOf({ width, height, data }: Pixels): ImageData {
  const image = new ImageData(width, height);
  for (let i = 0, o = 0; i < data.length; i += 3, o += 4) {
    image.data[o] = data[i];
    image.data[o + 1] = data[i + 1];
    image.data[o + 2] = data[i + 2];
    image.data[o + 3] = 255;
  }
  return image;
}

function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Problem('LIMIT_EXCEEDED', 'the browser has no room for a picture of this size');
  return context;
}
