import { IsthmusError } from '../errors.ts';
import { type Graph, mainGraph, tensorTypeOf, trueInputs, writeGraph } from '../onnx/index.ts';
import type { OpenOptions, OpenSession, Session } from '../runtime/index.ts';
import { hoistGraph } from '../split/index.ts';
import { asFloat, type Tensor } from '../tensor.ts';
import { lastPosition } from './last-position.ts';
import { gatherRows, stackRows } from './rows.ts';
import type { Tail } from './task.ts';

/**
 * A task's tail from its graph. `features` names the tensors at the cut, in the order in which they will be given; one
 * further input, of int64, takes tokens. The logits are the only output, or the one named `logits`.
 * Where there are tokens, what depends on the feature alone is taken out of the graph and run once by `begin`, and of
 * logits `[rows, length, width]` only the last position's are computed. A graph made for one row at a time gets rows one
 * by one, and one of 16-bit floats gets the feature as such.
 *
 * Throws `INVALID_ARGUMENT` where inputs or outputs are not those, and what `open` throws.
 */
export async function openTail(
  graph: Graph,
  features: readonly string[],
  open: OpenSession,
  options: OpenOptions = {},
): Promise<Tail> {
  const logits = logitsOf(graph);
  const tokens = tokensOf(graph, features);
  const types = new Map(trueInputs(mainGraph(graph)).map(({ name, type }) => [name, tensorTypeOf(type)?.dtype]));
  const { once, each, frontier } =
    tokens === undefined ? { once: null, each: graph, frontier: features } : hoistGraph(graph, features);
  const first = once && (await open(writeGraph(once), options));
  const step = tokens === undefined ? each : lastPosition(each, logits, tokens);
  const second = await open(writeGraph(step), options).catch(async (thrown) => {
    await first?.release();
    throw thrown;
  });
  return {
    async begin(feature) {
      if (feature.length !== features.length) {
        throw new IsthmusError(
          'INVALID_ARGUMENT',
          `the tail takes ${features.join(', ')}; got ${feature.length} tensors`,
        );
      }
      const given = Object.fromEntries(
        features.map((name, i) => [name, asFloat(feature[i], types.get(name) ?? feature[i].dtype)]),
      );
      const needed = first?.inputs.map(({ name }) => [name, given[name]]) ?? [];
      const made = first ? await runRows(first, Object.fromEntries(needed)) : {};
      return frontier.map((name) => made[name] ?? given[name]);
    },
    async logits(state, given) {
      const feeds = Object.fromEntries(frontier.map((name, i) => [name, state[i]]));
      if (tokens !== undefined && given) feeds[tokens] = given;
      return (await runRows(second, feeds, [logits]))[logits];
    },
    async release() {
      await first?.release();
      await second.release();
    },
  };
}

/** Runs a model on rows, one after the other where it is made for a single one. */
async function runRows(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  fetches: readonly string[] = session.outputs.map(({ name }) => name),
): Promise<Record<string, Tensor>> {
  const given = Object.entries(feeds);
  const rows = given[0]?.[1].shape[0] ?? 1;
  const single =
    session.inputs.some(({ shape }) => shape[0] === 1) && given.every(([, { shape }]) => shape[0] === rows);
  if (!single || rows === 1) return session.run(feeds, fetches);
  const results: Record<string, Tensor>[] = [];
  for (let row = 0; row < rows; row++) {
    const ofRow = given.map(([name, value]) => [name, gatherRows(value, [row])] as const);
    results.push(await session.run(Object.fromEntries(ofRow), fetches));
  }
  return Object.fromEntries(fetches.map((name) => [name, stackRows(results.map((result) => result[name]))]));
}

/** The output that is a tail's logits: its only one, or the one of that name. Throws `INVALID_ARGUMENT` where there is neither. */
export function logitsOf(graph: Graph): string {
  const names = mainGraph(graph).output.map(({ name }) => name);
  if (names.length === 1) return names[0];
  if (names.includes('logits')) return 'logits';
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `a tail has one output, or one named logits; this has ${names.join(', ')}`,
  );
}

/** The input that takes tokens, if there is one. Throws `INVALID_ARGUMENT` where others are needed beside the feature. */
export function tokensOf(graph: Graph, features: readonly string[]): string | undefined {
  const inputs = trueInputs(mainGraph(graph));
  const names = inputs.map(({ name }) => name);
  const missing = features.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `the tail has no input ${missing.join(', ')}; it has ${names.join(', ')}`,
    );
  }
  const others = inputs.filter(({ name }) => !features.includes(name));
  if (others.length > 1 || others.some(({ type }) => tensorTypeOf(type)?.dtype !== 'int64')) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `beside the feature a tail takes at most tokens, of int64; this takes ${others.map(({ name }) => name).join(', ')}`,
    );
  }
  return others[0]?.name;
}
