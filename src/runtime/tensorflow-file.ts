import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { io } from '@tensorflow/tfjs';
import { z } from 'zod';
import { IsthmusError, messageOf } from '../errors.ts';
import { readWhole } from '../files.ts';
import { type Limits, limitsOf, within } from '../limits.ts';
import { elements } from '../tensor.ts';

const BYTES = { float32: 4, int32: 4, bool: 1, complex64: 8, uint8: 1, uint16: 2, float16: 2 } as const;

const weight = z.object({
  name: z.string(),
  shape: z.array(z.int().min(0)),
  dtype: z.enum(['float32', 'int32', 'bool', 'string', 'complex64']),
  quantization: z.looseObject({ dtype: z.enum(['uint8', 'uint16', 'float16']) }).optional(),
});

/** The part of `model.json` that says where the weights are; TensorFlow.js looks at the rest. */
const modelJson = z.looseObject({
  format: z.string().optional(),
  modelTopology: z.looseObject({}),
  weightsManifest: z.array(z.object({ paths: z.array(z.string()), weights: z.array(weight) })).default([]),
});

type ModelJson = z.infer<typeof modelJson>;
type Weight = z.infer<typeof weight>;

/** A TensorFlow.js model read from files, and which of the two kinds it is. */
export interface ModelFiles {
  readonly kind: 'layers' | 'graph';
  readonly artifacts: io.ModelArtifacts;
}

/**
 * Reads a `model.json` and its weight files, which lie beside it: plain names, no links. Sizes are checked before
 * anything is allocated for them.
 * Throws `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `LIMIT_EXCEEDED`, and `RUNTIME_LOAD` for files that do not go together.
 */
export async function readModelFiles(path: string, given?: Partial<Limits>): Promise<ModelFiles> {
  const limits = limitsOf(given);
  const json = parse(path, await readWhole(path, limits, 'jsonBytes', 'the model file'));
  const specs = json.weightsManifest.flatMap(({ weights }) => weights);
  const shards: Uint8Array[] = [];
  let size = 0;
  for (const name of json.weightsManifest.flatMap(({ paths }) => paths)) {
    const rest = { ...limits, tfjsBytes: limits.tfjsBytes - size };
    shards.push(await readWhole(await shardPath(path, name), rest, 'tfjsBytes', 'the weight file'));
    size += shards[shards.length - 1].length;
  }
  checkSizes(path, specs, size, limits);
  const { modelTopology, format, weightsManifest: _, ...rest } = json;
  return {
    kind: kindOf(path, json),
    artifacts: {
      ...rest,
      modelTopology,
      ...(format === undefined ? {} : { format }),
      weightSpecs: specs as io.WeightsManifestEntry[],
      weightData: joined(shards, size),
    },
  };
}

function invalid(path: string, problem: string, cause?: unknown): IsthmusError {
  return new IsthmusError('RUNTIME_LOAD', `${path} is not a TensorFlow.js model: ${problem}`, { cause });
}

function parse(path: string, bytes: Uint8Array): ModelJson {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid(path, messageOf(cause), cause);
  }
  const parsed = modelJson.safeParse(json);
  if (!parsed.success) throw invalid(path, z.prettifyError(parsed.error), parsed.error);
  return parsed.data;
}

function kindOf(path: string, { format, modelTopology }: ModelJson): ModelFiles['kind'] {
  if (format === 'graph-model' || (format === undefined && 'node' in modelTopology)) return 'graph';
  if (format === 'layers-model' || format === undefined) return 'layers';
  throw invalid(path, `its format is '${format.slice(0, 40)}', not layers-model or graph-model`);
}

/** Where a weight file is. Exporters put them beside `model.json`, so nothing else is accepted. */
async function shardPath(model: string, name: string): Promise<string> {
  if (name === '' || name === '.' || name === '..' || /[\\/:\0]/.test(name)) {
    throw invalid(model, `it names the weight file '${name.slice(0, 80)}'; only files beside it are read`);
  }
  const folder = await realpath(dirname(model));
  const path = join(folder, name);
  const real = await realpath(path).catch(() => path); // Reading it tells what is wrong with it.
  if (dirname(real) !== folder || basename(real) !== name) {
    throw invalid(model, `its weight file '${name}' is a link; only files beside it are read`);
  }
  return path;
}

/** Throws `RUNTIME_LOAD` unless the weights take up just the bytes that there are. */
function checkSizes(path: string, specs: readonly Weight[], size: number, limits: Readonly<Limits>): void {
  let needed = 0;
  let hasText = false;
  for (const { name, shape, dtype, quantization } of specs) {
    const count = elements(shape);
    const width = dtype === 'string' ? 4 : BYTES[quantization?.dtype ?? dtype];
    within(limits, 'tensorRank', shape.length, `dimensions of weight '${name}'`);
    within(limits, 'tensorBytes', count * (dtype === 'string' ? 4 : BYTES[dtype]), `bytes of weight '${name}'`);
    needed += count * width;
    hasText ||= dtype === 'string';
  }
  if (hasText ? needed > size : needed !== size) {
    throw invalid(path, `its weights take ${needed} bytes, its weight files have ${size}`);
  }
}

function joined(shards: readonly Uint8Array[], size: number): ArrayBuffer {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const shard of shards) {
    whole.set(shard, at);
    at += shard.length;
  }
  return whole.buffer;
}
