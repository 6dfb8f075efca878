import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { differentiate } from '../../autodiff/index.ts';
import { batchesOf, throwIfAborted } from '../../evaluate/measure.ts';
import { buildGraph, type Graph, node, opsetOf, writeGraph } from '../../onnx/index.ts';
import type { OpenSession, Session } from '../../runtime/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import type { TrainingFeatures } from '../data/features.ts';
import { Extension } from '../extension.ts';
import { randomOf } from '../random.ts';
import { type Grouping, gatherGroups, groupCount, type TokenGrid } from './grid.ts';
import type { Moments } from './start.ts';
import {
  choicesOf,
  includeTail,
  type TaskPorts,
  type TaskTargets,
  type Teacher,
  tokenInputs,
  tokensName,
} from './teacher.ts';

export interface MomentsOptions {
  readonly grid: TokenGrid;
  readonly grouping: Grouping;
  /** The tensor at the cut. */
  readonly cut: string;
  readonly features: TrainingFeatures;
  readonly teacher: Teacher;
  /** Weight of each task's loss, by name. */
  readonly weights: Readonly<Record<string, number>>;
  /** Rows of the features to look at. */
  readonly rows: readonly number[];
  readonly batch: number;
  readonly seed: number;
  readonly open: OpenSession;
  readonly signal?: AbortSignal;
  readonly onRows?: (done: number, total: number) => void;
}

/**
 * Second moments of group vectors and prefix tokens (null where there are none), and of the gradient of the tasks' losses by them with
 * answers drawn from the models' own: the Fisher information (Amari, Natural Gradient Works Efficiently in Learning, 1998). Throws
 * `ABORTED`, and what reading features, differentiating and running throw.
 */
export async function momentsOf(options: MomentsOptions): Promise<{ groups: Moments; prefix: Moments | null }> {
  const { grid, grouping, cut, features, teacher, rows, batch, seed, open, signal } = options;
  const sums = {
    groups: new Sums(groupCount(grouping), grouping.length),
    prefix: grid.prefix === 0 ? null : new Sums(grid.prefix, grid.length),
  };
  const each = async function* () {
    for (const part of batchesOf(rows, batch)) {
      throwIfAborted(signal);
      const [feature] = await features.read(part);
      yield { part, feature };
    }
  };
  const vectors = (values: Tensor, count: number) => gatherGroups(grid, grouping, values.data as Float32Array, count);
  for await (const { part, feature } of each()) {
    const { groups, prefix } = vectors(feature, part.length);
    sums.groups.addMeans(groups, part.length);
    sums.prefix?.addMeans(prefix, part.length);
  }
  const ports = teacher.ports.filter(({ name }) => (options.weights[name] ?? 0) > 0);
  const opened: Session[] = [];
  try {
    const backward = await open(writeGraph(gradientGraph(ports, cut, features.columns[0].shape)));
    opened.push(backward);
    const gram = await open(writeGraph(gramGraph()));
    opened.push(gram);
    let done = 0;
    for await (const { part, feature } of each()) {
      const random = randomOf('answers', seed, part[0]);
      const targets = await teacher.read(part);
      const feeds: Record<string, Tensor> = { [cut]: feature };
      for (const [t, port] of teacher.ports.entries()) {
        if (!ports.includes(port)) continue;
        feeds[pullName(port)] = drawnPull(targets[t], Math.sqrt(options.weights[port.name]), random);
        if (port.tokens) feeds[tokensName(port)] = targets[t].tokens as Tensor;
      }
      const gradient = (await backward.run(feeds))[`grad/${cut}`];
      const moved = vectors(feature, part.length);
      const felt = vectors(gradient, part.length);
      await sums.groups.add(moved.groups, felt.groups, gram);
      await sums.prefix?.add(moved.prefix, felt.prefix, gram);
      done += part.length;
      options.onRows?.(done, rows.length);
    }
  } finally {
    for (const session of opened) await session.release();
  }
  return { groups: sums.groups.finish(), prefix: sums.prefix?.finish() ?? null };
}

/** Sums over the vectors of one kind. */
class Sums {
  readonly #vectors: number;
  readonly #length: number;
  readonly #mean: Float64Array;
  readonly #covariance: Float64Array;
  readonly #sensitivity: Float64Array;
  #rows = 0;
  #seen = 0;

