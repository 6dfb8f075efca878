import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { IsthmusError, messageOf } from '../errors.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import { importPeer } from '../runtime/peer.ts';
import type { Tensor } from '../tensor.ts';
import { readWholeFile } from './files.ts';
import { checkPixels, type InputSpec, type Pixels, pixelsToTensor } from './pixels.ts';

/** A picture: the path of an image file, the bytes of one, or pixels. */
export type ImageInput = string | Uint8Array | Pixels;

export interface PrepareOptions {
  /** `imageBytes` and `imagePixels` are checked before anything is decoded. */
  readonly limits?: Partial<Limits>;
}

/** A part of an upright picture, in whole pixels inside of it, `mirrored` left to right or not. */
export interface View {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly mirrored: boolean;
}

export interface DecodeOptions extends PrepareOptions {
  /**
   * Chooses the part of the picture, by the size that it has when it is upright, which is resized to the target (its
   * sides apart) instead of the centre: what a training augmentation varies.
   */
  readonly view?: (width: number, height: number) => View;
}

/** What photos come in; libvips reads more (SVG, for one, which draws whatever it is told to). */
const FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif'];

type OpenSharp = (input: Uint8Array, options: SharpOptions) => Sharp;

/**
 * A picture as the model's input: float32 `[1, 3, H, W]` or `[1, H, W, 3]`. {@link decodePixels}, then
 * {@link pixelsToTensor}; throws what they throw.
 */
export async function prepare(image: ImageInput, input: InputSpec, options: PrepareOptions = {}): Promise<Tensor> {
  return pixelsToTensor(await decodePixels(image, input, options), input);
}

/**
 * The 8-bit sRGB pixels that a model sees of a picture: turned upright (EXIF), embedded profiles and CMYK converted,
 * 16 bits reduced to 8, transparency laid on white, the first frame of an animation; the shorter side resized to the
 * target (bicubic, antialiased) and the centre cut out. A picture of exactly the target's size is not resampled.
 *
 * With a `view` that part of the upright picture is resized instead.
 *
 * Reads JPEG, PNG, WebP, GIF, TIFF and AVIF. Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `IMAGE_UNREADABLE` for an
 * unknown, damaged or truncated file, `LIMIT_EXCEEDED` before a picture above the caps is decoded, `PEER_MISSING`
 * without sharp (pixels of the target's size need none), `INVALID_ARGUMENT` for pixels that do not fill their sides
 * and a view that is no part of the picture.
 */
export async function decodePixels(
  image: ImageInput,
  target: Pick<InputSpec, 'width' | 'height'>,
  options: DecodeOptions = {},
): Promise<Pixels> {
  const limits = limitsOf(options.limits);
  const { width, height } = target;
  const { view } = options;
  if (typeof image === 'string') {
    return decodeFile(await readWholeFile(image, 'imageBytes', limits), image, target, limits, view);
  }
  if (image instanceof Uint8Array) {
    within(limits, 'imageBytes', image.length, 'bytes of an image');
    return decodeFile(image, `image of ${image.length} bytes`, target, limits, view);
  }
  if (image === null || typeof image !== 'object' || !('data' in image)) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      'an image is a path, the bytes of a file, or pixels { width, height, data }',
    );
  }
  checkPixels(image);
  if (image.width === width && image.height === height && view === undefined) return image;
  within(limits, 'imagePixels', image.width * image.height, 'pixels of an image');
  const sharp = await openSharp();
  const raw = { width: image.width, height: image.height, channels: 3 } as const;
  try {
    return await toPixels(resized(sharp(image.data, { raw, limitInputPixels: false }), image, target, view));
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    const sides = `${image.width} x ${image.height} pixels cannot be resized to ${width} x ${height}`;
    throw new IsthmusError('INVALID_ARGUMENT', `${sides}: ${messageOf(cause)}`, { cause });
  }
}

async function decodeFile(
  bytes: Uint8Array,
  what: string,
  target: Pick<InputSpec, 'width' | 'height'>,
  limits: Readonly<Limits>,
  view: DecodeOptions['view'],
): Promise<Pixels> {
  if (bytes.length === 0) throw new IsthmusError('IMAGE_UNREADABLE', `${what}: the file is empty`);
  const sharp = await openSharp();
  // 'error' refuses truncated and damaged data and lets pass what every viewer lets pass (stray bytes between markers).
  const options: SharpOptions = { failOn: 'error', limitInputPixels: false, autoOrient: true };
  try {
    const header = await sharp(bytes, options).metadata();
    checkHeader(header, what, limits);
    const picture = sharp(bytes, options).flatten({ background: '#ffffff' });
    return await toPixels(resized(picture, header.autoOrient, target, view));
  } catch (thrown) {
    if (thrown instanceof IsthmusError) throw thrown;
    throw new IsthmusError(
      'IMAGE_UNREADABLE',
      `${what} is damaged or of an unknown format: ${messageOf(thrown)}; open it in a viewer and save it again`,
      { cause: thrown },
    );
  }
}

function checkHeader(header: Metadata, what: string, limits: Readonly<Limits>): void {
  if (!FORMATS.includes(header.format)) {
    throw new IsthmusError(
      'IMAGE_UNREADABLE',
      `${what} is of format ${header.format}; convert it to one of ${FORMATS.join(', ')}`,
    );
  }
  within(limits, 'imagePixels', header.width * header.height, `pixels of ${what} (${header.width} x ${header.height})`);
}

/** The view resized to the target; without one the shorter side, and the centre cut out. */
function resized(
  picture: Sharp,
  upright: { readonly width: number; readonly height: number },
  { width, height }: Pick<InputSpec, 'width' | 'height'>,
  view: DecodeOptions['view'],
): Sharp {
  // Shrinking while a JPEG is decoded would replace most of the bicubic filter by a box.
  const filter = { kernel: 'cubic', fastShrinkOnLoad: false } as const;
  if (view) {
    const { mirrored, ...part } = viewWithin(upright, view(upright.width, upright.height));
    return picture
      .extract(part)
      .resize(width, height, { fit: 'fill', ...filter })
      .flop(mirrored);
  }
  if (upright.width === width && upright.height === height) return picture;
  return picture.resize(width, height, { fit: 'cover', position: 'centre', ...filter });
}

/** Throws `INVALID_ARGUMENT` for a view that is no part of the picture. */
function viewWithin(upright: { readonly width: number; readonly height: number }, view: View): View {
  const { left, top, width, height } = view;
  const whole =
    [left, top, width, height].every(Number.isInteger) && left >= 0 && top >= 0 && width >= 1 && height >= 1;
  if (whole && left + width <= upright.width && top + height <= upright.height) return view;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `a view of ${width} x ${height} pixels at (${left}, ${top}) is no part of a picture of ${upright.width} x ${upright.height}`,
  );
}

async function toPixels(picture: Sharp): Promise<Pixels> {
  const { data, info } = await picture
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) {
    throw new IsthmusError('IMAGE_UNREADABLE', `the image decodes to ${info.channels} channels where RGB has 3`);
  }
  return { width: info.width, height: info.height, data };
}

async function openSharp(): Promise<OpenSharp> {
  return (await importPeer('sharp', () => import('sharp'), 'run `npm i sharp` to decode images')).default;
}
