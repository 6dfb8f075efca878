import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { IsthmusError } from '../../errors.ts';
import { type Cache, cacheKey, contentHash } from '../../evaluate/index.ts';
import { batchesOf, throwIfAborted } from '../../evaluate/measure.ts';
import {
  buildGraph,
  type Graph,
  mainGraph,
  opsetOf,
  tensorTypeOf,
  type ValueSpec,
  writeGraph,
} from '../../onnx/index.ts';
import type { OpenSession, Session } from '../../runtime/index.ts';
import {
  type InputSpec,
  logitsOf,
  openTail,
  paddedTokens,
  pixelsToTensor,
  stackRows,
  type Tail,
  type Teaching,
  tokensOf,
} from '../../tasks/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import type { Column } from '../data/row-file.ts';
import { type FillOptions, Rows } from '../data/rows.ts';
import { pixelsOf, type Views, viewKeys } from '../data/views.ts';
import { Extension } from '../extension.ts';
import { randomOf } from '../random.ts';

/** A task whose answers a codec is to keep. */
export interface TaughtTask {
  readonly name: string;
  /** The uncut network, from the picture to the logits. */
  readonly whole: Graph;
  /** What follows the cut. */
  readonly tail: Graph;
  readonly teach: (tail: Tail, feature: readonly Tensor[], asks: readonly (readonly unknown[])[]) => Promise<Teaching>;
  /** What is asked of pictures, by their paths; of others, what is asked of one of these. */
  readonly asks: ReadonlyMap<string, readonly unknown[]>;
}

/** A task as the training graph takes it. */
export interface TaskPorts {
  readonly name: string;
  readonly tail: Graph;
  /** Input of the tail that takes tokens, and how many: int64 `[batch, length]`. */
  readonly tokens: { readonly input: string; readonly length: number } | null;
  readonly logits: string;
  /** Classes of a choice, the last axis of the logits. */
  readonly classes: number;
  /** Whether logits are `[batch, length, classes]`, one choice a position, and not `[batch, classes, 1, …]`. */
  readonly positions: boolean;
}

/** One batch of what a task's model itself makes of features. */
export interface TaskTargets {
  /** int64 `[batch, length]` */
  readonly tokens?: Tensor;
  /** float32 `[batch, classes]` or `[batch, length, classes]` */
  readonly logits: Tensor;
  /** float32 `[batch]` or `[batch, length]`: 1 for a choice that is part of the answer, 0 for padding. */
  readonly mask: Tensor;
}

/** The answers of the uncut model for every version of every picture, on disk; rows are those of the training features. */
export interface Teacher {
  /** What decides the answers: a cache key a version. */
  readonly keys: readonly string[];
  readonly ports: readonly TaskPorts[];
  /** Targets of rows, one a task, in the order of the ports. */
  read(rows: readonly number[]): Promise<TaskTargets[]>;
  close(): Promise<void>;
}

export interface TeacherOptions extends FillOptions {
  readonly tasks: readonly TaughtTask[];
  readonly views: Views;
  /** Name of the tensor at the cut. */
  readonly cut: string;
  readonly cache: Cache;
  readonly open: OpenSession;
  readonly threads?: number;
  /** Told how many rows have the tokens of their answer, of all; of a task that takes any. */
  readonly onPrompts?: (done: number, total: number) => void;
}

/** Tokens of one row and how many of its positions are choices; none where a task takes no tokens. */
interface Prompt {
  readonly tokens: readonly number[];
  readonly choices: number;
}

/**
 * Has the uncut networks answer for every version of every picture: logits that a codec's own are held to (Hinton et al., Distilling
 * the Knowledge in a Neural Network, 2015), for the tokens of the network's own answer where it makes one word after the other. They
 * are kept on disk, for all cuts alike. Throws what `openTrainingFeatures` throws and what the networks throw.
 */
