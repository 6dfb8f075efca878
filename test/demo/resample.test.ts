import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { coverTo } from '../../demo/resample.ts';
import { decodePixels } from '../../src/tasks/index.ts';
import { uniforms } from '../codec/features.ts';

/** Smooth colours with edges and a little noise, as photos have them; RGBA. */
function picture(width: number, height: number) {
  const random = uniforms(width * 7919 + height);
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = (x - width / 2) ** 2 + (y - height / 3) ** 2 < (width / 4) ** 2;
      for (let channel = 0; channel < 3; channel++) {
        const wave = 128 + 90 * Math.sin((x * (channel + 1)) / 40 + y / 31);
        data[(y * width + x) * 4 + channel] = (inside ? 255 - wave : wave) + 12 * (random() - 0.5);
      }
      data[(y * width + x) * 4 + 3] = 255;
    }
  }
  return { width, height, data };
}

describe('coverTo', () => {
  it('keeps a picture of the target size', () => {
    const source = picture(32, 24);
    const kept = coverTo(source, 32, 24);
    expect(kept).toEqual(
      Uint8Array.from({ length: 32 * 24 * 3 }, (_, i) => source.data[Math.floor(i / 3) * 4 + (i % 3)]),
    );
  });

  const differences = async (width: number, height: number) => {
    const source = picture(width, height);
    const png = await sharp(source.data, { raw: { width, height, channels: 4 } })
      .png()
      .toBuffer();
    const wanted = await decodePixels(png, { width: 128, height: 128 });
    const made = coverTo(source, 128, 128);
    const each = Array.from(wanted.data, (value, i) => Math.abs(value - made[i]));
    return { mean: each.reduce((sum, one) => sum + one, 0) / each.length, most: Math.max(...each) };
  };

  it.each([
    [640, 480],
    [481, 640],
    [1000, 130],
    [2048, 1365],
    [130, 131],
  ])('makes %i x %i smaller as sharp does, but for roundings', async (width, height) => {
    const { mean, most } = await differences(width, height);
    expect(mean).toBeLessThan(0.5);
    expect(most).toBeLessThanOrEqual(3);
  });

  // libvips enlarges by another way than it makes smaller, which puts its pixels a fraction of one aside.
  it.each([
    [97, 260],
    [40, 30],
    [3, 1000],
    [1, 1],
  ])('enlarges %i x %i nearly as sharp does', async (width, height) => {
    expect((await differences(width, height)).mean).toBeLessThan(4);
  });
});
