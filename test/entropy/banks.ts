import { TableBank } from '../../src/entropy/index.ts';

/** Tables of the values -1, 0 and 1, and the escape, out of 2^12; `zero` of them for 0. */
export function bank(components: number, zero: number): TableBank {
  const rest = 4096 - zero - 1;
  const frequencies = Uint16Array.of(rest >> 1, zero, rest - (rest >> 1), 1);
  return TableBank.fromFrequencies(
    Array.from({ length: components }, () => ({ low: -1, frequencies })),
    12,
  );
}