export async function openTeacher(options: TeacherOptions): Promise<Teacher> {
  const { tasks, views, cut, cache, open, threads } = options;
  const { input, pictures } = views;
  const prompts: Prompt[][] = [];
  for (const task of tasks) prompts.push(await promptsOf(task, options));
  const ports = tasks.map(({ name, tail }, t) => portsOf(name, tail, cut, longest(prompts[t])));
  const columns = ports.flatMap(columnsOf);
  const identity = tasks.map(({ name, whole }, t) => [name, contentHash(writeGraph(whole)), prompts[t]]);
  const keys = viewKeys(views).map((key) => cacheKey(['targets', key, identity]));
  const rows = await Rows.open({ cache, keys, rowsPerFile: pictures.length, columns });
  let session: Session | undefined;
  try {
    await rows.fill(async (version, chosen) => {
      session ??= await open(writeGraph(networksGraph(ports, tasks, input)), { threads });
      const at = chosen.map((picture) => version * pictures.length + picture);
      const feeds: Record<string, Tensor> = { [input.name]: await prepared(views, at) };
      for (const [t, port] of ports.entries()) {
        if (port.tokens)
          feeds[tokensName(port)] = paddedTokens(
            at.map((row) => prompts[t][row].tokens),
            port.tokens.length,
          );
      }
      const outputs = await session.run(feeds);
      return ports.flatMap((port, t) => [
        outputs[logitsName(port)],
        ints(
          at.map((row) => prompts[t][row].tokens),
          tokenCount(port),
        ),
        ints(
          at.map((row) => [prompts[t][row].choices]),
          1,
        ),
      ]);
    }, options);
  } catch (thrown) {
    await rows.close();
    throw thrown;
  } finally {
    await session?.release();
  }
  return {
    keys,
    ports,
    async read(wanted) {
      const read = await rows.read(wanted);
      return ports.map((port, t) => targetsOf(port, read.slice(3 * t, 3 * t + 3), wanted.length));
    },
    close: () => rows.close(),
  };
}

/** What is kept of a task's answer to one picture: logits, the tokens they are for, how many of them are choices. */
function columnsOf(port: TaskPorts): Column[] {
  return [
    { name: `${port.name}/logits`, dtype: 'float16', shape: [1, ...choicesOf(port), port.classes] },
    { name: `${port.name}/tokens`, dtype: 'int32', shape: [1, tokenCount(port)] },
    { name: `${port.name}/choices`, dtype: 'int32', shape: [1, 1] },
  ];
}

/** A task without tokens keeps one zero in their place. */
function tokenCount({ tokens }: TaskPorts): number {
  return tokens?.length ?? 1;
}

/** Lengths between batch and classes: that of the tokens where each position is a choice. */
export function choicesOf({ positions, tokens }: TaskPorts): number[] {
  return positions && tokens ? [tokens.length] : [];
}

function targetsOf(port: TaskPorts, [logits, tokens, choices]: readonly Tensor[], rows: number): TaskTargets {
  const [length = 1] = choicesOf(port);
  const mask = Float32Array.from({ length: rows * length }, (_, i) =>
    i % length < Number(choices.data[Math.floor(i / length)]) ? 1 : 0,
  );
  return {
    ...(port.tokens && {
      tokens: tensor('int64', tokens.shape, BigInt64Array.from(tokens.data as Int32Array, BigInt)),
    }),
    logits,
    mask: tensor('float32', port.positions ? [rows, length] : [rows], mask),
  };
}

/** Tokens of each row, by the network's own answers where it makes them. */
async function promptsOf(
  task: TaughtTask,
  { views, cache, open, threads, batch, signal, onPrompts }: TeacherOptions,
): Promise<Prompt[]> {
  const { input, pictures, versions } = views;
  if (tokensOf(task.whole, [input.name]) === undefined) {
    return Array.from({ length: versions * pictures.length }, () => ({ tokens: [], choices: 1 }));
  }
  const asked = asksOf(task, views);
  // What is asked of all versions alike is answered once, from the picture as it is.
  const isSame = asked.every((ask, row) => ask === asked[row % pictures.length]);
  const key = cacheKey(['prompts', task.name, contentHash(writeGraph(task.whole)), viewKeys(views), asked]);
  const kept = await cache.readJson<Prompt[]>('answers', key);
  if (kept) return kept;
  const whole = await openTail(task.whole, [input.name], open, { threads });
  try {
    const prompts: Prompt[] = [];
    const rows = asked.slice(0, isSame ? pictures.length : asked.length).map((_, row) => row);
    for (const part of batchesOf(rows, batch)) {
      throwIfAborted(signal);
      const asks = part.map((row) => [asked[row]]);
      const taught = await task.teach(whole, [await prepared(views, part)], asks);
      const length = taught.tokens?.shape[1] ?? 0;
      for (const i of part.keys()) {
        const tokens = Array.from(taught.tokens?.data.slice(i * length, (i + 1) * length) ?? [], Number);
        prompts.push({ tokens, choices: taught.choices?.[i] ?? 1 });
      }
      onPrompts?.(prompts.length, rows.length);
    }
    const all = asked.map((_, row) => prompts[isSame ? row % pictures.length : row]);
    await cache.writeJson('answers', key, all);
    return all;
  } finally {
    await whole.release();
  }
}

