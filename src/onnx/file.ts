import { IsthmusError, messageOf } from '../errors.ts';
import { readWhole, writeBeside } from '../files.ts';
import { type Limits, limitsOf } from '../limits.ts';
import { checkGraph } from './check.ts';
import { externalTensors, loadExternalData } from './external-read.ts';
import { type ExternalOptions, moveToExternalData } from './external-write.ts';
import type { Graph } from './graph.ts';
import { parseGraph, writeGraph } from './read.ts';

export interface OpenOptions {
  /** Read tensors that the model keeps in other files of its folder. Off by default: a model names the files. */
  readonly externalData?: boolean;
  /** Caps to raise or lower for this call. */
  readonly limits?: Partial<Limits>;
}

/**
 * The checked graph in an ONNX file, its external data loaded if asked for; tensors lie in `rawData` then.
 * Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `ONNX_INVALID`, `ONNX_UNSUPPORTED`, `LIMIT_EXCEEDED`, and
 * `ONNX_EXTERNAL_DATA` where external data is needed and not asked for, or is not to be read: outside the model's
 * folder, reached by a link, past the end of its file.
 */
export async function openGraph(path: string, options: OpenOptions = {}): Promise<Graph> {
  const limits = limitsOf(options.limits);
  const bytes = await readWhole(path, limits, 'onnxBytes', 'the model file');
  try {
    const graph = parseGraph(bytes, limits);
    if (options.externalData) await loadExternalData(externalTensors(graph), path, limits);
    checkGraph(graph, limits);
    return graph;
  } catch (cause) {
    if (cause instanceof IsthmusError) throw new IsthmusError(cause.code, `${path}: ${cause.message}`, { cause });
    throw new IsthmusError('FILE_UNREADABLE', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

export interface SaveOptions {
  /** Put large tensors into a file beside the model, as models above 2 GiB must. */
  readonly externalData?: ExternalOptions;
}

/**
 * Writes a graph to an ONNX file, beside its place and renamed: a killed run leaves the old file or the new one.
 * The data file is written first and never in the place of another one, so that the old model keeps its data.
 * Throws `ONNX_INVALID` for a graph that cannot be written, `INVALID_ARGUMENT` for a name of a data file that is a path,
 * `FILE_UNWRITABLE`.
 */
export async function saveGraph(graph: Graph, path: string, options: SaveOptions = {}): Promise<void> {
  if (options.externalData === undefined) {
    await writeBeside(path, [writeGraph(graph)]);
  } else {
    await writeBeside(path, [await moveToExternalData(graph, path, options.externalData)]);
  }
}
