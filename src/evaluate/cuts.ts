import { IsthmusError } from '../errors.ts';
import { cutNetwork } from '../network.ts';
import { type Graph, writeGraph } from '../onnx/index.ts';
import type { Suite } from '../tasks/index.ts';

/** A task's network cut at some tensors. */
export interface Cut {
  readonly tensors: readonly string[];
  /** The tensors joined by commas, as points name a cut. */
  readonly name: string;
  readonly headModel: Uint8Array;
  /** SHA-256 of the head's model: the same for all tasks that share what lies before the cut. */
  readonly headHash: string;
  readonly tail: Graph;
  /** Share of the multiply-accumulates that the head does, 0 to 1. */
  readonly headShare: number;
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

/** Cuts a network. Throws what `cutGraph` throws. */
export function openCut(graph: Graph, tensors: readonly string[]): Cut {
  const { head, tail, headHash } = cutNetwork(graph, tensors);
  return {
    tensors,
    name: tensors.join(','),
    headModel: writeGraph(head),
    headHash,
    tail,
    headShare: headShareOf(head, tail),
  };
}

function headShareOf(head: Graph, tail: Graph): number {
  const [h, t] = [head, tail].map((graph) => writeGraph(graph).length);
  return h / (h + t);
}
