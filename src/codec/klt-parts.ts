import { bytesToFloat32 } from '../bytes.ts';
import { readModel, TableBank } from '../entropy/index.ts';
import { IsthmusError } from '../errors.ts';
import { elements } from '../tensor.ts';
import type { Entries } from './archive.ts';
import type { FeatureTensor } from './codec.ts';
import type { KltPart } from './klt.ts';
import { type VectorLayout, vectorCount, vectorsOf } from './transform.ts';

/** What `codec.json` says of a part: in versions 1 and 2 for all vectors of the tensor of its own number. */
interface PartDefinition {
  readonly layout: VectorLayout;
  readonly components: number;
  readonly step: number;
}

/** The same in version 3, for `vectors` of the tensor's vectors, from number `first` on. */
interface RangeDefinition extends PartDefinition {
  readonly tensor: number;
  readonly first: number;
  readonly vectors: number;
}

type KltDefinition = { readonly features: readonly FeatureTensor[] } & (
  | { readonly version: 1 | 2; readonly parts: readonly PartDefinition[] }
  | { readonly version: 3; readonly parts: readonly RangeDefinition[] }
);

/** Whether a part is as versions 1 and 2 have them, if every other one is. */
export function isWhole({ tensor, transform }: KltPart, i: number): boolean {
  const { layout, synthesis } = transform;
  return synthesis === undefined && (tensor ?? i) === i && vectorCount(transform) === vectorsOf(layout);
}

/** Entries that a klt codec has: means, basis and tables of each part; in version 3 a synthesis where one is named. */
export function kltEntryCount({ version, parts }: KltDefinition, entries: Entries): number {
  const own = version === 3 ? parts.filter((_, i) => entries.has(`synthesis-${i}.f32`)).length : 0;
  return 3 * parts.length + own;
}

/** The parts of a klt codec from its definition and entries. Throws `CODEC_INVALID`, `CODEC_VERSION` where they do not fit. */
export function kltParts(definition: KltDefinition, entries: Entries): KltPart[] {
  return rangesOf(definition).map((part, i) => partOf(definition.version, part, i, entries));
}

/** The parts with the vectors that they are for. Throws `CODEC_INVALID` unless those are all vectors of all tensors, in order. */
function rangesOf({ version, parts, features }: KltDefinition): readonly RangeDefinition[] {
  if (version !== 3 && parts.length !== features.length) {
    throw new IsthmusError('CODEC_INVALID', 'a klt codec has one part for each tensor of its feature');
  }
  const ranges =
    version === 3
      ? parts
      : parts.map((each, tensor) => ({ ...each, tensor, first: 0, vectors: vectorsOf(each.layout) }));
  let tensor = 0;
  let first = 0;
  for (const [i, part] of ranges.entries()) {
    const { layout } = part;
    const before = first === 0 ? layout : ranges[i - 1].layout;
    const alike = layout.outer === before.outer && layout.length === before.length && layout.inner === before.inner;
    const total = tensor < features.length ? elements(features[tensor].shape) : 0;
    const end = first + part.vectors;
    const fits = layout.outer * layout.length * layout.inner === total && part.components <= layout.length;
    if (part.tensor !== tensor || part.first !== first || end > vectorsOf(layout) || !alike || !fits) {
      throw new IsthmusError(
        'CODEC_INVALID',
        `part ${i} of a klt codec (vectors ${part.first} to ${part.first + part.vectors - 1} of tensor ${part.tensor} as ` +
          `[${layout.outer}, ${layout.length}, ${layout.inner}], ${part.components} components) does not fit its feature ` +
          `[${features[tensor]?.shape}]: parts are all vectors of all tensors, in order`,
      );
    }
    const ended = end === vectorsOf(layout);
    tensor += ended ? 1 : 0;
    first = ended ? 0 : end;
  }
  if (tensor < features.length) {
    throw new IsthmusError('CODEC_INVALID', `no part of a klt codec is for vector ${first} of tensor ${tensor}`);
  }
  return ranges;
}

function partOf(version: 1 | 2 | 3, part: RangeDefinition, i: number, entries: Entries): KltPart {
  const { layout, components, step, tensor, first, vectors } = part;
  const floats = (name: string, length: number): Float32Array => {
    const bytes = entries.get(name);
    if (bytes?.length !== 4 * length) {
      throw new IsthmusError(
        'CODEC_INVALID',
        `entry ${name} of a codec file needs ${4 * length} bytes, has ${bytes?.length ?? 'none'}`,
      );
    }
    const values = bytesToFloat32(bytes);
    if (!values.every(Number.isFinite))
      throw new IsthmusError('CODEC_INVALID', `entry ${name} holds a value that is not finite`);
    return values;
  };
  const tables = entries.get(`tables-${i}.bin`) ?? new Uint8Array();
  const rows = components * layout.length;
  return {
    tensor,
    transform: {
      layout,
      first,
      components,
      mean: floats(`mean-${i}.f32`, vectors * layout.length),
      basis: floats(`basis-${i}.f32`, rows),
      synthesis: entries.has(`synthesis-${i}.f32`) ? floats(`synthesis-${i}.f32`, rows) : undefined,
    },
    step,
    model: version === 1 ? TableBank.fromBytes(tables, components) : readModel(tables, components),
  };
}
