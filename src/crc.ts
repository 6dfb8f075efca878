/**
 * Cyclic redundancy checks with reflected bits, a table of 256 entries a polynomial.
 * CRC-32 is that of zip (ISO 3309); CRC-32C is Castagnoli's (RFC 3720, appendix B.4).
 */
function crcOf(polynomial: number): (bytes: Uint8Array, previous?: number) => number {
  const table = new Int32Array(256);
  for (let i = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    table[i] = value;
  }
  return (bytes, previous = 0) => {
    let crc = ~previous;
    for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]) & 255];
    return ~crc >>> 0;
  };
}

/** CRC-32 of `bytes`, continued from `previous`; unsigned 32 bits. */
export const crc32 = crcOf(0xedb88320);

/** CRC-32C of `bytes`, continued from `previous`; unsigned 32 bits. */
export const crc32c = crcOf(0x82f63b78);
