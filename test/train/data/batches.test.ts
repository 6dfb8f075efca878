import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InputSpec, prepare } from '../../../src/tasks/index.ts';
import { augmentedPixels } from '../../../src/train/data/augment.ts';
import { batches, type Picture, parseAugmentation, picturesIn, readPictures } from '../../../src/train/index.ts';

const INPUT: InputSpec = {
  name: 'pixels',
  width: 12,
  height: 10,
  layout: 'NCHW',
  order: 'RGB',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};
const AUGMENTATION = parseAugmentation({});
const COUNT = 7;
const PIXELS = 3 * INPUT.width * INPUT.height;

let root: string;
let pictures: Picture[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-batches-'));
  for (let i = 0; i < COUNT; i++) await writeFile(join(root, `${i}.png`), await ramp(20 + i, 16, i * 5));
  const items = (await picturesIn(root)).map((item, label) => ({ ...item, label: label * 10 }));
  pictures = await readPictures(items, INPUT);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A picture that differs everywhere: red grows to the right, green downwards. */
function ramp(width: number, height: number, blue: number): Promise<Buffer> {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set([50 + x * 5, 60 + y * 5, 80 + blue], (y * width + x) * 3);
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

describe('batches', () => {
  const of = (options = {}) => batches({ pictures, input: INPUT, batch: 3, seed: 5, ...options });

  it('gives every picture once an epoch, as inference sees it, beside its label', async () => {
    const made = of({ batch: 2 });
    expect(made.stepsPerEpoch).toBe(4);
    const seen: bigint[] = [];
    for (let step = 0; step < COUNT; step++) {
      const { pixels, labels, ...others } = await made.batch(step);
      expect(others).toEqual({});
      expect([pixels.dtype, pixels.shape, labels.dtype, labels.shape]).toEqual([
        'float32',
        [2, 3, 10, 12],
        'int64',
        [2],
      ]);
      for (const [row, label] of (labels.data as BigInt64Array).entries()) {
        seen.push(label);
        const alone = await prepare(pictures[Number(label) / 10].path, INPUT);
        expect((pixels.data as Float32Array).subarray(row * PIXELS, (row + 1) * PIXELS)).toEqual(alone.data);
      }
    }
    const expected = pictures.map(({ label }) => BigInt(label as number));
    for (const epoch of [seen.slice(0, COUNT), seen.slice(COUNT)]) {
      expect(epoch.sort((a, b) => Number(a - b))).toEqual(expected);
    }
  });

  it('gives the same bits for the same seed and step, whatever was asked for before and decoded ahead', async () => {
    const straight = of({ augmentation: AUGMENTATION, ahead: 0 });
    const expected = [];
    for (let step = 0; step < 6; step++) expected.push(await straight.batch(step));
    const resumed = of({ augmentation: AUGMENTATION, ahead: 3 });
    for (const step of [4, 5, 0, 3, 3, 1]) expect(await resumed.batch(step)).toEqual(expected[step]);
    const [a, b] = await Promise.all([resumed.batch(2), resumed.batch(2)]);
    expect([a, b]).toEqual([expected[2], expected[2]]);
    expect(await of({ augmentation: AUGMENTATION, seed: 6 }).batch(0)).not.toEqual(expected[0]);
  });

  it('varies a picture anew in every epoch', async () => {
    const made = batches({ pictures: [pictures[0]], input: INPUT, batch: 1, seed: 1, augmentation: AUGMENTATION });
    const all = [];
    for (let step = 0; step < 5; step++) all.push(`${(await made.batch(step)).pixels.data}`);
    expect(new Set(all).size).toBe(5);
  });

  it('fills a batch that is larger than the set', async () => {
    const { labels } = await of({ batch: 16 }).batch(0);
    expect(labels.shape).toEqual([16]);
  });

  it('has no labels where a picture has none', async () => {
    const mixed = [{ path: pictures[0].path, hash: pictures[0].hash }, ...pictures.slice(1)];
    expect(Object.keys(await of({ pictures: mixed }).batch(0))).toEqual(['pixels']);
  });

  it('says that a picture is gone, at its own step', async () => {
    const lost = pictures.map((picture) => ({ ...picture, path: join(root, 'gone.png') }));
    const made = of({ pictures: lost, ahead: 2 });
    for (const step of [0, 1]) await expect(made.batch(step)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it.each([
    [{ pictures: [] }],
    [{ batch: 0 }],
    [{ batch: 1.5 }],
    [{ augmentation: { ...AUGMENTATION, mirror: 2 } }],
    [{ augmentation: { ...AUGMENTATION, area: [0.9, 0.2] } }],
    [{ augmentation: { ...AUGMENTATION, flip: 1 } }],
  ])('refuses %j', (options) => {
    expect(() => of(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('refuses steps that are none', async () => {
    for (const step of [-1, 0.5, Number.NaN]) {
      await expect(of().batch(step)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});

describe('augmentedPixels', () => {
  const draw = (augmentation: object, version: number, hash = 'h') =>
    augmentedPixels(pictures[0].path, INPUT, parseAugmentation(augmentation), { seed: 3, version, hash });
  const still = { area: [1, 1], aspect: [1, 1], mirror: 0, colour: 0 };

  it('depends on version and picture, and on nothing that was drawn before', async () => {
    const first = await draw({}, 0);
    const others = [await draw({}, 1), await draw({}, 0, 'other')];
    expect(await draw({}, 0)).toEqual(first);
    for (const other of others) expect(other.data).not.toEqual(first.data);
  });

  it('mirrors by its probability', async () => {
    const mirrored = await draw({ ...still, mirror: 1 }, 0);
    const plain = await draw(still, 0);
    const red = (picture: typeof plain, x: number) => picture.data[x * 3];
    expect(red(plain, 0)).toBeLessThan(red(plain, 11));
    expect(red(mirrored, 0)).toBeGreaterThan(red(mirrored, 11));
    let count = 0;
    for (let version = 0; version < 200; version++) {
      const each = await draw({ ...still, mirror: 0.5 }, version);
      if (red(each, 0) > red(each, 11)) count++;
    }
    // 200 throws of a coin: 100, 5 standard deviations are 35.
    expect(Math.abs(count - 100)).toBeLessThan(35);
  });

  it('crops the share of the area that is asked for, with sides of the aspect that is asked for', async () => {
    // Red spans 5 a pixel to the right and green 5 a pixel downwards: what is seen tells the crop's sides.
    const span = ({ data, width, height }: Awaited<ReturnType<typeof draw>>, channel: number) =>
      (data[(width * height - 1) * 3 + channel] - data[channel]) / 5 + 1;
    for (let version = 0; version < 40; version++) {
      const seen = await draw({ ...still, area: [0.3, 0.5], aspect: [0.8, 1.25] }, version);
      const [width, height] = [span(seen, 0), span(seen, 1)];
      const share = (width * height) / (20 * 16);
      expect(share).toBeGreaterThan(0.3 * 0.75);
      expect(share).toBeLessThan(0.5 * 1.25);
      expect(width / height / 1.2).toBeGreaterThan(0.8 * 0.75);
      expect(width / height / 1.2).toBeLessThan(1.25 * 1.25);
    }
  });

  it('takes the largest crop of the wanted sides where none of the drawn ones fits', async () => {
    const wide = { name: 'x', width: 40, height: 5 };
    const seen = await augmentedPixels(pictures[0].path, wide, parseAugmentation(still), {
      seed: 1,
      version: 0,
      hash: 'h',
    });
    // All of the 20 columns.
    expect(seen.data[(40 - 1) * 3] - seen.data[0]).toBe(95);
  });

  it('varies colours within the factors, and not at all where it is told so', async () => {
    const plain = await draw(still, 0);
    const mean = ({ data }: typeof plain) => data.reduce((sum, value) => sum + value, 0) / data.length;
    const means = [];
    for (let version = 0; version < 30; version++) means.push(mean(await draw({ ...still, colour: 0.1 }, version)));
    for (const each of means) expect(Math.abs(each / mean(plain) - 1)).toBeLessThan(0.12);
    expect(new Set(means).size).toBeGreaterThan(25);
    expect((await draw(still, 1)).data).toEqual(plain.data);
  });
});
