import { IsthmusError } from '../../errors.ts';
import { cutNetwork, openNetwork } from '../../network.ts';
import type { Graph } from '../../onnx/index.ts';
import { type InputSpec, readSplit, type Suite, taskNames } from '../../tasks/index.ts';
import { type PictureItem, splitPictures } from '../data/pictures.ts';
import type { TaughtTask } from './teacher.ts';

/** What a codec is trained for, and with. */
export interface TrainingSource {
  readonly head: { readonly graph: Graph; readonly hash: string };
  readonly input: InputSpec;
  readonly tasks: readonly TaughtTask[];
  readonly pictures: readonly PictureItem[];
}

/**
 * The tasks of a suite that can be cut there, their questions and the pictures of a split. Throws what opening the suite's models and
 * cutting throws where no task can be cut, and `CUT_INVALID` where tasks have different heads.
 */
export async function suiteSource(
  suite: Suite,
  cut: string,
  split: string,
  onNote: (note: string) => void = () => undefined,
): Promise<TrainingSource> {
  const tasks: TaughtTask[] = [];
  const refused: unknown[] = [];
  let first: { head: Graph; headHash: string; input: InputSpec } | undefined;
  for (const name of taskNames(suite)) {
    const { task, graph, input } = await openNetwork(suite, name);
    try {
      const { head, tail, headHash } = cutNetwork(graph, [cut], input.name);
      first ??= { head, headHash, input };
      if (first.headHash !== headHash) {
        throw new IsthmusError(
          'CUT_INVALID',
          `what comes before '${cut}' differs between the tasks of the suite; train a codec for each with a suite of its own`,
        );
      }
      const items = await readSplit(suite, name, split).catch((thrown) => {
        onNote(`${name} has no questions of its own in ${split}: ${(thrown as Error).message}`);
        return [];
      });
      const asks = new Map(items.map((item) => [item.path, item.asks]));
      tasks.push({
        name,
        whole: graph,
        tail,
        teach: task.teach as TaughtTask['teach'],
        asks: asks.size > 0 ? asks : new Map([['', [null]]]),
      });
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError && thrown.code.startsWith('CUT_')) || first) throw thrown;
      refused.push(thrown);
    }
  }
  if (first === undefined) throw refused[0];
  return {
    head: { graph: first.head, hash: first.headHash },
    input: first.input,
    tasks,
    pictures: await splitPictures(suite, split, onNote),
  };
}
