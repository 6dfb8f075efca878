import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync, constants as zlib } from 'node:zlib';
import { compress, decompress, init } from '@bokuweb/zstd-wasm';
import { gunzipSync as fflateGunzip, gzipSync as fflateGzip } from 'fflate';

/** A compressor of bytes. */
export interface Peer {
  readonly name: string;
  readonly encode: (bytes: Uint8Array) => Uint8Array;
  readonly decode: (coded: Uint8Array) => Uint8Array;
  /** Encoding takes seconds a megabyte. */
  readonly slow?: boolean;
}

const brotli = (level: number) => (bytes: Uint8Array) =>
  brotliCompressSync(bytes, { params: { [zlib.BROTLI_PARAM_QUALITY]: level } });

export async function openPeers(): Promise<Peer[]> {
  await init();
  return [
    { name: 'fflate gzip 6', encode: (b) => fflateGzip(b, { level: 6 }), decode: (b) => fflateGunzip(b) },
    { name: 'node:zlib gzip 6', encode: (b) => gzipSync(b, { level: 6 }), decode: (b) => gunzipSync(b) },
    { name: 'node:zlib brotli 5', encode: brotli(5), decode: (b) => brotliDecompressSync(b) },
    { name: 'node:zlib brotli 11', encode: brotli(11), decode: (b) => brotliDecompressSync(b), slow: true },
    { name: 'zstd-wasm 3', encode: (b) => compress(b, 3), decode: (b) => decompress(b) },
    { name: 'zstd-wasm 19', encode: (b) => compress(b, 19), decode: (b) => decompress(b), slow: true },
  ];
}

/** Symbols as those peers take them: a byte each. */
export function asBytes(values: Int32Array): Uint8Array {
  const bytes = Int8Array.from(values);
  if (values.some((value, i) => value !== bytes[i])) throw new Error('a symbol does not fit a byte');
  return new Uint8Array(bytes.buffer);
}
