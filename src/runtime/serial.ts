import { IsthmusError, messageOf } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { checkFeeds, checkFetches, describe } from './feeds.ts';
import type { Session, TensorInfo } from './session.ts';

/** What an adapter has to supply; {@link serialSession} makes the port's promises around it. */
export interface Engine {
  readonly runtime: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Runs once: `feeds` in the order of `inputs`, checked; gives one fresh tensor for each of `fetches`. */
  compute(feeds: readonly Tensor[], fetches: readonly string[]): Promise<readonly Tensor[]>;
  /** Called once, when nothing runs any more. */
  free(): Promise<void>;
}

/** A {@link Session} that checks feeds, runs one call after another, and waits for them before it frees the model. */
export function serialSession(engine: Engine): Session {
  const { runtime, inputs, outputs } = engine;
  let last: Promise<unknown> = Promise.resolve();
  let released: Promise<void> | undefined;

  const compute = async (feeds: readonly Tensor[], fetches: readonly string[]): Promise<Record<string, Tensor>> => {
    try {
      const results = await engine.compute(feeds, fetches);
      return Object.fromEntries(fetches.map((name, i) => [name, results[i]]));
    } catch (cause) {
      if (cause instanceof IsthmusError) throw cause;
      const given = inputs.map(({ name }, i) => `${name}: ${describe(feeds[i])}`).join(', ');
      throw new IsthmusError('RUNTIME_RUN', `${runtime} failed on { ${given} }: ${messageOf(cause)}`, { cause });
    }
  };

  return {
    runtime,
    inputs,
    outputs,
    async run(feeds, fetches) {
      if (released) throw new IsthmusError('RUNTIME_RUN', 'the session was released; open the model again to run it');
      const tensors = checkFeeds(inputs, feeds);
      const names = checkFetches(outputs, fetches);
      const result = last.then(() => compute(tensors, names));
      const settled = () => undefined;
      last = result.then(settled, settled);
      return result;
    },
    release() {
      released ??= last.then(() => engine.free());
      return released;
    },
  };
}
