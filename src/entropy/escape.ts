import { IsthmusError } from '../errors.ts';
import type { SymbolCoder } from './coder.ts';
import { MAX_RAW_BITS } from './rans.ts';

/** Bits of the number that tells an escaped value's length. */
export const ESCAPE_LENGTH_BITS = 5;
/** Largest magnitude that can be coded: an escape carries at most 30 bits past the end of the alphabet. */
export const MAX_SYMBOL = 2 ** 29;

/** Elias-gamma form with equiprobable bits: a number from 0 to 2^31 - 2. Throws `PACKET_CORRUPT` where a stream claims more. */
export function codeDistance(coder: Pick<SymbolCoder, 'raw'>, distance: number): number {
  const given = 31 - Math.clz32(distance + 1);
  const digits = coder.raw(ESCAPE_LENGTH_BITS, given);
  if (digits > 2 * MAX_RAW_BITS)
    throw new IsthmusError('PACKET_CORRUPT', `an escaped value claims ${digits} binary digits`);
  const rest = (distance + 1) ^ (1 << digits);
  let read = digits > 0 ? coder.raw(Math.min(digits, MAX_RAW_BITS), rest & ((1 << MAX_RAW_BITS) - 1)) : 0;
  if (digits > MAX_RAW_BITS) read |= coder.raw(digits - MAX_RAW_BITS, rest >>> MAX_RAW_BITS) << MAX_RAW_BITS;
  return ((1 << digits) | read) - 1;
}

/**
 * A value outside the alphabet `low` to `low + count - 1`: its side, and its distance past the end. Throws `PACKET_CORRUPT` where
 * a stream holds a value past ±`most`.
 */
export function codeOutside(
  coder: Pick<SymbolCoder, 'raw'>,
  low: number,
  count: number,
  value: number,
  most = MAX_SYMBOL,
): number {
  const below = coder.raw(1, value < low ? 1 : 0);
  const distance = codeDistance(coder, below === 1 ? low - 1 - value : value - low - count);
  const coded = below === 1 ? low - 1 - distance : low + count + distance;
  if (Math.abs(coded) > most) throw new IsthmusError('PACKET_CORRUPT', `an escaped value is ${coded}`);
  return coded;
}
