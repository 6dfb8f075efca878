import type { Codec } from './codec/index.ts';
import type { Graph } from './onnx/index.ts';
import { type OpenSession, openSession } from './runtime/index.ts';
import { openCodedTail, type Task } from './tasks/index.ts';

/** The half that answers. */
export interface Edge<Ask, Answer> {
  /** A packet, and a question where the task takes one, to an answer. Throws the `PACKET_…` errors and what the runtime throws. */
  answer(packet: Uint8Array, ...ask: Ask extends null ? [] : [ask: Ask]): Promise<Answer>;
  /** Frees the tail. */
  release(): Promise<void>;
}

/**
 * Opens the edge's half: `tail` takes the tensors that `codec` is made for, and `task` reads its output. A learned codec's synthesis runs
 * in the tail's own session where the two graphs chain. `open` chooses the runtime (the one at hand by default). Throws what opening a session throws.
 */
export async function openEdge<Ask, Answer, Truth>(parts: {
  codec: Codec;
  tail: Graph;
  task: Task<Ask, Answer, Truth>;
  open?: OpenSession;
}): Promise<Edge<Ask, Answer>> {
  const { codec, task, open = openSession } = parts;
  const tail = await openCodedTail(parts.tail, codec, open);
  return {
    async answer(packet, ...[ask]) {
      const coded = codec.decode(packet);
      const [[answer]] = await task.answer(tail, coded, [[(ask ?? null) as Ask]]);
      return answer;
    },
    release: () => tail.release(),
  };
}
