import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { IsthmusError } from './errors.ts';
import { type Graph, mainGraph, openGraph, trueInputs, writeGraph } from './onnx/index.ts';
import { chainGraphs, cutGraph, type Halves } from './split/index.ts';
import {
  type CaptionAnswer,
  type ClassificationAnswer,
  type InputSpec,
  type Item,
  modelsOf,
  openSuite,
  openTask,
  type Suite,
  type Task,
  type TaskName,
  type VqaAnswer,
  type VqaTruth,
} from './tasks/index.ts';

/** What each task asks, answers and is scored against. */
export interface TaskOf {
  classification: Task<null, ClassificationAnswer, number>;
  captioning: Task<null, CaptionAnswer, readonly string[]>;
  vqa: Task<string, VqaAnswer, VqaTruth>;
}

/** A task with all of its models as one graph: what a cut is made through. */
export interface Network<Name extends TaskName = TaskName> {
  readonly task: TaskOf[Name];
  /** How a picture becomes the graph's input. */
  readonly input: InputSpec;
  readonly graph: Graph;
  /** SHA-256 of the graph's bytes. */
  readonly hash: string;
}

/**
 * Opens a task of a suite (a folder with `suite.json`, or one already open) with its models chained. With the `items` of a split
 * the task has that split's metrics. Throws what opening suite, task and models throws.
 */
export async function openNetwork<Name extends TaskName>(
  suite: Suite | string,
  name: Name,
  items?: readonly Item[],
): Promise<Network<Name>> {
  const opened = typeof suite === 'string' ? await openSuite(suite) : suite;
  const graphs: Graph[] = [];
  // A suite is a folder that the user named, and external data is read from within it only.
  for (const path of modelsOf(opened, name)) {
    graphs.push(await openGraph(path, { externalData: true, limits: opened.limits }));
  }
  const graph = graphs.reduce((first, second) => chainGraphs(first, second));
  const task = (await openTask(opened, name, items)) as Task<unknown, unknown, unknown> as TaskOf[Name];
  return { task, input: opened.input, graph, hash: hashOf(graph) };
}

/**
 * Head and tail at a cut, and the SHA-256 of the head: tasks that share a trunk get the same head, so its name says
 * nothing of the task. `picture` names the only input that a device has. Throws as `cutGraph`, and `CUT_INVALID` for a
 * head that needs another one too, such as a decoder's tokens.
 */
export function cutNetwork(graph: Graph, cut: readonly string[], picture: string): Halves & { headHash: string } {
  const { head, tail } = cutGraph(graph, cut);
  const others = trueInputs(mainGraph(head)).filter(({ name }) => name !== picture);
  if (others.length > 0) {
    throw new IsthmusError(
      'CUT_INVALID',
      `before '${cut.join("', '")}' the input ${others.map(({ name }) => `'${name}'`).join(', ')} is needed, and a device ` +
        `has '${picture}' alone; cut where nothing else came in yet`,
    );
  }
  mainGraph(head).name = 'head';
  return { head, tail, headHash: hashOf(head) };
}

function hashOf(graph: Graph): string {
  return bytesToHex(sha256(writeGraph(graph)));
}
