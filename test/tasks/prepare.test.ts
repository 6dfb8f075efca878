import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { decodePixels, type InputSpec, type Pixels, pixelsToTensor, prepare } from '../../src/tasks/index.ts';

const SIZE = { width: 8, height: 6 };
const COLOUR = { r: 200, g: 100, b: 50 };
const plain = (size = SIZE) => sharp({ create: { ...size, channels: 3, background: COLOUR } });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (thrown) => (thrown instanceof IsthmusError ? thrown.code : `not ours: ${thrown}`),
  );
const near = (value: Pixels, colour: readonly number[], tolerance: number) => {
  for (let i = 0; i < value.data.length; i++) {
    expect(Math.abs(value.data[i] - colour[i % 3])).toBeLessThanOrEqual(tolerance);
  }
};

const HALF: InputSpec = {
  name: 'pixels',
  ...SIZE,
  layout: 'NCHW',
  order: 'RGB',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};
/** Every value from 0 to 143, so that no two places look alike. */
const ramp: Pixels = { ...SIZE, data: Uint8Array.from({ length: 144 }, (_, i) => i) };

describe('pixels to tensors', () => {
  it('are x / 127.5 - 1 for a mean and deviation of a half', () => {
    const { dtype, shape, data } = pixelsToTensor(ramp, HALF);
    expect(dtype).toBe('float32');
    expect(shape).toEqual([1, 3, 6, 8]);
    for (let i = 0; i < 48; i++) {
      for (let channel = 0; channel < 3; channel++) {
        expect(data[channel * 48 + i]).toBe(Math.fround(((i * 3 + channel) * 2) / 255 - 1));
      }
    }
  });

  it('take the mean and deviation of each channel, in the order of the model, channels last where asked', () => {
    const mean = [0.1, 0.2, 0.3] as const;
    const std = [0.5, 1, 2] as const;
    const { shape, data } = pixelsToTensor(ramp, { ...HALF, layout: 'NHWC', order: 'BGR', mean, std });
    expect(shape).toEqual([1, 6, 8, 3]);
    for (let i = 0; i < 48; i++) {
      expect(data[i * 3]).toBeCloseTo(((i * 3 + 2) / 255 - 0.1) / 0.5, 6);
      expect(data[i * 3 + 2]).toBeCloseTo(((i * 3) / 255 - 0.3) / 2, 6);
    }
  });

  it('refuse another size and data that does not fill it', () => {
    expect(() => pixelsToTensor({ width: 2, height: 1, data: new Uint8Array(6) }, HALF)).toThrow(/8 x 6/);
    expect(() => pixelsToTensor({ ...SIZE, data: new Uint8Array(10) }, HALF)).toThrow(/144 values, got 10/);
  });
});

