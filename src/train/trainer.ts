import { IsthmusError } from '../errors.ts';
import { type Graph, writeGraph } from '../onnx/index.ts';
import { type OpenOptions, type OpenSession, openInWorker, openSession, type Session } from '../runtime/index.ts';
import type { Tensor } from '../tensor.ts';
import { type StateTensor, type StepOptions, statesOf } from './plan.ts';
import { checkRowInputs, openRowShares, type RowShares } from './row-shares.ts';
import { type TrainingStep, trainingStep } from './step.ts';

export interface TrainerOptions extends StepOptions {
  /** The runtime to train on in the caller's thread; the one at hand by default. */
  readonly open?: OpenSession;
  /** As sessions take it, 1 for each of several workers where absent. The same number gives the same bits. */
  readonly threads?: OpenOptions['threads'];
  /**
   * Threads that share the rows of each batch; 1 by default, which trains in the caller's thread. With more, all inputs that a
   * batch feeds have its rows on their first axis, and loss and reported scalars are means over rows; each thread gives the
   * gradient of its rows on ONNX Runtime's native build. That takes less processor time than as many `threads` (a third less
   * for the ViT-Tiny tail after block 9 on 2 busy cores). The same number gives the same bits; another, other roundings.
   */
  readonly workers?: number;
}

/** What one step gave. */
export interface StepResult {
  /** Before the step; the mean over its batches. */
  readonly loss: number;
  /** The global norm of the gradient, before clipping. */
  readonly gradientNorm: number;
  /** The scalars reported, means over the batches. */
  readonly reported: Readonly<Record<string, number>>;
}

/** All that training goes on from: steps done, and every kept tensor by name. */
export interface TrainerState {
  readonly step: number;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

type Feeds = Readonly<Record<string, Tensor>>;

/**
 * Trains weights of a graph step by step. A step of one batch is one run of one session, or, with several workers, one in each
 * and one of the update. Weights, moments and averages are tensors in memory between steps; a step that fails leaves them as
 * they were.
 */
export class Trainer {
  readonly #step: TrainingStep;
  readonly #options: TrainerOptions;
  readonly #sessions = new Map<keyof Graphs, Promise<Session>>();
  #shares?: Promise<RowShares>;
  readonly #kept: readonly StateTensor[];
  #state: Map<string, Tensor>;
  #done = 0;

  /**
   * Throws what {@link trainingStep} throws, and `INVALID_ARGUMENT` for a graph whose batches cannot be shared among workers.
   * Sessions are opened when they are first needed.
   */
  constructor(graph: Graph, options: TrainerOptions) {
    checkWorkers(options);
    this.#step = trainingStep(graph, options);
    this.#options = options;
    if (this.#isShared) {
      const { weights, sums } = this.#step;
      checkRowInputs(this.#step.gradient, [
        ...weights.map(({ weight }) => weight.name),
        ...sums.map(({ name }) => name),
      ]);
    }
    this.#kept = statesOf(this.#step.weights);
    this.#state = new Map(this.#kept.map(({ name, initial }) => [name, initial]));
  }

  /** Steps done. */
  get done(): number {
    return this.#done;
  }

  /**
   * One step at a learning rate, on one batch or on several whose gradients are averaged.
   * Throws `TRAINING_DIVERGED` where the loss or the gradient of a weight is not finite, with the first at fault in the
   * message; and what a session's `run` throws.
   */
  async step(batches: Feeds | readonly Feeds[], rate: number): Promise<StepResult> {
    const list = Array.isArray(batches) ? (batches as readonly Feeds[]) : [batches as Feeds];
    if (list.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'a step needs at least one batch');
    return list.length === 1 && !this.#isShared ? this.#single(list[0], rate) : this.#several(list, rate);
  }

