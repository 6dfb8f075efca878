import { chainedOrNull } from '../codec/chained.ts';
import type { Codec } from '../codec/index.ts';
import type { Graph } from '../onnx/index.ts';
import type { OpenOptions, OpenSession } from '../runtime/index.ts';
import type { Tensor } from '../tensor.ts';
import { openTail } from './tail.ts';
import type { Tail } from './task.ts';

/**
 * A task's tail that takes what `codec` decodes. Of a learned codec it runs the synthesis first, in one session with what depends on the
 * feature alone where the two graphs chain. Throws as {@link openTail}.
 */
export async function openCodedTail(
  graph: Graph,
  codec: Codec,
  open: OpenSession,
  options: OpenOptions = {},
): Promise<Tail> {
  const features = codec.features.map(({ name }) => name);
  const coded = codec.coded.map(({ name }) => name);
  if (codec.transforms === null) return openTail(graph, features, open, options);
  const whole = chainedOrNull(codec.transforms.synthesis, graph);
  if (whole) return openTail(whole, coded, open, options);
  const tail = await openTail(graph, features, open, options);
  const synthesis = await open(codec.entries.get('synthesis.onnx') as Uint8Array, options).catch(async (thrown) => {
    await tail.release();
    throw thrown;
  });
  return {
    async begin(decoded: readonly Tensor[]) {
      const feature = await synthesis.run(Object.fromEntries(coded.map((name, i) => [name, decoded[i]])));
      return tail.begin(features.map((name) => feature[name]));
    },
    logits: tail.logits,
    async release() {
      await synthesis.release();
      await tail.release();
    },
  };
}