describe('decoding', () => {
  it('keeps every value of a picture of the right size, from pixels and from a lossless file', async () => {
    expect((await decodePixels(ramp, SIZE)).data).toEqual(ramp.data);
    const raw = { ...SIZE, channels: 3 } as const;
    for (const file of [
      await sharp(ramp.data, { raw }).png().toBuffer(),
      await sharp(ramp.data, { raw }).webp({ lossless: true }).toBuffer(),
      await sharp(ramp.data, { raw }).tiff({ compression: 'lzw' }).toBuffer(),
    ]) {
      expect([...(await decodePixels(file, SIZE)).data]).toEqual([...ramp.data]);
    }
  });

  it('reads colour, palette, AVIF and GIF files', async () => {
    near(await decodePixels(await plain().jpeg({ quality: 95 }).toBuffer(), SIZE), [200, 100, 50], 2);
    near(await decodePixels(await plain().avif({ quality: 90 }).toBuffer(), SIZE), [200, 100, 50], 3);
    near(await decodePixels(await plain().png({ palette: true }).toBuffer(), SIZE), [200, 100, 50], 0);
    near(await decodePixels(await plain().gif().toBuffer(), SIZE), [200, 100, 50], 0);
  });

  it('makes three equal channels of grey, of 8 and of 16 bits', async () => {
    const grey = { ...SIZE, channels: 1 } as const;
    const eight = await sharp(new Uint8Array(48).fill(77), { raw: grey }).toColourspace('b-w').png().toBuffer();
    expect((await sharp(eight).metadata()).channels).toBe(1);
    near(await decodePixels(eight, SIZE), [77, 77, 77], 0);
    const sixteen = await sharp(new Uint16Array(48).fill(77 * 257), { raw: grey })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expect((await sharp(sixteen).metadata()).depth).toBe('ushort');
    near(await decodePixels(sixteen, SIZE), [77, 77, 77], 0);
  });

  it('reduces 16 bits a channel to 8', async () => {
    const values = Uint16Array.from({ length: 144 }, (_, i) => [200, 100, 50][i % 3] * 257);
    const file = await sharp(values, { raw: { ...SIZE, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(file).metadata()).depth).toBe('ushort');
    near(await decodePixels(file, SIZE), [200, 100, 50], 0);
  });

  it('lays transparency on white', async () => {
    const file = (alpha: number) =>
      sharp({ create: { ...SIZE, channels: 4, background: { ...COLOUR, alpha } } })
        .png()
        .toBuffer();
    near(await decodePixels(await file(0), SIZE), [255, 255, 255], 0);
    near(await decodePixels(await file(0.5), SIZE), [227, 177, 152], 1);
  });

  it('converts CMYK and wide-gamut profiles to sRGB', async () => {
    const cmyk = await plain().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    near(await decodePixels(cmyk, SIZE), [200, 100, 50], 32);
    const wide = await plain().withIccProfile('p3').png().toBuffer();
    const stored = await sharp(wide).metadata();
    expect(stored.icc).toBeDefined();
    near(await decodePixels(wide, SIZE), [200, 100, 50], 2);
  });

  it('turns pictures upright as their EXIF tag says', async () => {
    // Red left of blue, stored turned: orientation 6 means that the top of the scene is at the stored left side.
    const pair = sharp(Buffer.from([255, 0, 0, 0, 0, 255]), { raw: { width: 2, height: 1, channels: 3 } });
    const file = await pair.withMetadata({ orientation: 6 }).png().toBuffer();
    const { data } = await decodePixels(file, { width: 1, height: 2 });
    expect([...data]).toEqual([255, 0, 0, 0, 0, 255]);
  });

  it('takes the first frame of an animation', async () => {
    const frames = Buffer.concat([Buffer.alloc(144, 10), Buffer.alloc(144, 240)]);
    const raw = { width: 8, height: 12, channels: 3, pageHeight: 6 } as const;
    const file = await sharp(frames, { raw, animated: true } as never)
      .gif({ delay: [100, 100] })
      .toBuffer();
    expect((await sharp(file).metadata()).pages).toBe(2);
    near(await decodePixels(file, SIZE), [10, 10, 10], 2);
  });

  it('resizes the shorter side and cuts out the centre', async () => {
    // Three bands of 40 columns: the centre of a wide picture is the middle band.
    const wide = Buffer.alloc(120 * 30 * 3);
    for (let i = 0; i < 120 * 30; i++) wide.fill([20, 120, 220][Math.floor((i % 120) / 40)], i * 3, i * 3 + 3);
    const pixels = { width: 120, height: 30, data: new Uint8Array(wide) };
    const square = { width: 15, height: 15 };
    const png = await sharp(wide, { raw: { width: 120, height: 30, channels: 3 } })
      .png()
      .toBuffer();
    for (const input of [pixels, png]) near(await decodePixels(input, square), [120, 120, 120], 1);
    // A linear ramp stays one: what bicubic interpolation promises.
    const ramps = new Uint8Array(64 * 64 * 3).map((_, i) => (Math.floor(i / 3) % 64) * 4);
    const half = await decodePixels({ width: 64, height: 64, data: ramps }, { width: 32, height: 32 });
    for (let x = 4; x < 28; x++) expect(Math.abs(half.data[x * 3] - (x * 8 + 2))).toBeLessThanOrEqual(1);
  });

  it('takes pictures of one pixel and of one row', async () => {
    near(await decodePixels(await plain({ width: 1, height: 1 }).png().toBuffer(), SIZE), [200, 100, 50], 0);
    near(await decodePixels(await plain({ width: 5000, height: 1 }).png().toBuffer(), SIZE), [200, 100, 50], 0);
  });
});

describe('views', () => {
  /** What is where: red tells the column, green the row. */
  const scene: Pixels = {
    width: 12,
    height: 9,
    data: Uint8Array.from({ length: 12 * 9 * 3 }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return [10 + 20 * (pixel % 12), 10 + 20 * Math.floor(pixel / 12), 99][i % 3];
    }),
  };
  const at = ({ data, width }: Pixels, x: number, y: number) => [
    ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 2),
  ];

  it('show a part of the picture, mirrored or not, of files and of pixels', async () => {
    const file = await sharp(scene.data, { raw: { width: 12, height: 9, channels: 3 } })
      .png()
      .toBuffer();
    const part = { left: 3, top: 2, width: 8, height: 6 };
    for (const image of [file, scene]) {
      const plain = await decodePixels(image, SIZE, { view: () => ({ ...part, mirrored: false }) });
      const mirrored = await decodePixels(image, SIZE, { view: () => ({ ...part, mirrored: true }) });
      for (const [x, y] of [
        [0, 0],
        [7, 0],
        [2, 5],
      ]) {
        expect(at(plain, x, y)).toEqual([10 + 20 * (x + 3), 10 + 20 * (y + 2)]);
        expect(at(mirrored, 7 - x, y)).toEqual(at(plain, x, y));
      }
    }
  });

  it('are parts of the upright picture, whatever way it is stored', async () => {
    const stored = await sharp(scene.data, { raw: { width: 12, height: 9, channels: 3 } })
      .png()
      .toBuffer();
    for (let orientation = 1; orientation <= 8; orientation++) {
      const file = await sharp(stored).withMetadata({ orientation }).png().toBuffer();
      const upright = await sharp(file).autoOrient().png().toBuffer();
      const sizes: number[][] = [];
      const view = (width: number, height: number) => {
        sizes.push([width, height]);
        return { left: 1, top: 2, width: width - 3, height: height - 2, mirrored: true };
      };
      const seen = await decodePixels(file, SIZE, { view });
      expect((await decodePixels(upright, SIZE, { view })).data).toEqual(seen.data);
      expect(sizes[0]).toEqual(orientation < 5 ? [12, 9] : [9, 12]);
      expect(sizes[1]).toEqual(sizes[0]);
    }
  });

  it('stretch to the target where their sides are others', async () => {
    const view = () => ({ left: 0, top: 0, width: 12, height: 9, mirrored: false });
    const whole = await decodePixels(scene, { width: 3, height: 9 }, { view });
    expect([whole.width, whole.height]).toEqual([3, 9]);
    expect(Math.abs(at(whole, 0, 4)[0] - 40)).toBeLessThan(8);
    expect(Math.abs(at(whole, 2, 4)[0] - 200)).toBeLessThan(8);
  });

  it.each([
    { left: 5, top: 0, width: 8, height: 6 },
    { left: 0, top: 4, width: 8, height: 6 },
    { left: -1, top: 0, width: 8, height: 6 },
    { left: 0, top: 0, width: 0, height: 6 },
    { left: 0.5, top: 0, width: 8, height: 6 },
  ])('are refused where %j is no part of the picture', async (part) => {
    const view = () => ({ ...part, mirrored: false });
    const file = await sharp(scene.data, { raw: { width: 12, height: 9, channels: 3 } })
      .png()
      .toBuffer();
    for (const image of [file, scene])
      expect(await codeOf(decodePixels(image, SIZE, { view }))).toBe('INVALID_ARGUMENT');
  });
});

