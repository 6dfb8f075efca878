import type { Codec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { openNetwork } from '../network.ts';
import { type Graph, mainGraph, tensorTypeOf } from '../onnx/index.ts';
import { type Item, readSplit, type Suite, type TaskName, taskNames } from '../tasks/index.ts';
import { cacheKey } from './cache.ts';
import type { Conditions } from './conditions.ts';
import { type Cut, middleCuts, nameOfCut, openCut, tensorsOfCut } from './cuts.ts';
import { KLT_FIRST } from './fit.ts';
import { type BadInput, checkBadShare, type Input, readInputs } from './inputs.ts';
import type { Log } from './log.ts';
import type { AnyTask } from './measure.ts';
import { PICTURE_FORMATS } from './pictures.ts';
import type { Way } from './point.ts';
import { sample } from './statistics.ts';
import { isFitted, isUncut, LEVELS_FIRST } from './ways.ts';

/** What `captioning` and `vqa` take where the suite does not say. */
const CAPTION_TOKENS = 20;
const QUESTION_TOKENS = 24;

/** Images of a run of head, tail or uncut model. */
const BATCH = 8;

/** Images that codecs are fitted on, drawn from the train splits of all tasks. */
const TRAINING_IMAGES = 300;

/** A task with its network and its images, read. */
export interface TaskPlan {
  readonly name: TaskName;
  readonly task: AnyTask;
  readonly graph: Graph;
  readonly model: readonly unknown[];
  readonly truths: string;
  readonly inputs: readonly Input[];
  /** Tokens that the tail reads or makes at most; 1 where it has none. */
  readonly tokens: number;
  /** Images of a run. */
  readonly batch: number;
}

export async function planTask(
  run: Conditions,
  name: TaskName,
  split: string,
  limit: number | undefined,
  log: Log,
): Promise<TaskPlan> {
  const { suite, store, seed, signal } = run;
  const items = await readSplit(suite, name, split);
  const { task, graph, hash } = await openNetwork(suite, name, items);
  const chosen = sample(items, limit ?? items.length, seed);
  log.images += chosen.length;
  run.meter.begin(`${name}: reading images`);
  const inputs = await readInputs(chosen, store, (bad) => log.skip(bad), signal);
  log.metric[name] = task.metrics[0].name;
  log.batch[name] = batchOf(graph, suite.input.name);
  return {
    name,
    task: task as AnyTask,
    graph,
    model: [hash, suite.input, suite.tasks[name]],
    truths: cacheKey(items.map(({ asks, truths }) => [asks, truths])),
    inputs,
    tokens: tokensOf(suite, name),
    batch: log.batch[name],
  };
}

/**
 * Images that a graph takes at once: those of {@link BATCH}, or 1 where it is made for one. Throws `SUITE_INVALID` for a
 * graph without the input, `ONNX_UNSUPPORTED` for one made for another number.
 */
export function batchOf(graph: Graph, input: string): number {
  const type = mainGraph(graph).input.find(({ name }) => name === input)?.type;
  if (type === undefined) {
    throw new IsthmusError('SUITE_INVALID', `input.name: the models have no input '${input}'`);
  }
  const length = tensorTypeOf(type)?.shape?.[0];
  if (typeof length !== 'number') return BATCH;
  if (length === 1) return 1;
  throw new IsthmusError(
    'ONNX_UNSUPPORTED',
    `the model is made for batches of ${length}; export it with a batch of 1 or a free one`,
  );
}

export function tokensOf({ tasks }: Suite, name: TaskName): number {
  if (name === 'captioning') return tasks.captioning?.maxTokens ?? CAPTION_TOKENS;
  return name === 'vqa' ? (tasks.vqa?.maxTokens ?? QUESTION_TOKENS) : 1;
}

/**
 * Images to fit codecs on: drawn from the train splits of all of the suite's tasks, without those that are measured.
 * None where the suite has no train split.
 */
export async function trainingInputs(
  { suite, store, seed, signal, meter }: Conditions,
  plans: readonly TaskPlan[],
  split: string,
  log: Log,
): Promise<Input[]> {
  const items = new Map<string, Item>();
  for (const name of taskNames(suite)) {
    try {
      for (const item of await readSplit(suite, name, 'train')) items.set(item.path, item);
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError)) throw thrown;
      log.note(`${name} has no train split to fit codecs on (${thrown.message})`);
    }
  }
  const measured = new Set(plans.flatMap(({ inputs }) => inputs.map(({ hash }) => hash)));
  const chosen = sample([...items.values()], TRAINING_IMAGES, seed);
  meter.begin('reading training images');
  const bad: BadInput[] = [];
  const read = await readInputs(chosen, store, (each) => bad.push(each), signal);
  if (chosen.length > 0) checkBadShare(bad, chosen.length);
  for (const each of bad) log.skip(each);
  const inputs = read.filter(({ hash }) => !measured.has(hash));
  log.trainingImages = inputs.length;
  if (inputs.length === 0) log.note(`klt is left out: no images to fit it on beside those of ${split}`);
  return inputs;
}

