import { IsthmusError } from '../errors.ts';
import { type Graph, mainGraph, tensorTypeOf, writeGraph } from '../onnx/index.ts';
import type { OpenSession, Session } from '../runtime/index.ts';
import { elements, type Tensor, tensor } from '../tensor.ts';

type Feeds = Readonly<Record<string, Tensor>>;

/** Sessions of one graph that share the rows of a batch. */
export interface RowShares {
  /**
   * Runs the graph on the rows of `batch`, with `rest` fed to every share as it is, and gives the means of the outputs over the
   * rows. The same feeds and number of workers give the same bits.
   * Throws `INVALID_ARGUMENT` for feeds that do not have the same number of rows, and what a session's `run` throws.
   */
  run(batch: Feeds, rest: Feeds): Promise<Record<string, Tensor>>;
  /** Waits for runs under way and frees the sessions. */
  release(): Promise<void>;
}

/**
 * Opens a graph whose outputs are float32 means over the rows of a batch, or change by such means, in `workers` sessions at once.
 * Throws what `open` throws; the sessions that could be opened are freed then.
 */
export async function openRowShares(
  graph: Graph,
  workers: number,
  open: OpenSession,
  threads: number,
): Promise<RowShares> {
  const model = writeGraph(graph);
  const attempts = await Promise.allSettled(Array.from({ length: workers }, () => open(model, { threads })));
  const sessions = attempts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const release = async () => {
    await Promise.all(sessions.map((each) => each.release()));
  };
  const failed = attempts.find((each) => each.status === 'rejected');
  if (failed) {
    await release();
    throw failed.reason;
  }
  return { run: (batch, rest) => runShares(sessions, batch, rest), release };
}

async function runShares(sessions: readonly Session[], batch: Feeds, rest: Feeds): Promise<Record<string, Tensor>> {
  const rows = rowCount(batch);
  const shares = Math.max(1, Math.min(sessions.length, rows));
  const starts = Array.from({ length: shares + 1 }, (_, i) => Math.floor((i * rows) / shares));
  // All are waited for, so that the error told is that of the first share, whichever thread was first.
  const runs = await Promise.allSettled(
    sessions.slice(0, shares).map((session, i) => {
      const share = Object.entries(batch).map(([name, value]) => [name, rowsOf(value, starts[i], starts[i + 1])]);
      return session.run({ ...rest, ...Object.fromEntries(share) });
    }),
  );
  const results = runs.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
  return meanOf(
    results,
    results.map((_, i) => (shares === 1 ? 1 : (starts[i + 1] - starts[i]) / rows)),
  );
}

function rowCount(batch: Feeds): number {
  const [first, ...others] = Object.entries(batch);
  const rows = first?.[1].shape[0];
  const odd = rows === undefined ? first : others.find(([, { shape }]) => shape[0] !== rows);
  if (odd === undefined && rows !== undefined) return rows;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    odd === undefined
      ? 'workers share the rows of a batch, and this step is fed nothing; train it with one worker'
      : `workers share the rows of a batch, which all feeds have on their first axis: '${odd[0]}' is [${odd[1].shape.join(', ')}]` +
          `${rows === undefined ? '' : `, '${first[0]}' [${first[1].shape.join(', ')}]`}; feed rows, or train with one worker`,
  );
}

/** A view of rows `from` to `to`. */
function rowsOf({ dtype, shape, data }: Tensor, from: number, to: number): Tensor {
  const [, ...inner] = shape;
  const length = elements(inner);
  const [begin, end] = [from * length, to * length];
  return tensor(dtype, [to - from, ...inner], Array.isArray(data) ? data.slice(begin, end) : data.subarray(begin, end));
}

/** Means of outputs, added up in the order of the shares; the first results are written over. */
function meanOf(results: readonly Record<string, Tensor>[], weights: readonly number[]): Record<string, Tensor> {
  const [first] = results;
  for (const [name, { data }] of Object.entries(first)) {
    const mean = data as Float32Array;
    for (let i = 0; i < mean.length; i++) mean[i] *= weights[0];
    for (let share = 1; share < results.length; share++) {
      const values = results[share][name].data as Float32Array;
      for (let i = 0; i < mean.length; i++) mean[i] += weights[share] * values[i];
    }
  }
  return first;
}

/** Throws `INVALID_ARGUMENT` where an input that a batch feeds, one that is not in `kept`, cannot be cut into rows. */
export function checkRowInputs(graph: Graph, kept: readonly string[]): void {
  for (const { name, type } of mainGraph(graph).input) {
    const shape = tensorTypeOf(type)?.shape;
    if (kept.includes(name) || shape === undefined || typeof shape[0] === 'string') continue;
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `workers share the rows of a batch, and input '${name}' is [${shape.join(', ')}], ${
        shape.length === 0 ? 'a scalar' : `made for ${shape[0]} rows`
      }; export the model with a free batch, or train with one worker`,
    );
  }
}
