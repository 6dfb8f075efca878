/* How isthmus prepares a picture with sharp (`prepare`), in plain arithmetic, because browsers scale each in a way of its own. */

/** 8-bit pixels, `channels` numbers each, rows top to bottom. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Pixels are averaged in blocks first while more than this factor is left for the bicubic filter, as libvips does it. */
const GAP = 2;
/** Pixels on either side that the cubic kernel reaches. */
const SUPPORT = 2;

/**
 * The shorter side of a picture resized to the target (bicubic, antialiased) and the centre cut out: RGBA in, RGB out, without looking at
 * alpha. A picture of the target's size is not resampled.
 */
export function coverTo(source: Raster, width: number, height: number): Uint8Array {
  if (source.width === width && source.height === height) return rgbOf(source);
  const factor = Math.min(source.width / width, source.height / height);
  const across = axisOf(source.width, width, factor);
  const down = axisOf(source.height, height, factor);
  const shrunk = averaged(source, across.block, down.block);
  const [columns, rows] = [tapsOf(across), tapsOf(down)];
  const data = new Uint8Array(width * height * 3);
  const line = new Float32Array(shrunk.width * 3);
  for (let y = 0; y < height; y++) {
    sumRows(shrunk, rows[y], line);
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x];
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) {
          sum += weights[i] * line[clamp(first + i, shrunk.width) * 3 + channel];
        }
        data[(y * width + x) * 3 + channel] = toByte(sum);
      }
    }
  }
  return data;
}

function rgbOf({ data }: Raster): Uint8Array {
  const rgb = new Uint8Array((data.length / 4) * 3);
  for (let i = 0, o = 0; i < data.length; i += 4) {
    rgb[o++] = data[i];
    rgb[o++] = data[i + 1];
    rgb[o++] = data[i + 2];
  }
  return rgb;
}

/** How one side is resized. */
interface Axis {
  /** Source pixels that are averaged to one first. */
  readonly block: number;
  /** Of those, in one target pixel. */
  readonly factor: number;
  /** Where the first target pixel's left edge lies, in blocks. */
  readonly start: number;
  readonly length: number;
}

/** `length` pixels in the middle of a side of `source` pixels that becomes `source / factor`, rounded. */
function axisOf(source: number, length: number, factor: number): Axis {
  const whole = Math.round(source / factor);
  const block = Math.max(1, Math.floor(source / whole / GAP));
  const cut = Math.ceil((whole - length) / 2);
  // What rounding adds or takes is shared by both ends.
  const start = (cut * factor - (whole * factor - source) / 2) / block;
  return { block, factor: factor / block, start, length };
}

/** Means of blocks of `across` x `down` pixels; those at the right and lower edge repeat the last pixels. */
function averaged(source: Raster, across: number, down: number): Raster {
  if (across === 1 && down === 1) return source;
  const [width, height] = [Math.ceil(source.width / across), Math.ceil(source.height / down)];
  const data = new Uint8ClampedArray(width * height * 4);
  const sums = new Float64Array(width * 4);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let dy = 0; dy < down; dy++) {
      const row = clamp(y * down + dy, source.height) * source.width;
      for (let x = 0; x < width * across; x++) {
        const from = (row + clamp(x, source.width)) * 4;
        const to = Math.floor(x / across) * 4;
        for (let channel = 0; channel < 3; channel++) sums[to + channel] += source.data[from + channel];
      }
    }
    for (let i = 0; i < sums.length; i++) data[y * width * 4 + i] = sums[i] / (across * down);
  }
  return { width, height, data };
}

/** The source pixels that one target pixel is a weighted mean of. */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

function tapsOf({ factor, start, length }: Axis): Taps[] {
  const width = Math.max(1, factor);
  return Array.from({ length }, (_, i) => {
    const centre = start + (i + 0.5) * factor - 0.5;
    const first = Math.ceil(centre - SUPPORT * width);
    const count = Math.floor(centre + SUPPORT * width) - first + 1;
    const weights = Float64Array.from({ length: count }, (_, j) => cubic((first + j - centre) / width));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

function sumRows({ width, height, data }: Raster, { first, weights }: Taps, line: Float32Array): void {
  line.fill(0);
  for (let i = 0; i < weights.length; i++) {
    const row = clamp(first + i, height) * width;
    for (let x = 0; x < width; x++) {
      const from = (row + x) * 4;
      line[x * 3] += weights[i] * data[from];
      line[x * 3 + 1] += weights[i] * data[from + 1];
      line[x * 3 + 2] += weights[i] * data[from + 2];
    }
  }
  // libvips keeps 8 bits between the two directions.
  for (let i = 0; i < width * 3; i++) line[i] = toByte(line[i]);
}

/** Catmull and Rom's cubic (Keys 1981, a = -1/2). */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return 1.5 * t ** 3 - 2.5 * t ** 2 + 1;
  return t < 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0;
}

function clamp(place: number, length: number): number {
  return place < 0 ? 0 : place >= length ? length - 1 : place;
}

function toByte(value: number): number {
  return Math.max(0, Math.min(255, Math.round(value)));
}
