import { PixelStore, totalScore } from '../../evaluate/index.ts';
import { batchesOf, statisticsOf, throwIfAborted } from '../../evaluate/measure.ts';
import type { Graph } from '../../onnx/index.ts';
import type { OpenSession } from '../../runtime/index.ts';
import { type InputSpec, openTail, pixelsToTensor, type SuiteTask, stackRows } from '../../tasks/index.ts';
import type { Example } from './examples.ts';

/** What the whole network of a task scores, in points of 100. */
export interface TaskScore {
  readonly task: string;
  readonly pictures: number;
  readonly asks: number;
  /** By the metric's name, the task's own first. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface ScoreOptions {
  readonly input: InputSpec;
  readonly open: OpenSession;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onPictures?: (count: number) => void;
}

/** Pictures that are answered at once. */
const BATCH = 16;

/**
 * Has a network answer for all pictures of its task as it would at inference (a caption by beam search, word for word), and scores
 * the answers. Throws `ABORTED`, and what opening and running throw.
 */
export async function scoreTask(
  task: SuiteTask,
  whole: Graph,
  examples: readonly Example[],
  { input, open, threads, signal, onPictures }: ScoreOptions,
): Promise<TaskScore> {
  const asked = examples.flatMap(({ path, tasks }) => {
    const of = tasks[task.name];
    return of ? [{ path, asks: of.asks, truths: of.truths }] : [];
  });
  const store = new PixelStore(input);
  const tail = await openTail(whole, [input.name], open, { threads });
  try {
    const answers: unknown[][] = [];
    for (const batch of batchesOf(asked, BATCH)) {
      throwIfAborted(signal);
      const pixels = await Promise.all(batch.map(({ path }) => store.pixels(path)));
      const feature = stackRows(pixels.map((each) => pixelsToTensor(each, input)));
      const asks = batch.map((each) => each.asks);
      answers.push(...(await task.answer(tail, [feature], asks)));
      onPictures?.(batch.length);
    }
    const scores = task.metrics.map((metric) => {
      return [metric.name, totalScore(metric, statisticsOf(metric as never, asked, answers))] as const;
    });
    return {
      task: task.name,
      pictures: asked.length,
      asks: asked.reduce((sum, { asks }) => sum + asks.length, 0),
      scores: Object.fromEntries(scores),
    };
  } finally {
    await tail.release();
  }
}