  constructor(vectors: number, length: number) {
    this.#vectors = vectors;
    this.#length = length;
    this.#mean = new Float64Array(vectors * length);
    this.#covariance = new Float64Array(length * length);
    this.#sensitivity = new Float64Array(length * length);
  }

  /** First pass. */
  addMeans(values: Float32Array, rows: number): void {
    const each = values.length / rows;
    for (let i = 0; i < values.length; i++) this.#mean[i % each] += values[i];
    this.#rows += rows;
  }

  /** Second pass; `gram` is a session of {@link gramGraph}. */
  async add(values: Float32Array, gradients: Float32Array, gram: Session): Promise<void> {
    const each = this.#mean.length;
    const centred = values.map((value, i) => value - this.#mean[i % each] / this.#rows);
    for (const [sum, vectors] of [[this.#covariance, centred] as const, [this.#sensitivity, gradients] as const]) {
      const x = tensor('float32', [vectors.length / this.#length, this.#length], vectors);
      const { y } = await gram.run({ x });
      for (let i = 0; i < sum.length; i++) sum[i] += (y.data as Float32Array)[i];
    }
    this.#seen += values.length / each;
  }

  finish(): Moments {
    const all = this.#seen * this.#vectors;
    return {
      mean: this.#mean.map((sum) => sum / this.#rows),
      covariance: this.#covariance.map((sum) => sum / all),
      sensitivity: this.#sensitivity.map((sum) => sum / all),
    };
  }
}

/**
 * What the logits are pulled by: the gradient of -log of the probability of an answer drawn from the teacher's own, times `scale`:
 * softmax less one at the answer.
 */
function drawnPull({ logits, mask }: TaskTargets, scale: number, random: RandomGenerator): Tensor {
  const values = logits.data as Float32Array;
  const classes = values.length / mask.data.length;
  const pull = new Float32Array(values.length);
  for (let choice = 0; choice < mask.data.length; choice++) {
    const draw = uniformFloat64(random);
    if (mask.data[choice] === 0) continue;
    const from = choice * classes;
    let largest = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) largest = Math.max(largest, values[from + c]);
    let total = 0;
    for (let c = 0; c < classes; c++) total += pull[from + c] = Math.exp(values[from + c] - largest);
    let passed = draw * total;
    let answer = 0;
    while (answer < classes - 1 && passed >= pull[from + answer]) passed -= pull[from + answer++];
    for (let c = 0; c < classes; c++) pull[from + c] *= scale / total;
    pull[from + answer] -= scale;
  }
  return tensor('float32', logits.shape, pull);
}

const pullName = ({ name }: TaskPorts) => `pull/${name}`;

/** The gradient at the cut of the sum of logits times what they are pulled by. */
function gradientGraph(ports: readonly TaskPorts[], cut: string, [, ...lengths]: readonly number[]): Graph {
  const nodes = new Extension(
    buildGraph({
      name: 'pulls',
      opset: Math.max(...ports.map(({ tail }) => opsetOf(tail))),
      inputs: [
        { name: cut, dtype: 'float32', shape: ['batch', ...lengths] },
        ...ports.flatMap((port) => [
          { name: pullName(port), dtype: 'float32' as const, shape: ['batch', ...choicesOf(port), port.classes] },
          ...tokenInputs(port),
        ]),
      ],
      outputs: [],
      nodes: [],
    }),
  );
  const sums = ports.map((port) => {
    const pulled = nodes.emit('Mul', [includeTail(nodes, port, cut), pullName(port)]);
    return nodes.emit('ReduceSum', [pulled], { keepdims: 0 });
  });
  nodes.emit('Sum', sums, {}, 'pulled');
  return differentiate(nodes.build([{ name: 'pulled', dtype: 'float32', shape: [] }]), { of: 'pulled', with: [cut] });
}

/** y = xᵀ x */
function gramGraph(): Graph {
  return buildGraph({
    opset: 13,
    inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', 'length'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['length', 'length'] }],
    nodes: [node('Gemm', ['x', 'x'], ['y'], { transA: 1 })],
  });
}
