const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Keeps a unit on the line of its number. */
const NARROW_SPACE = '\u202f';

/** Bytes as people read them: thousands apart, and a digit more below ten. */
export function bytesText(bytes: number): string {
  return bytes < 10 && !Number.isInteger(bytes) ? bytes.toFixed(1) : WHOLE.format(bytes);
}

/** An amount of bytes with its unit. */
export function byteCount(bytes: number): string {
  return `${bytesText(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
}

export function whole(value: number): string {
  return WHOLE.format(value);
}

/** Points of 100, with a true minus. */
export function pointsText(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text.replace('-', '−');
}

/** A value with its 95 % interval. */
export function intervalText(value: number, low: number, high: number): string {
  return `${pointsText(value, 2)} [${pointsText(low, 1)}, ${pointsText(high, 1)}]`;
}

/** A share of 1 in percent. */
export function percentText(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.05) return `< 0.1${NARROW_SPACE}%`;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${NARROW_SPACE}%`;
}

export function millisecondsText(value: number): string {
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2)}${NARROW_SPACE}ms`;
}
