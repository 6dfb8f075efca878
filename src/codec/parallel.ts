import { IsthmusError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { inNode } from '../runtime/place.ts';
import type { Tensor } from '../tensor.ts';

export interface ParallelOptions {
  /** Threads; as many as the machine has processors unless told, and never more than the codec's packets have pieces. */
  readonly workers?: number;
  readonly limits?: Partial<Limits>;
}

/** Decodes packets in threads. An idle one keeps no process alive. */
export interface ParallelDecoder {
  /**
   * What the codec's own `decode` gives (of a learned codec the latents), to the last bit, without blocking the caller's thread. Calls may overlap.
   * Rejects with the `PACKET_…` errors, `ABORTED` after `signal` or {@link close}, and
   * `RUNTIME_RUN` where a thread has ended.
   */
  decode(packet: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Tensor[]>;
  /** Ends the threads, and what they are decoding. */
  close(): Promise<void>;
}

/**
 * Opens a codec file in threads of their own (Node, Bun and Deno), which share the pieces of packets of many megabytes (docs/packet.md,
 * "Restart points"). Packets of one piece are decoded in one thread. Each thread holds the codec; a feature is held twice while it is decoded.
 * Throws as `readCodec` does, `INVALID_ARGUMENT`, and `PEER_MISSING` in a browser.
 */
export async function openParallelDecoder(
  codecFile: Uint8Array,
  options: ParallelOptions = {},
): Promise<ParallelDecoder> {
  if (!inNode()) {
    throw new IsthmusError(
      'PEER_MISSING',
      'openParallelDecoder needs Node, Bun or Deno; elsewhere use readCodec and decode',
    );
  }
  // Loaded when it is first used, so that a browser's bundle does without.
  const threads = await import('./parallel-decoder.ts');
  return threads.openParallelDecoder(codecFile, options);
}
