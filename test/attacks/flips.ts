/** Bytes up to which all is tried. */
const EXHAUSTIVE = 4096;
const ENDS = 256;
const STRIDE = 61;

/** Positions 0 to `count` - 1: all of them, or of many the ends and some between. */
function* positions(count: number, exhaustive: boolean, ends: number): Generator<number> {
  for (let at = 0; at < count; at += exhaustive || at < ends || at >= count - ends ? 1 : STRIDE) yield at;
}

/** `bytes` with each single bit flipped. */
export function* flips(bytes: Uint8Array): Generator<{ bit: number; flipped: Uint8Array }> {
  for (const bit of positions(8 * bytes.length, bytes.length <= EXHAUSTIVE, 8 * ENDS)) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    yield { bit, flipped };
  }
}

/** `bytes` cut off after each length. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array> {
  for (const length of positions(bytes.length, bytes.length <= EXHAUSTIVE, ENDS)) yield bytes.slice(0, length);
}
