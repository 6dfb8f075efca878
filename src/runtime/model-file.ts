import { readFile, stat } from 'node:fs/promises';
import { IsthmusError, messageOf } from '../errors.ts';
import { limitsOf, within } from '../limits.ts';
import { type CheckedModel, checkBytes } from './checked.ts';
import type { OpenOptions } from './session.ts';

/**
 * Reads and checks the model at a path. The runtime gets bytes, never the path: it would open files that the model
 * names without asking.
 * Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `ONNX_INVALID`, `ONNX_EXTERNAL_DATA`, `LIMIT_EXCEEDED`.
 */
export async function checkFile(path: string, options: OpenOptions): Promise<CheckedModel> {
  try {
    const { size } = await stat(path);
    within(limitsOf(options.limits), 'onnxBytes', size, 'bytes of the ONNX file');
    return checkBytes(await readFile(path), options);
  } catch (cause) {
    if (cause instanceof IsthmusError) throw new IsthmusError(cause.code, `${path}: ${cause.message}`, { cause });
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new IsthmusError(
      absent ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      absent ? `no model file ${path}` : `cannot read the model file ${path}: ${messageOf(cause)}`,
      { cause },
    );
  }
}
