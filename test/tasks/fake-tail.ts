import type { Tail } from '../../src/tasks/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';

/** Calls that a fake tail got. */
export interface Seen {
  readonly tokens: bigint[][];
  rows: number[];
}

/**
 * A tail whose state is the feature `[batch, 1]` itself; `logitsOf` gives a row's logits from its feature and its
 * tokens so far. With `perPosition` logits are `[rows, length, width]`, as a decoder gives them.
 */
export function fakeTail(
  logitsOf: (feature: number, tokens: readonly number[]) => readonly number[],
  perPosition: boolean,
): Tail & { readonly seen: Seen } {
  const seen: Seen = { tokens: [], rows: [] };
  return {
    seen,
    begin: async (feature) => feature,
    async logits([state], tokens): Promise<Tensor> {
      const rows = state.shape[0];
      seen.rows.push(rows);
      const length = tokens?.shape[1] ?? 0;
      const all: number[][] = [];
      for (let row = 0; row < rows; row++) {
        const given = tokens ? [...(tokens.data as BigInt64Array).subarray(row * length, (row + 1) * length)] : [];
        seen.tokens.push(given);
        const ids = given.map(Number);
        const feature = (state.data as Float32Array)[row];
        if (!perPosition) all.push([...logitsOf(feature, ids)]);
        else for (let at = 1; at <= length; at++) all.push([...logitsOf(feature, ids.slice(0, at))]);
      }
      const width = all[0].length;
      const shape = perPosition ? [rows, length, width] : [rows, width];
      return tensor('float32', shape, Float32Array.from(all.flat()));
    },
    release: async () => undefined,
  };
}

export const featureOf = (values: readonly number[]): Tensor =>
  tensor('float32', [values.length, 1], Float32Array.from(values));
