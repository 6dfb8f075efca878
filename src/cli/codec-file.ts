import { type Codec, readCodec } from '../codec/index.ts';
import { readWhole } from '../files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';

/** Reads a codec file. Throws what reading a file and `readCodec` throw. */
export async function openCodec(path: string): Promise<Codec> {
  return readCodec(await readWhole(path, DEFAULT_LIMITS, 'codecBytes', 'codec file'));
}
