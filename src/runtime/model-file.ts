import { IsthmusError } from '../errors.ts';
import { readWhole } from '../files.ts';
import { limitsOf } from '../limits.ts';
import { openGraph } from '../onnx/file.ts';
import { writeGraph } from '../onnx/read.ts';
import { type CheckedModel, checkBytes } from './checked.ts';
import type { OpenOptions } from './session.ts';

/**
 * Reads and checks the model at a path. The runtime gets bytes, never the path: it would open files that the model
 * names without asking. External data that was asked for is put into the bytes.
 * Throws as `openGraph` does.
 */
export async function checkFile(path: string, options: OpenOptions): Promise<CheckedModel> {
  if (options.externalData) {
    const graph = await openGraph(path, options);
    return { bytes: writeGraph(graph), graph };
  }
  const bytes = await readWhole(path, limitsOf(options.limits), 'onnxBytes', 'the model file');
  try {
    return checkBytes(bytes, options);
  } catch (cause) {
    if (!(cause instanceof IsthmusError)) throw cause;
    throw new IsthmusError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}
