import type { Codec } from './codec/index.ts';
import { type Graph, writeGraph } from './onnx/index.ts';
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
 * that `codec` is made for. `open` chooses the runtime (the one at hand by default). Throws what opening a session throws.
 */
export async function openDevice(parts: {
  input: InputSpec;
  head: Graph;
  codec: Codec;
  open?: OpenSession;
}): Promise<Device> {
  const { input, codec, open = openSession } = parts;
  const head = await open(writeGraph(parts.head));
  const { dtype = 'float32' } = head.inputs.find(({ name }) => name === input.name) ?? {};
  return {
    async encode(image, options) {
      const pixels = asFloat(await prepare(image, input, options), dtype);
      const outputs = await head.run({ [input.name]: pixels });
      const feature = codec.features.map(({ name }) => outputs[name] ?? pixels);
      return codec.encode(feature);
    },
    release: () => head.release(),
  };
}
