import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { z } from 'zod';
import { IsthmusError } from '../../errors.ts';
import { decodePixels, type ImageInput, type InputSpec, type Pixels, type View } from '../../tasks/index.ts';
import { randomOf } from '../random.ts';

/**
 * How training pictures are varied. Szegedy et al., Going deeper with convolutions (2015), section 6: a crop of random
 * area and sides, resized to the input, and mirrored; the colours as Krizhevsky et al. (2012) and later work vary them.
 */
export interface Augmentation {
  /** Share of the picture's area that a crop has, drawn between these two. */
  readonly area: readonly [number, number];
  /** Width over height of a crop, beside the input's own, drawn between these two by their logarithm. */
  readonly aspect: readonly [number, number];
  /** Probability that a picture is mirrored left to right. */
  readonly mirror: number;
  /** Brightness, contrast and saturation are each multiplied by a factor drawn from 1 - colour to 1 + colour. */
  readonly colour: number;
}

const ordered = ([low, high]: readonly [number, number]) => low <= high;
const ORDERED = 'goes from the lower number to the higher';
const share = z.number().gt(0).max(1);
const ratio = z
  .number()
  .min(1 / 8)
  .max(8);

/** The form of an {@link Augmentation} in a recipe. The defaults are light, so that answers stay those of photos. */
export const AUGMENTATION = z.strictObject({
  area: z
    .tuple([share, share])
    .refine(ordered, ORDERED)
    .default([0.5, 1])
    .describe("Share of the picture's area that a crop has, drawn between these two."),
  aspect: z
    .tuple([ratio, ratio])
    .refine(ordered, ORDERED)
    .default([3 / 4, 4 / 3])
    .describe("Width over height of a crop, beside the input's own, drawn between these two."),
  mirror: z.number().min(0).max(1).default(0.5).describe('Probability that a picture is mirrored left to right.'),
  colour: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.2)
    .describe('Brightness, contrast and saturation are multiplied by factors from 1 - colour to 1 + colour.'),
});

/** Checks an augmentation and fills in its defaults. Throws `INVALID_ARGUMENT` with the place and the reason. */
export function parseAugmentation(value: unknown): Augmentation {
  const parsed = AUGMENTATION.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new IsthmusError('INVALID_ARGUMENT', `augmentation: ${z.prettifyError(parsed.error)}`, { cause: parsed.error });
}

/** Luma of sRGB values, ITU-R BT.601, as JPEG weights them. */
const LUMA = [0.299, 0.587, 0.114] as const;

/** Tries at a crop that fits into the picture, before the largest one of the wanted sides is taken. */
const TRIES = 10;

/**
 * The pixels of a picture in one variation: {@link decodePixels}, but for the view and the colours. `version` and `hash`
 * (of the picture) decide the variation alone, so that the same seed gives the same bits.
 * Throws what {@link decodePixels} throws.
 */
export async function augmentedPixels(
  image: ImageInput,
  input: Pick<InputSpec, 'width' | 'height'>,
  augmentation: Augmentation,
  { seed, version, hash }: { readonly seed: number; readonly version: number; readonly hash: string },
): Promise<Pixels> {
  const random = randomOf('augment', seed, version, hash);
  const view = (width: number, height: number) => randomView(random, { width, height }, input, augmentation);
  const pixels = await decodePixels(image, input, { view });
  return varyColours(pixels, random, augmentation.colour);
}

/** A crop of random area and aspect at a random place, mirrored or not. */
function randomView(
  random: RandomGenerator,
  picture: { readonly width: number; readonly height: number },
  target: { readonly width: number; readonly height: number },
  { area, aspect, mirror }: Augmentation,
): View {
  const mirrored = uniformFloat64(random) < mirror;
  const own = target.width / target.height;
  const [low, high] = aspect.map(Math.log);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const pixels = between(random, area[0], area[1]) * picture.width * picture.height;
    const ratio = own * Math.exp(between(random, low, high));
    const width = Math.max(1, Math.round(Math.sqrt(pixels * ratio)));
    const height = Math.max(1, Math.round(Math.sqrt(pixels / ratio)));
    if (width <= picture.width && height <= picture.height) return placed(random, picture, width, height, mirrored);
  }
  const scale = Math.min(picture.width / own, picture.height);
  const width = Math.min(picture.width, Math.max(1, Math.round(scale * own)));
  return placed(random, picture, width, Math.max(1, Math.round(scale)), mirrored);
}

function placed(
  random: RandomGenerator,
  picture: { readonly width: number; readonly height: number },
  width: number,
  height: number,
  mirrored: boolean,
): View {
  const left = Math.floor(uniformFloat64(random) * (picture.width - width + 1));
  const top = Math.floor(uniformFloat64(random) * (picture.height - height + 1));
  return { left, top, width, height, mirrored };
}

/** One affine map of the colours: saturation about each pixel's luma, contrast about the picture's mean luma, brightness. */
function varyColours(pixels: Pixels, random: RandomGenerator, strength: number): Pixels {
  if (strength === 0) return pixels;
  const [brightness, contrast, saturation] = Array.from({ length: 3 }, () =>
    between(random, 1 - strength, 1 + strength),
  );
  const { data } = pixels;
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i += 3) for (let c = 0; c < 3; c++) sums[c] += data[i + c];
  const mean = (3 / data.length) * LUMA.reduce((sum, weight, c) => sum + weight * sums[c], 0);
  const colour = brightness * contrast * saturation;
  const grey = brightness * contrast * (1 - saturation);
  const shift = brightness * (1 - contrast) * mean;
  // Clamps to 0..255 and rounds to the nearest.
  const varied = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const luma = LUMA[0] * data[i] + LUMA[1] * data[i + 1] + LUMA[2] * data[i + 2];
    for (let c = 0; c < 3; c++) varied[i + c] = colour * data[i + c] + grey * luma + shift;
  }
  return { ...pixels, data: new Uint8Array(varied.buffer) };
}

function between(random: RandomGenerator, low: number, high: number): number {
  return low + uniformFloat64(random) * (high - low);
}
