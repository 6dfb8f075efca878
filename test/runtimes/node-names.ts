import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';

/* What fixtures/golden/decoded.ts takes from Node; the bundle takes it from here, for runtimes that have no Node. */

export function createHash(algorithm: 'sha256') {
  if (algorithm !== 'sha256') throw new Error(`no ${algorithm} here`);
  return { update: (bytes: Uint8Array) => ({ digest: (_: 'hex') => bytesToHex(sha256(bytes)) }) };
}

export const Buffer = { concat: (parts: readonly Uint8Array[]): Uint8Array => concatBytes(...parts) };