/** What is asked in each row: a picture's own asks in turn from version to version, or one drawn from all. */
function asksOf({ name, asks }: TaughtTask, { pictures, versions, seed }: Views): unknown[] {
  const pool = [...asks.values()].flat();
  return Array.from({ length: versions }).flatMap((_, version) =>
    pictures.map(({ path, hash }) => {
      const own = asks.get(path);
      if (own) return own[version % own.length];
      return pool[uniformInt(randomOf('ask', name, seed, version, hash), 0, pool.length - 1)];
    }),
  );
}

function longest(prompts: readonly Prompt[]): number {
  return prompts.reduce((most, { tokens }) => Math.max(most, tokens.length), 1);
}

/** How the training graph takes a task. Throws `ONNX_SHAPE` where the number of classes is not known. */
export function portsOf(name: string, tail: Graph, cut: string, length: number): TaskPorts {
  const logits = logitsOf(tail);
  const input = tokensOf(tail, [cut]);
  const shape = tensorTypeOf(mainGraph(tail).output.find((each) => each.name === logits)?.type)?.shape ?? [];
  const positions = shape.length === 3 && input !== undefined;
  const classes = shape[positions ? 2 : 1];
  if (typeof classes !== 'number') {
    throw new IsthmusError(
      'ONNX_SHAPE',
      `${name}: a codec is trained on logits [batch, classes], or [batch, length, classes] where the tail takes tokens; '${logits}' is [${shape}]`,
    );
  }
  return { name, tail, tokens: input === undefined ? null : { input, length }, logits, classes, positions };
}

// One graph of all tails

/** Input of the one graph for a task's tokens. */
export const tokensName = ({ name }: TaskPorts) => `tokens/${name}`;
const logitsName = ({ name }: TaskPorts) => `logits/${name}`;

/** All networks on one picture, what they share computed once. */
function networksGraph(ports: readonly TaskPorts[], tasks: readonly TaughtTask[], { name: picture }: InputSpec): Graph {
  const first = mainGraph(tasks[0].whole).input.find(({ name }) => name === picture);
  const { dtype = 'float32', shape } = tensorTypeOf(first?.type) ?? {};
  const nodes = new Extension(
    buildGraph({
      name: 'networks',
      opset: Math.max(...tasks.map(({ whole }) => opsetOf(whole))),
      inputs: [{ name: picture, dtype, shape }, ...ports.flatMap(tokenInputs)],
      outputs: [],
      nodes: [],
    }),
  );
  for (const [t, port] of ports.entries()) {
    const logits = include(nodes, tasks[t].whole, port, { [picture]: picture });
    nodes.emit('Identity', [logits], {}, logitsName(port));
  }
  return nodes.build(ports.map((port) => ({ name: logitsName(port), dtype: 'float32' })));
}

/** The input of the one graph that takes a task's tokens, if it has any. */
export function tokenInputs(port: TaskPorts): ValueSpec[] {
  return port.tokens ? [{ name: tokensName(port), dtype: 'int64', shape: ['batch', port.tokens.length] }] : [];
}

/** Adds a task's tail, from the feature `feature` and the input for its tokens: its logits, `[batch, classes]` or one choice a position. */
export function includeTail(nodes: Extension, port: TaskPorts, feature: string): string {
  const [cut] = mainGraph(port.tail)
    .input.map(({ name }) => name)
    .filter((name) => name !== port.tokens?.input);
  return include(nodes, port.tail, port, { [cut]: feature });
}

function include(nodes: Extension, graph: Graph, port: TaskPorts, feeds: Readonly<Record<string, string>>): string {
  const { tokens, logits, classes, positions } = port;
  const outputs = nodes.include(graph, { ...feeds, ...(tokens && { [tokens.input]: tokensName(port) }) });
  // Convolutional classifiers end in [batch, classes, 1, 1].
  return positions ? outputs[logits] : nodes.emit('Reshape', [outputs[logits], nodes.ints([-1, classes])]);
}

/** Rows of pixels as the networks take them. */
async function prepared(views: Views, rows: readonly number[]): Promise<Tensor> {
  return stackRows((await pixelsOf(views, rows)).map((pixels) => pixelsToTensor(pixels, views.input)));
}

/** Rows of integers, padded with 0 at the end. */
function ints(rows: readonly (readonly number[])[], length: number): Tensor {
  const data = new Int32Array(rows.length * length);
  for (const [row, values] of rows.entries()) data.set(values, row * length);
  return tensor('int32', [rows.length, length], data);
}
