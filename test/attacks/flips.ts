/** Bytes up to which all is tried. */
const EXHAUSTIVE = 4096;
/** Of longer ones all of their start, which has the frame and the states of a stream, and of their end … */
const START = 160;
const END = 16;
/** … and about as many places between. */
const BETWEEN = 500;

/** Positions in bytes of length `length`, at `each` places a byte. */
function* positions(length: number, each: number): Generator<number> {
  const count = length * each;
  if (length <= EXHAUSTIVE) {
    for (let at = 0; at < count; at++) yield at;
    return;
  }
  const [start, end] = [START * each, count - END * each];
  // Odd, so that all bits of a byte have their turn.
  const stride = Math.ceil((end - start) / BETWEEN) | 1;
  for (let at = 0; at < start; at++) yield at;
  for (let at = start; at < end; at += stride) yield at;
  for (let at = end; at < count; at++) yield at;
}

/** `bytes` with each single bit flipped. */
export function* flips(bytes: Uint8Array): Generator<{ bit: number; flipped: Uint8Array }> {
  for (const bit of positions(bytes.length, 8)) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    yield { bit, flipped };
  }
}

/** `bytes` cut off after each length. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array> {
  for (const length of positions(bytes.length, 1)) yield bytes.slice(0, length);
}