describe('bad images', () => {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-images-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  it('that are truncated, text, empty or another kind of file are unreadable, by name', async () => {
    const jpeg = await plain({ width: 300, height: 200 }).jpeg().toBuffer();
    const png = await plain({ width: 300, height: 200 }).png().toBuffer();
    const files: Record<string, Uint8Array> = {
      'truncated.jpg': jpeg.subarray(0, jpeg.length - 150),
      'truncated.png': png.subarray(0, png.length - 100),
      'header-only.jpg': jpeg.subarray(0, 20),
      'text.jpg': Buffer.from('this is a text that somebody renamed'),
      'empty.png': Buffer.alloc(0),
      'drawing.svg': Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="6"/>'),
    };
    for (const [name, bytes] of Object.entries(files)) {
      await writeFile(join(dir, name), bytes);
      await expect(decodePixels(join(dir, name), SIZE)).rejects.toMatchObject({
        code: 'IMAGE_UNREADABLE',
        message: expect.stringContaining(name),
      });
    }
  });

  it('that are missing or a folder say so', async () => {
    expect(await codeOf(prepare(join(dir, 'none.jpg'), HALF))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(prepare(join(dir, 'text.jpg', 'below.jpg'), HALF))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(prepare(dir, HALF))).toBe('FILE_UNREADABLE');
  });

  it('that declare huge sides or have many bytes are refused before decoding', async () => {
    const huge = Buffer.from(await plain().png().toBuffer());
    huge.writeUInt32BE(60_000, 16);
    huge.writeUInt32BE(60_000, 20);
    expect(await codeOf(decodePixels(huge, SIZE))).toBe('LIMIT_EXCEEDED');
    const file = await plain({ width: 30, height: 20 }).png().toBuffer();
    expect(await codeOf(decodePixels(file, SIZE, { limits: { imagePixels: 599 } }))).toBe('LIMIT_EXCEEDED');
    expect(await codeOf(decodePixels(file, SIZE, { limits: { imagePixels: 600 } }))).toBe('none');
    expect(await codeOf(decodePixels(file, SIZE, { limits: { imageBytes: file.length - 1 } }))).toBe('LIMIT_EXCEEDED');
    await writeFile(join(dir, 'fine.png'), file);
    expect(await codeOf(prepare(join(dir, 'fine.png'), HALF, { limits: { imageBytes: 10 } }))).toBe('LIMIT_EXCEEDED');
    expect(await codeOf(decodePixels(ramp, { width: 2, height: 2 }, { limits: { imagePixels: 40 } }))).toBe(
      'LIMIT_EXCEEDED',
    );
  });

  it('that are no images at all are refused', async () => {
    for (const image of [null, undefined, 7, {}, { width: 2, height: 1, data: [1, 2, 3, 4, 5, 6] }]) {
      expect(await codeOf(decodePixels(image as never, SIZE))).toBe('INVALID_ARGUMENT');
    }
  });

  it('whose sides cannot be brought to the target are refused', async () => {
    const line = { width: 20_000_000, height: 1, data: new Uint8Array(60_000_000) };
    expect(await codeOf(decodePixels(line, { width: 224, height: 224 }))).toBe('INVALID_ARGUMENT');
  });

  it('damaged anywhere decode or give a typed error, never another', async () => {
    const files = [
      await sharp(ramp.data, { raw: { ...SIZE, channels: 3 } })
        .png()
        .toBuffer(),
      await sharp(ramp.data, { raw: { ...SIZE, channels: 3 } })
        .jpeg()
        .toBuffer(),
      await sharp(ramp.data, { raw: { ...SIZE, channels: 3 } })
        .gif()
        .toBuffer(),
    ];
    const damage = fc.record({
      file: fc.integer({ min: 0, max: 2 }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, at, bytes }) => {
        const damaged = new Uint8Array(files[file]);
        damaged.set(bytes, Math.floor(at * (damaged.length - bytes.length)));
        expect(['none', 'IMAGE_UNREADABLE', 'LIMIT_EXCEEDED']).toContain(await codeOf(decodePixels(damaged, SIZE)));
      }),
      { seed: 7, numRuns: 150 },
    );
  });
});
