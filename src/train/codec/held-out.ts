import type { Codec } from '../../codec/index.ts';
import { openDevice } from '../../device.ts';
import { openEdge } from '../../edge.ts';
import { throwIfAborted } from '../../evaluate/measure.ts';
import type { Graph } from '../../onnx/index.ts';
import type { OpenSession } from '../../runtime/index.ts';
import { classification, decodePixels, type InputSpec, openTail, pixelsToTensor } from '../../tasks/index.ts';
import type { Picture } from '../data/pictures.ts';
import { portsOf } from './teacher.ts';

/** What a codec does to the answers of a classifier on pictures that it did not learn from. */
export interface HeldOut {
  readonly pictures: number;
  /** Mean bytes of a packet, frame included. */
  readonly bytes: number;
  /** Share of pictures whose most probable class is the uncut model's. */
  readonly agreement: number;
}

/** Sends pictures through both halves and compares with the uncut model. Throws `ABORTED`, and what opening and running throw. */
export async function measureHeldOut(
  codec: Codec,
  graphs: { readonly head: Graph; readonly tail: Graph; readonly whole: Graph },
  {
    input,
    pictures,
    open,
    signal,
  }: {
    readonly input: InputSpec;
    readonly pictures: readonly Picture[];
    readonly open: OpenSession;
    readonly signal?: AbortSignal;
  },
): Promise<HeldOut> {
  const { classes } = portsOf('logits', graphs.whole, input.name, 0);
  const task = classification({ labels: Array.from({ length: classes }, (_, i) => `${i}`) });
  const closing: { release(): Promise<void> }[] = [];
  try {
    const whole = await openTail(graphs.whole, [input.name], open);
    closing.push(whole);
    const device = await openDevice({ input, head: graphs.head, codec, open });
    closing.push(device);
    const edge = await openEdge({ codec, tail: graphs.tail, task, open });
    closing.push(edge);
    let bytes = 0;
    let same = 0;
    for (const { path } of pictures) {
      throwIfAborted(signal);
      const pixels = await decodePixels(path, input);
      const [[wanted]] = await task.answer(whole, [pixelsToTensor(pixels, input)], [[null]]);
      const packet = await device.encode(path);
      bytes += packet.length;
      if ((await edge.answer(packet)).index === wanted.index) same++;
    }
    return { pictures: pictures.length, bytes: bytes / pictures.length, agreement: same / pictures.length };
  } finally {
    for (const each of closing.reverse()) await each.release();
  }
}
