/** Units of one bit in every integer cost: costs are bits x 2^16. */
export const COST_PER_BIT = 2 ** 16;

/** Largest number whose logarithm is kept. */
const LARGEST = 2 ** 15;
/** log2 of 1 to 2^15 in units of 2^-16 bit, plus 1 so that 0 says not yet worked out. */
const KEPT = new Int32Array(LARGEST + 1);

/**
 * Cost of an event of probability `frequency` / 2^`precision`, 1 <= frequency <= 2^precision, precision <= 15: its bits x 2^16,
 * rounded to nearest. Worked out with integers, so that it is the same number everywhere.
 */
export function costOf(frequency: number, precision: number): number {
  if (KEPT[frequency] === 0) KEPT[frequency] = 1 + fixedLog2(frequency);
  return precision * COST_PER_BIT + 1 - KEPT[frequency];
}

/**
 * log2(n) x 2^16 for n >= 1, rounded to nearest: the binary digits of the logarithm one by one, by squaring the mantissa. With
 * 60 bits of it the 17 squarings leave an error below 2^-40, and no n up to 2^15 has a logarithm as near to a tie.
 */
function fixedLog2(n: number): number {
  const one = 1n << 60n;
  const whole = 31 - Math.clz32(n);
  let mantissa = (BigInt(n) << 60n) >> BigInt(whole);
  let digits = whole;
  for (let i = 0; i < 17; i++) {
    mantissa = (mantissa * mantissa) >> 60n;
    digits *= 2;
    if (mantissa >= one << 1n) {
      mantissa >>= 1n;
      digits++;
    }
  }
  return (digits + 1) >>> 1;
}
