import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { clearField } from '@bufbuild/protobuf';
import { IsthmusError, messageOf } from '../errors.ts';
import { openRegular, readRange } from '../files.ts';
import { type Limits, within } from '../limits.ts';
import type { Graph } from './graph.ts';
import {
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from './onnx_pb.ts';
import { rawByteLength } from './payload.ts';
import { tensorsOf } from './walk.ts';

/** Tensors of a model that keep their data in other files. */
export function externalTensors(graph: Graph): TensorProto[] {
  return [...tensorsOf(graph)].filter((tensor) => tensor.dataLocation === TensorProto_DataLocation.EXTERNAL);
}

function refused(problem: string, cause?: unknown): IsthmusError {
  return new IsthmusError('ONNX_EXTERNAL_DATA', problem, { cause });
}

interface Region {
  readonly tensor: TensorProto;
  readonly offset: number;
  readonly length: number;
}

/**
 * Reads external tensors into `rawData` and clears where they were, from files in the folder of the model at `path`.
 * Throws `ONNX_EXTERNAL_DATA` for a location outside the folder or a region past the end of its file, `FILE_NOT_FOUND`,
 * `FILE_UNREADABLE`, `ONNX_INVALID` and `LIMIT_EXCEEDED`.
 */
export async function loadExternalData(
  tensors: readonly TensorProto[],
  path: string,
  limits: Readonly<Limits>,
): Promise<void> {
  const files = new Map<string, Region[]>();
  let total = 0;
  for (const tensor of tensors) {
    const { location, ...region } = regionOf(tensor, limits);
    total += region.length;
    within(limits, 'onnxExternalBytes', total, 'bytes of external data');
    const regions = files.get(location);
    if (regions === undefined) files.set(location, [{ tensor, ...region }]);
    else regions.push({ tensor, ...region });
  }
  const folder = await realpath(dirname(path));
  for (const [location, regions] of files) await loadFile(folder, location, regions);
}

function regionOf(tensor: TensorProto, limits: Readonly<Limits>): { location: string; offset: number; length: number } {
  const where = `tensor '${tensor.name}'`;
  if (tensor.dataType === DataType.STRING) {
    throw new IsthmusError('ONNX_INVALID', `${where} has strings, which cannot be external data`);
  }
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const length = rawByteLength(tensor, limits, where);
  const stated = wholeNumber(entries.get('length') ?? String(length), `length of ${where}`);
  if (stated !== length)
    throw refused(`${where} needs ${length} bytes, and its external data states a length of ${stated}`);
  const offset = wholeNumber(entries.get('offset') ?? '0', `offset of ${where}`);
  return { location: checkLocation(entries.get('location') ?? '', where), offset, length };
}

function wholeNumber(text: string, what: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw refused(`external data: the ${what} is '${text.slice(0, 40)}', not a whole number`);
  return value;
}

/** Refuses what can't be a file below the folder, on this system or another, before the file system is asked. */
function checkLocation(location: string, where: string): string {
  const problem =
    (location === '' && 'names no file') ||
    (location.includes('\0') && 'has a NUL in its location') ||
    ((isAbsolute(location) || /^[\\/]|^[a-z]:/i.test(location)) && `has the absolute location '${location}'`) ||
    (location.split(/[\\/]/).includes('..') && `has the location '${location}', which goes up by '..'`);
  if (problem) throw refused(`external data: ${where} ${problem}; only files in the model's folder are read`);
  return location;
}

async function loadFile(folder: string, location: string, regions: readonly Region[]): Promise<void> {
  const path = join(folder, location);
  const { handle, size } = await openRegular(path, 'the external data file');
  try {
    await checkContained(folder, path, location, await handle.stat());
    // Tied weights name the same region; they share their bytes.
    const read = new Map<string, Uint8Array>();
    for (const { tensor, offset, length } of regions) {
      if (offset + length > size) {
        throw refused(
          `external data: tensor '${tensor.name}' lies at bytes ${offset} to ${offset + length} of '${location}', which has ${size}`,
        );
      }
      const key = `${offset} ${length}`;
      const bytes = read.get(key) ?? (await readRange(handle, offset, length));
      if (bytes.length < length) throw refused(`external data: '${location}' became shorter while it was read`);
      read.set(key, bytes);
      tensor.rawData = bytes;
      tensor.externalData = [];
      clearField(tensor, TensorProtoSchema.field.dataLocation);
    }
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('FILE_UNREADABLE', `cannot read the external data file ${path}: ${messageOf(cause)}`, {
      cause,
    });
  } finally {
    await handle.close();
  }
}

/**
 * That the file which was opened lies below the folder: its real path does, and is the same file still. Another hard
 * link may lie anywhere, so there must be none.
 */
async function checkContained(
  folder: string,
  path: string,
  location: string,
  opened: { dev: number; ino: number; nlink: number },
): Promise<void> {
  const real = await realpath(path);
  const below = relative(folder, real);
  if (below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)) {
    throw refused(`external data: '${location}' is a link out of the model's folder; copy the file into the folder`);
  }
  const found = await stat(real);
  if (found.dev !== opened.dev || found.ino !== opened.ino) {
    throw refused(`external data: '${location}' changed while it was opened`);
  }
  if (opened.nlink > 1) {
    throw refused(
      `external data: '${location}' has other hard links, perhaps outside the model's folder; copy the file`,
    );
  }
}
