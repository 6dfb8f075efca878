import { IsthmusError } from '../errors.ts';
import { cutNetwork, type Network, openNetwork } from '../network.ts';
import type { Graph } from '../onnx/index.ts';
import { readSplit, type Suite, type TaskName, taskNames, teachImages, tokensOf } from '../tasks/index.ts';
import { throwIfAborted } from './measure.ts';
import type { TaskLoss } from './sensitivity.ts';

/** Errors of a task that lacks the split, or cannot be cut there. */
const LEFT_OUT = /^(CUT_|FILE_NOT_FOUND|SUITE_INVALID)/;

/** The losses of a suite's tasks at cuts, with what its train split asks. Networks are opened once, when first needed. */
export class SuiteLosses {
  readonly #suite: Suite;
  readonly #names: readonly TaskName[];
  readonly #split: string;
  readonly #opened = new Map<TaskName, Promise<{ network: Network; asks: TaskLoss['asks'] }>>();

  /** Of all tasks unless some are named. */
  constructor(suite: Suite, names: readonly TaskName[] = taskNames(suite), split = 'train') {
    this.#suite = suite;
    this.#names = names;
    this.#split = split;
  }

  /**
   * The losses of those tasks that have the split and whose networks can be cut there. Throws what opening networks throws, what the first
   * task lacks where none is left, `ABORTED`.
   */
  async at(cut: readonly string[], signal?: AbortSignal): Promise<TaskLoss[]> {
    const losses: TaskLoss[] = [];
    const refused: IsthmusError[] = [];
    for (const name of this.#names) {
      throwIfAborted(signal);
      try {
        const { network, asks } = await this.#open(name);
        const { tail } = cutNetwork(network.graph, cut, network.input.name);
        losses.push({ name, tail, asks, teach: network.task.teach as TaskLoss['teach'] });
      } catch (thrown) {
        if (!(thrown instanceof IsthmusError && LEFT_OUT.test(thrown.code))) throw thrown;
        refused.push(thrown);
      }
    }
    if (losses.length === 0) throw refused[0];
    return losses;
  }

  #open(name: TaskName) {
    const opened = this.#opened.get(name) ?? openLoss(this.#suite, name, this.#split);
    this.#opened.set(name, opened);
    return opened;
  }
}

async function openLoss(suite: Suite, name: TaskName, split: string) {
  const network: Network = await openNetwork(suite, name);
  const items = await readSplit(suite, name, split);
  return { network, asks: new Map(items.map(({ path, asks }) => [path, asks])) };
}

/**
 * The loss of a model without a suite whose one output is float logits `[batch, classes]`: a choice among its classes. Throws what
 * `cutNetwork` throws, and `INVALID_ARGUMENT` for a tail with more than one output, or that takes tokens.
 */
export function modelLoss(graph: Graph, cut: readonly string[], picture: string): TaskLoss {
  const { tail } = cutNetwork(graph, cut, picture);
  const tokens = tokensOf(tail, cut);
  if (tokens !== undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `the model takes '${tokens}' beside pictures, so what is asked must be known: name a suite folder, whose tasks say so`,
    );
  }
  return { name: 'classification', tail, teach: teachImages, asks: new Map() };
}
