import { type Codec, readCodec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { readWhole } from '../files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';

/** Reads a codec file. Throws what reading a file and `readCodec` throw. */
export async function openCodec(path: string): Promise<Codec> {
  const bytes = await readWhole(path, DEFAULT_LIMITS, 'codecBytes', 'codec file');
  try {
    return readCodec(bytes);
  } catch (cause) {
    if (!(cause instanceof IsthmusError)) throw cause;
    throw new IsthmusError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}
