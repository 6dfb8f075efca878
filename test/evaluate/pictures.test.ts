import { describe, expect, it } from 'vitest';
import {
  decodePicture,
  encodePicture,
  PICTURE_FORMATS,
  pictureSetting,
  pictureVersions,
  SentPictures,
} from '../../src/evaluate/pictures.ts';
import { ladderOf, PICTURE_WAYS } from '../../src/evaluate/point.ts';
import type { Pixels } from '../../src/tasks/index.ts';

/** Smooth shades with colour edges: what chroma sampling loses shows. */
function picture(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      data[at] = (x >> 2) % 2 === 0 ? 220 : 30;
      data[at + 1] = 128 + 60 * Math.sin(x / 9 + y / 7);
      data[at + 2] = (y >> 2) % 2 === 0 ? 200 : 40;
    }
  }
  return { width, height, data };
}

function error(a: Pixels, b: Pixels): number {
  return a.data.reduce((sum, value, i) => sum + (value - b.data[i]) ** 2, 0) / a.data.length;
}

describe('pictures', () => {
  const source = picture(96, 64);

  it('stand for every way that sends pictures, colour in full and sampled where a format has both', () => {
    expect(new Set(PICTURE_FORMATS.map(({ way }) => way))).toEqual(new Set(PICTURE_WAYS));
    const ladders = PICTURE_FORMATS.map((format) =>
      ladderOf({ way: format.way, cut: null, setting: pictureSetting(format, 60) }),
    );
    expect(ladders).toEqual(['png', 'jpeg 4:2:0', 'jpeg 4:4:4', 'webp', 'avif 4:2:0', 'avif 4:4:4']);
  });

  it.each(PICTURE_FORMATS)('grow with quality and come nearer: $way $chroma', async (format) => {
    const { qualities, first, way } = format;
    expect(qualities).toEqual([...qualities].sort((a, b) => a - b));
    expect(first[0]).toBeLessThan(first[1]);
    expect(first[1]).toBeLessThanOrEqual(qualities.length);
    let bytes = 0;
    let last = Number.POSITIVE_INFINITY;
    for (const quality of [qualities[0], qualities[qualities.length - 1]]) {
      const file = await encodePicture(source, format, quality);
      const back = await decodePicture(file);
      expect([back.width, back.height]).toEqual([96, 64]);
      if (way === 'png') expect(back.data).toEqual(Buffer.from(source.data));
      else {
        expect(file.length).toBeGreaterThan(bytes);
        expect(error(back, source)).toBeLessThan(last);
      }
      bytes = file.length;
      last = error(back, source);
    }
  });

  it.each(['jpeg', 'avif'])('keep colour edges only in 4:4:4: %s', async (way) => {
    const errors = [];
    for (const format of PICTURE_FORMATS.filter((each) => each.way === way)) {
      errors.push(error(await decodePicture(await encodePicture(source, format, 95)), source));
    }
    expect(errors[0]).toBeGreaterThan(2 * errors[1]);
  });

  it('say which encoders made them', async () => {
    const versions = await pictureVersions();
    expect(Object.keys(versions)).toEqual(['sharp', 'vips', 'mozjpeg', 'webp', 'aom', 'heif', 'png']);
    for (const version of Object.values(versions)) expect(version).toMatch(/\w/);
  });
});

describe('SentPictures', () => {
  it('keeps the first of each key, as many as fit', () => {
    const sent = (width: number) => ({ decoded: picture(width, 1), bytes: width, encodeMs: 1, decodeMs: 2 });
    const store = new SentPictures(30);
    store.keep('a', sent(6));
    store.keep('a', sent(1));
    store.keep('b', sent(5));
    store.keep('c', sent(4));
    expect(['a', 'b', 'c'].map((key) => store.get(key)?.bytes)).toEqual([6, undefined, 4]);
  });
});
