import type { Codec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { cutNetwork } from '../network.ts';
import {
  count,
  type Graph,
  type Inferred,
  inferShapes,
  mainGraph,
  sameDim,
  tensorTypeOf,
  trueInputs,
  writeGraph,
} from '../onnx/index.ts';
import { cutGraph, findCuts } from '../split/index.ts';
import type { Suite } from '../tasks/index.ts';

/** Multiply-accumulates on either side of a cut. */
interface Macs {
  readonly head: number;
  readonly tail: number;
}

/** A task's network cut at some tensors. */
export interface Cut {
  readonly tensors: readonly string[];
  /** The tensors joined by commas, as points name a cut. */
  readonly name: string;
  readonly headModel: Uint8Array;
  /** SHA-256 of the head's model: the same for all tasks that share what lies before the cut. */
  readonly headHash: string;
  readonly tail: Graph;
  /** Multiply-accumulates of head and tail for one image. */
  readonly macs: Macs;
  /** Whether images can go through the cut in batches. */
  readonly inBatches: boolean;
}

/** The tensors of a cut given by the suite's name for it (`after block 6`), or as tensors joined by commas. */
export function tensorsOfCut(suite: Suite, given: string): readonly string[] {
  const named = Object.hasOwn(suite.cuts, given) ? suite.cuts[given] : undefined;
  const tensors = named ?? given.split(',').map((name) => name.trim());
  if (tensors.some((name) => name === '')) {
    throw new IsthmusError('INVALID_ARGUMENT', `'${given}' names no tensors; write TENSOR or TENSOR,TENSOR`);
  }
  return tensors;
}

/** The name of a cut among named ones (`after block 6`), by its tensors joined by commas; these where it has none. */
export function nameOfCut(cuts: Readonly<Record<string, readonly string[]>>, tensors: string): string {
  return Object.keys(cuts).find((name) => cuts[name].join() === tensors) ?? tensors;
}

/**
 * Cuts for suites that name none: the one that cuts all of the graphs next to the middle, or else each graph's own.
 * Throws `CUT_INVALID` where no graph has any.
 */
export function middleCuts(graphs: readonly Graph[]): (readonly string[])[] {
  const common = middleCut(graphs);
  const cuts = (common ? [common] : graphs.map((graph) => middleCut([graph]))).filter((cut) => cut !== undefined);
  if (cuts.length > 0) return cuts;
  throw new IsthmusError(
    'CUT_INVALID',
    'no single tensor cuts any of the models; name several with --cut TENSOR,TENSOR',
  );
}

/** The single-tensor cut next to the middle of the first graph's multiply-accumulates that cuts all of the graphs. */
function middleCut(graphs: readonly Graph[]): readonly string[] | undefined {
  const [first, ...others] = graphs;
  const candidates = findCuts(first)
    .filter(({ tensors }) => tensors[0].dtype === 'float32' || tensors[0].dtype === 'float16')
    .sort((a, b) => Math.abs(a.headShare - 0.5) - Math.abs(b.headShare - 0.5));
  for (const { tensors } of candidates) {
    const names = tensors.map(({ name }) => name);
    if (others.every((graph) => separates(graph, names))) return names;
  }
  return undefined;
}

function separates(graph: Graph, tensors: readonly string[]): boolean {
  try {
    cutGraph(graph, tensors);
    return true;
  } catch (thrown) {
    if (thrown instanceof IsthmusError) return false;
    throw thrown;
  }
}

/**
 * Cuts a network. The tail's multiply-accumulates are counted once, over `tokens` tokens where it takes any. Throws what
 * `cutNetwork` throws.
 */
export function openCut(graph: Graph, tensors: readonly string[], picture: string, tokens: number): Cut {
  const { head, tail, headHash } = cutNetwork(graph, tensors, picture);
  const inferred = inferShapes(head);
  return {
    tensors,
    name: tensors.join(','),
    headModel: writeGraph(head),
    headHash,
    tail,
    macs: {
      head: count(head, inferred).totalMacs,
      tail: count(tail, undefined, tokenLength(tail, tokens)).totalMacs,
    },
    inBatches: rowsAreImages(inferred, tensors, picture),
  };
}

/** Share of the multiply-accumulates that a device does, 0 to 1: those of the head, and of the analysis where a codec has one. */
export function headShareOf({ macs }: Pick<Cut, 'macs'>, { transforms }: Codec): number {
  const head = macs.head + (transforms ? count(transforms.analysis).totalMacs : 0);
  const tail = macs.tail + (transforms ? count(transforms.synthesis).totalMacs : 0);
  return head + tail === 0 ? 0 : head / (head + tail);
}

/**
 * Whether axis 0 of every tensor at a cut is the batch of the pictures: it is not where tokens stand before the batch,
 * or an image is windows. Then an image goes through the cut alone.
 */
export function rowsAreImages({ tensors }: Inferred, cut: readonly string[], picture: string): boolean {
  const batch = tensors.get(picture)?.shape[0];
  return cut.every((name) => {
    const rows = tensors.get(name)?.shape[0];
    return batch !== undefined && rows !== undefined && sameDim(batch, rows);
  });
}

/** Lengths of the symbolic dimensions of a tail's tokens, `[batch, length]` of int64. */
function tokenLength(tail: Graph, tokens: number): Record<string, number> {
  const types = trueInputs(mainGraph(tail)).map(({ type }) => tensorTypeOf(type));
  const lengths = types.flatMap((type) => (type?.dtype === 'int64' ? (type.shape?.slice(1) ?? []) : []));
  return Object.fromEntries(lengths.filter((length) => typeof length === 'string').map((length) => [length, tokens]));
}