/** The cuts of a run, each once; none where only pictures are measured. */
export function wantedCuts(
  suite: Suite,
  plans: readonly TaskPlan[],
  ways: readonly Way[],
  { cuts, codecs = [] }: { readonly cuts?: readonly string[]; readonly codecs?: readonly { readonly codec: Codec }[] },
): (readonly string[])[] {
  const ofCodecs = codecs.map(({ codec }) => codec.features.map(({ name }) => name));
  const sent = ways.some((way) => !isUncut(way));
  const named = () => {
    if (cuts) return cuts.map((cut) => tensorsOfCut(suite, cut));
    if (codecs.length > 0) return [];
    const ofSuite = Object.values(suite.cuts);
    return ofSuite.length > 0 ? ofSuite : middleCuts(plans.map(({ graph }) => graph));
  };
  const all = new Map([...(sent ? named() : []), ...ofCodecs].map((tensors) => [tensors.join(), tensors]));
  return [...all.values()];
}

/**
 * The cuts of each task. One that only some of the tasks can be cut at (each may have a model of its own, and a tail has
 * tensors of its own) is noted for the others. Throws what `openCut` throws for one that cuts none.
 */
export function openCuts(
  suite: Suite,
  plans: readonly TaskPlan[],
  cuts: readonly (readonly string[])[],
  log: Log,
): Cut[][] {
  const opened = plans.map((): Cut[] => []);
  for (const tensors of cuts) {
    const refused: { readonly name: TaskName; readonly error: IsthmusError }[] = [];
    for (const [i, { name, graph, tokens }] of plans.entries()) {
      try {
        opened[i].push(openCut(graph, tensors, suite.input.name, tokens));
      } catch (thrown) {
        if (!(thrown instanceof IsthmusError && thrown.code.startsWith('CUT_'))) throw thrown;
        refused.push({ name, error: thrown });
      }
    }
    if (refused.length === plans.length) throw refused[0].error;
    for (const { name, error } of refused) {
      log.note(`${name} is not measured at ${nameOfCut(suite.cuts, tensors.join())}: ${error.message}`);
    }
  }
  return opened;
}

/** Points of a task that are measured for certain, the answers of the reference and the features of each cut with them. */
export function plannedPoints(ways: readonly Way[], cuts: readonly Cut[], files: number): number {
  const rungs = ([from, to]: readonly [number, number]) => to - from;
  const pictures = PICTURE_FORMATS.filter(({ way }) => ways.includes(way)).map(({ first }) => rungs(first));
  const codecs = ways.map((way) =>
    isFitted(way) ? rungs(KLT_FIRST) : way === 'int8-deflate' ? rungs(LEVELS_FIRST) : way.startsWith('raw-') ? 1 : 0,
  );
  const controls = ways.filter((way) => way === 'reference' || way === 'device').length;
  const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
  return 1 + controls + sum(pictures) + cuts.length * (1 + sum(codecs)) + files;
}
