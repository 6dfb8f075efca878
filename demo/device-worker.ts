import type { Pixels } from 'isthmus';
import { renderScene, type Scene } from '../fixtures/scenes/index.ts';
import type { Manifest } from '../src/demo/wire.ts';
import { type EncodedPixels, type Encoder, openEncoder } from './encoder.ts';
import { encodedSizes, preparePicture, type Source } from './picture.ts';
import { problemOf } from './problem.ts';

/* The device's half in a thread of its own, so that the page stays awake: opened once, then a picture at a time. */

/** Whatever the device sees: a picture, or a scene that it draws. */
export type Sight = Source | Scene;

export type DeviceRequest = { readonly open: Manifest } | { readonly encode: Sight };

/** What a picture became. */
export interface Encoded extends EncodedPixels {
  /** What the network saw. */
  readonly pixels: Pixels;
  /** Bytes of the same pixels as PNG and as JPEG. */
  readonly sizes: { readonly png: number; readonly jpeg: number };
  /** Decoding and resizing. */
  readonly prepareMs: number;
}

export type DeviceReply =
  | { readonly loading: readonly [done: number, all: number] }
  | { readonly opened: true }
  | { readonly encoded: Encoded }
  | { readonly failure: { readonly code: string; readonly message: string } };

const port = self as unknown as {
  onmessage: (event: MessageEvent<DeviceRequest>) => void;
  postMessage(reply: DeviceReply): void;
};
let manifest: Manifest;
let encode: Encoder;

async function answer(request: DeviceRequest): Promise<DeviceReply> {
  if ('open' in request) {
    manifest = request.open;
    encode = await openEncoder(manifest, (done, all) => port.postMessage({ loading: [done, all] }));
    return { opened: true };
  }
  const source = drawn(request.encode);
  const start = performance.now();
  const pixels = await preparePicture(source, manifest.input, manifest.limits.imagePixels);
  const prepareMs = performance.now() - start;
  const encoded = await encode(pixels);
  return { encoded: { ...encoded, pixels, prepareMs, sizes: await encodedSizes(pixels) } };
}

/** Scenes are drawn at the input's own size, so that nothing is resized. */
function drawn(sight: Sight): Source {
  if (!('things' in sight)) return sight;
  const { width, height, data } = renderScene(sight, manifest.input.width);
  return { width, height, data };
}

port.onmessage = async ({ data }) => {
  const reply = await answer(data).catch((thrown): DeviceReply => {
    const { code, message } = problemOf(thrown);
    return { failure: { code, message } };
  });
  port.postMessage(reply);
};
