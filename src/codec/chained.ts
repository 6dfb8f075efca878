import { IsthmusError } from '../errors.ts';
import { type Graph, writeGraph } from '../onnx/index.ts';
import type { OpenOptions, OpenSession, Session } from '../runtime/session.ts';
import { chainGraphs } from '../split/index.ts';

/**
 * Two models as one graph, or null where they were written for operator sets that do not go together: then they are run one after the
 * other. Throws `INVALID_ARGUMENT` where nothing joins them.
 */
export function chainedOrNull(first: Graph, second: Graph): Graph | null {
  try {
    return chainGraphs(first, second);
  } catch (thrown) {
    if (thrown instanceof IsthmusError && thrown.code === 'ONNX_UNSUPPORTED') return null;
    throw thrown;
  }
}

/**
 * Opens two models, the second fed by what the first gives and by the same feeds: one session where they chain into one graph, which
 * the runtime then optimizes as a whole. Throws as {@link chainedOrNull} and what `open` throws.
 */
export async function openChained(
  first: Graph,
  second: Graph,
  open: OpenSession,
  options?: OpenOptions,
): Promise<Pick<Session, 'inputs' | 'outputs' | 'run' | 'release'>> {
  const whole = chainedOrNull(first, second);
  if (whole) return open(writeGraph(whole), options);
  const one = await open(writeGraph(first), options);
  const other = await open(writeGraph(second), options).catch(async (thrown) => {
    await one.release();
    throw thrown;
  });
  return {
    inputs: one.inputs,
    outputs: other.outputs,
    async run(feeds, fetches) {
      const made = { ...feeds, ...(await one.run(feeds)) };
      return other.run(Object.fromEntries(other.inputs.map(({ name }) => [name, made[name]])), fetches);
    },
    async release() {
      await one.release();
      await other.release();
    },
  };
}
