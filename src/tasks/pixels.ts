import { IsthmusError } from '../errors.ts';
import { type Tensor, tensor } from '../tensor.ts';

/** A picture in memory: 8-bit sRGB, rows top to bottom, `data[(y * width + x) * 3 + channel]`. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** How pixels become a model's input. `mean` and `std` are of values in 0..1, in the model's channel `order`. */
export interface InputSpec {
  /** Name of the graph's input. */
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly layout: 'NCHW' | 'NHWC';
  readonly order: 'RGB' | 'BGR';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Throws `INVALID_ARGUMENT` where the sides are no whole numbers or the data does not fill them with three channels. */
export function checkPixels({ width, height, data }: Pixels): void {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new IsthmusError('INVALID_ARGUMENT', `a picture needs whole sides of at least 1, got ${width} x ${height}`);
  }
  if (!(data instanceof Uint8Array) || data.length !== width * height * 3) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `a ${width} x ${height} RGB picture is a Uint8Array of ${width * height * 3} values, got ${data?.length}`,
    );
  }
}

/**
 * Pixels of the input's own size as float32 `[1, 3, H, W]` (`[1, H, W, 3]` for NHWC): `(x / 255 - mean) / std`, worked
 * out in double precision and rounded once. Throws `INVALID_ARGUMENT` for pixels of another size.
 */
export function pixelsToTensor(pixels: Pixels, input: InputSpec): Tensor {
  checkPixels(pixels);
  const { width, height, layout, order, mean, std } = input;
  if (pixels.width !== width || pixels.height !== height) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `input ${input.name} takes ${width} x ${height} pixels, got ${pixels.width} x ${pixels.height}; decode with decodePixels`,
    );
  }
  const area = width * height;
  const values = new Float32Array(area * 3);
  const [pixelStep, channelStep] = layout === 'NCHW' ? [1, area] : [3, 1];
  for (let channel = 0; channel < 3; channel++) {
    const table = Float32Array.from({ length: 256 }, (_, x) => (x / 255 - mean[channel]) / std[channel]);
    const source = order === 'RGB' ? channel : 2 - channel;
    for (let i = 0; i < area; i++) {
      values[i * pixelStep + channel * channelStep] = table[pixels.data[i * 3 + source]];
    }
  }
  return tensor('float32', layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3], values);
}
