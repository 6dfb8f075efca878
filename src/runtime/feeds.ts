import { IsthmusError } from '../errors.ts';
import { asTensor, type Tensor, type TensorLike } from '../tensor.ts';
import type { TensorInfo } from './session.ts';

/** `float32 [batch, 3, 224]`, as messages show a tensor's type. */
export function describe(info: Pick<TensorInfo, 'dtype' | 'shape' | 'anyRank'>): string {
  return info.anyRank ? `${info.dtype} of any shape` : `${info.dtype} [${info.shape.join(', ')}]`;
}

const quoted = (names: Iterable<string>) => [...names].map((name) => `'${name}'`).join(', ');

/** Throws `TENSOR_INVALID` unless dtype, rank and fixed dimensions are those of the input. */
function checkFeed(info: TensorInfo, feed: Tensor): void {
  const fits =
    feed.dtype === info.dtype &&
    (info.anyRank ||
      (feed.shape.length === info.shape.length &&
        info.shape.every((length, axis) => typeof length === 'string' || length === feed.shape[axis])));
  if (!fits) {
    throw new IsthmusError('TENSOR_INVALID', `input '${info.name}' takes ${describe(info)}, got ${describe(feed)}`);
  }
}

/**
 * The feeds as plain tensors, in the order of `inputs`, checked. Throws `INVALID_ARGUMENT` for a missing or unknown
 * name and `TENSOR_INVALID` for a feed that does not fit.
 */
export function checkFeeds(inputs: readonly TensorInfo[], feeds: Readonly<Record<string, TensorLike>>): Tensor[] {
  if (feeds === null || typeof feeds !== 'object') {
    throw new IsthmusError('INVALID_ARGUMENT', `feeds must be an object from input names to tensors, got ${feeds}`);
  }
  const known = new Set(inputs.map(({ name }) => name));
  const unknown = Object.keys(feeds).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new IsthmusError('INVALID_ARGUMENT', `no input ${quoted(unknown)}; the model has ${quoted(known)}`);
  }
  return inputs.map((info) => {
    if (!Object.hasOwn(feeds, info.name) || feeds[info.name] === undefined) {
      throw new IsthmusError('INVALID_ARGUMENT', `input '${info.name}' (${describe(info)}) is missing from the feeds`);
    }
    const feed = namedTensor(info.name, feeds[info.name]);
    checkFeed(info, feed);
    return feed;
  });
}

function namedTensor(name: string, feed: TensorLike): Tensor {
  try {
    return asTensor(feed);
  } catch (cause) {
    if (!(cause instanceof IsthmusError)) throw cause;
    throw new IsthmusError(cause.code, `input '${name}': ${cause.message}`, { cause });
  }
}

/** Names of the outputs to give, all by default. Throws `INVALID_ARGUMENT` for an unknown name or an empty list. */
export function checkFetches(outputs: readonly TensorInfo[], fetches?: readonly string[]): readonly string[] {
  const known = outputs.map(({ name }) => name);
  if (fetches === undefined) return known;
  if (!Array.isArray(fetches) || fetches.length === 0) {
    throw new IsthmusError('INVALID_ARGUMENT', `fetches must name at least one output; the model has ${quoted(known)}`);
  }
  const unknown = fetches.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new IsthmusError('INVALID_ARGUMENT', `no output ${quoted(unknown)}; the model has ${quoted(known)}`);
  }
  return [...new Set(fetches)];
}