  async #single(batch: Feeds, rate: number): Promise<StepResult> {
    const scalars = this.#step.scalars('whole', this.#done + 1, rate, 1);
    const outputs = await this.#run('whole', { ...batch, ...this.#fed(this.#kept), ...scalars });
    this.#checkLoss(outputs);
    return this.#advance(outputs, [outputs], 1);
  }

  async #several(batches: readonly Feeds[], rate: number): Promise<StepResult> {
    const weights = this.#fed(this.#step.weights.map(({ weight }) => weight));
    const results: Record<string, Tensor>[] = [];
    let sums = Object.fromEntries(this.#step.sums.map(({ name, initial }) => [name, initial]));
    for (const batch of batches) {
      const outputs = await this.#gradient(batch, { ...weights, ...sums });
      this.#checkLoss(outputs);
      sums = Object.fromEntries(this.#step.sums.map(({ name, next }) => [name, outputs[next]]));
      results.push(this.#scalarsOf(outputs));
    }
    const scalars = this.#step.scalars('apply', this.#done + 1, rate, batches.length);
    const outputs = await this.#run('apply', { ...this.#fed(this.#kept), ...sums, ...scalars });
    return this.#advance(outputs, results, batches.length);
  }

  /** Takes the new state over, if it is finite. */
  #advance(outputs: Feeds, results: readonly Feeds[], batches: number): StepResult {
    const squares = outputs[this.#step.squares].data as Float32Array;
    this.#checkGradients(squares);
    this.#state = new Map(this.#kept.map(({ name, next }) => [name, outputs[next]]));
    this.#done += 1;
    const mean = (name: string) => results.reduce((sum, each) => sum + scalar(each[name]), 0) / results.length;
    return {
      loss: mean(this.#step.loss),
      gradientNorm: Math.sqrt(squares.reduce((sum, each) => sum + each, 0)) / batches,
      reported: Object.fromEntries(this.#step.report.map((name) => [name, mean(name)])),
    };
  }

  #checkLoss(outputs: Feeds): void {
    const loss = scalar(outputs[this.#step.loss]);
    if (Number.isFinite(loss)) return;
    throw this.#diverged(`the loss '${this.#step.loss}' is ${loss}`);
  }

  #checkGradients(squares: Float32Array): void {
    const at = squares.findIndex((each) => !Number.isFinite(each));
    if (at < 0) return;
    throw this.#diverged(`the gradient of '${this.#step.weights[at].weight.name}' is not finite`);
  }

  #diverged(what: string): IsthmusError {
    return new IsthmusError(
      'TRAINING_DIVERGED',
      `step ${this.#done + 1}: ${what}; go on from the last checkpoint with a lower learning rate, or clip gradients`,
    );
  }

  #scalarsOf(outputs: Feeds): Record<string, Tensor> {
    return Object.fromEntries([this.#step.loss, ...this.#step.report].map((name) => [name, outputs[name]]));
  }

  #fed(tensors: readonly StateTensor[]): Record<string, Tensor> {
    return Object.fromEntries(tensors.map(({ name }) => [name, this.#state.get(name) as Tensor]));
  }

  get #isShared(): boolean {
    return (this.#options.workers ?? 1) > 1;
  }

  /** Sums that the gradients of a batch are added to: by one session, or by each worker those of its rows, and the mean taken. */
  async #gradient(batch: Feeds, rest: Feeds): Promise<Record<string, Tensor>> {
    if (!this.#isShared) return this.#run('gradient', { ...batch, ...rest });
    const { workers = 1, threads = 1 } = this.#options;
    this.#shares ??= openRowShares(this.#step.gradient, workers, openInWorker, threads);
    return (await this.#shares).run(batch, rest);
  }

  async #run(which: keyof Graphs, feeds: Feeds): Promise<Record<string, Tensor>> {
    let session = this.#sessions.get(which);
    if (session === undefined) {
      const { open = openSession, threads } = this.#options;
      session = open(writeGraph(this.#step[which]), { threads });
      this.#sessions.set(which, session);
    }
    return (await session).run(feeds);
  }

  /**
   * Loss and reported scalars of a batch, with the weights or with their averages; nothing is trained. Throws
   * `INVALID_ARGUMENT` for averages where none are kept, and what a session's `run` throws.
   */
  async measure(batch: Feeds, weights: 'current' | 'averaged' = 'current'): Promise<Omit<StepResult, 'gradientNorm'>> {
    const outputs = await this.#run('forward', {
      ...batch,
      ...(weights === 'averaged' ? this.averaged() : this.weights()),
    });
    const { loss, report } = this.#step;
    return {
      loss: scalar(outputs[loss]),
      reported: Object.fromEntries(report.map((name) => [name, scalar(outputs[name])])),
    };
  }

  /** The trained weights by name. They are read only. */
  weights(): Record<string, Tensor> {
    return this.#fed(this.#step.weights.map(({ weight }) => weight));
  }

  /** The averages of the weights, by the weights' names. Throws `INVALID_ARGUMENT` where none are kept. */
  averaged(): Record<string, Tensor> {
    return Object.fromEntries(
      this.#step.weights.map(({ weight, average }) => {
        if (average) return [weight.name, this.#state.get(average.name) as Tensor];
        throw new IsthmusError('INVALID_ARGUMENT', 'no average of the weights is kept; open with average: 0.999');
      }),
    );
  }

  /** All that training goes on from. The tensors are read only. */
  save(): TrainerState {
    return { step: this.#done, tensors: Object.fromEntries(this.#state) };
  }

  /** Goes on from a state that a trainer of the same graph and options saved. Throws `CHECKPOINT_FOREIGN` for another's. */
  restore({ step, tensors }: TrainerState): void {
    const names = Object.keys(tensors);
    const fits =
      names.length === this.#kept.length &&
      this.#kept.every(({ name, initial }) => Object.hasOwn(tensors, name) && sameForm(tensors[name], initial));
    if (!fits) {
      throw new IsthmusError(
        'CHECKPOINT_FOREIGN',
        'the state has other tensors than this training keeps; go on with the graph and options that it was saved with',
      );
    }
    this.#state = new Map(this.#kept.map(({ name }) => [name, tensors[name]]));
    this.#done = step;
  }

  /** Frees the sessions and ends the workers. */
  async release(): Promise<void> {
    const opened = await Promise.allSettled([...this.#sessions.values(), ...(this.#shares ? [this.#shares] : [])]);
    await Promise.all(opened.map((each) => (each.status === 'fulfilled' ? each.value.release() : undefined)));
  }
}

type Graphs = Pick<TrainingStep, 'whole' | 'gradient' | 'apply' | 'forward'>;

function checkWorkers({ workers = 1 }: TrainerOptions): void {
  if (Number.isInteger(workers) && workers >= 1) return;
  throw new IsthmusError('INVALID_ARGUMENT', `workers is a whole number of at least 1, got ${workers}`);
}

function scalar(value: Tensor): number {
  return Number(value.data[0]);
}

function sameForm(a: Tensor, b: Tensor): boolean {
  return (
    a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((length, i) => length === b.shape[i])
  );
}
