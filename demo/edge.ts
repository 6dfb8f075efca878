import type { Answered } from '../src/demo/wire.ts';
import { ask, Problem } from './problem.ts';

/** What the edge answered, and how long that took from here. */
export interface EdgeAnswer extends Answered {
  /** From sending to the answer's last byte. */
  readonly roundMs: number;
}

/** Times that a packet is sent again where the edge is busy, and the wait before. */
const AGAIN = 3;
const AGAIN_MS = 700;

/** Sends a packet, with a question where there is one. Throws a `Problem`. */
export async function askEdge(packet: Uint8Array, question: string | null): Promise<EdgeAnswer> {
  const form = new FormData();
  form.set('packet', new Blob([packet as Uint8Array<ArrayBuffer>]));
  if (question !== null) form.set('question', question);
  for (let tries = 0; ; tries++) {
    const start = performance.now();
    try {
      const answered = (await (await ask('/api/answer', { method: 'POST', body: form })).json()) as Answered;
      return { ...answered, roundMs: performance.now() - start };
    } catch (thrown) {
      if (!(thrown instanceof Problem && thrown.code === 'BUSY' && tries < AGAIN)) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
