import { openChained } from './codec/chained.ts';
import type { Codec } from './codec/index.ts';
import { IsthmusError } from './errors.ts';
import { type Graph, mainGraph, writeGraph } from './onnx/index.ts';
import { type OpenSession, openSession } from './runtime/index.ts';
import { type ImageInput, type InputSpec, type PrepareOptions, prepare } from './tasks/index.ts';
import { asFloat } from './tensor.ts';

/** The half that runs where the picture is taken. */
export interface Device {
  /** A picture to a packet. Throws what preparing, the runtime and the codec throw. */
  encode(image: ImageInput, options?: PrepareOptions): Promise<Uint8Array>;
  /** Frees the head. */
  release(): Promise<void>;
}

/**
 * Opens the device's half: `input` says how a picture becomes the head's input, and the head's outputs are the tensors
 * that `codec` is made for. A learned codec's analysis runs in the head's own session where the two graphs chain. `open` chooses the
 * runtime (the one at hand by default). Throws `INVALID_ARGUMENT` where the codec is for other tensors than the head gives, and what
 * opening a session throws.
 */
export async function openDevice(parts: {
  input: InputSpec;
  head: Graph;
  codec: Codec;
  open?: OpenSession;
}): Promise<Device> {
  const { input, codec, open = openSession } = parts;
  checkCut(parts.head, codec, input.name);
  const head = codec.transforms
    ? await openChained(parts.head, codec.transforms.analysis, open)
    : await open(writeGraph(parts.head));
  const { dtype = 'float32' } = head.inputs.find(({ name }) => name === input.name) ?? {};
  return {
    async encode(image, options) {
      const pixels = asFloat(await prepare(image, input, options), dtype);
      const outputs = await head.run({ [input.name]: pixels });
      const coded = codec.coded.map(({ name }) => (name === input.name ? pixels : outputs[name]));
      return codec.encode(coded);
    },
    release: () => head.release(),
  };
}

/** A picture's input may be a part of the cut. */
function checkCut(head: Graph, codec: Codec, picture: string): void {
  const outputs = mainGraph(head).output.map(({ name }) => name);
  const missing = codec.features.find(({ name }) => name !== picture && !outputs.includes(name));
  if (missing === undefined) return;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `the codec is for '${missing.name}', and the head gives ${outputs.map((name) => `'${name}'`).join(', ')}; ` +
      'use a head and a codec of the same cut',
  );
}
