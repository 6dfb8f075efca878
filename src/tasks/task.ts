import type { Tensor } from '../tensor.ts';

/**
 * The tail of a task, ready to answer for a batch of images. What depends on the feature alone (keys and values of a
 * cross-attention, say) is computed once by `begin`; `logits` runs what depends on tokens too.
 */
export interface Tail {
  /** Tensors at the cut, batch first, to what every later step needs; its tensors are batch first too. */
  begin(feature: readonly Tensor[]): Promise<readonly Tensor[]>;
  /**
   * Logits of the task's model. `state` has as many rows as `tokens`; a task without tokens gives none. Of a model that
   * gives logits for every position of the tokens, `[rows, length, width]`, the last position's are enough.
   */
  logits(state: readonly Tensor[], tokens?: Tensor): Promise<Tensor>;
  release(): Promise<void>;
}

/** A score that adds up over images, so that it can be bootstrapped: sums of statistics, then one function of the sums. */
export interface Metric<Answer, Truth> {
  readonly name: string;
  /** Length of a vector of statistics. */
  readonly size: number;
  /** What one answer adds. */
  statistics(answer: Answer, truth: Truth): Float64Array;
  /** Points of 100 from the sums over all answers. */
  score(sums: Float64Array): number;
}

/** What a tail is given so that one run shows the probabilities of every choice that answers are made of. */
export interface Teaching {
  /** Image of each row. */
  readonly images: readonly number[];
  /** int64 `[rows, length]`, where the tail takes tokens. */
  readonly tokens?: Tensor;
  /** Positions of each row whose logits choose a token; absent where a row's logits are one choice. */
  readonly choices?: readonly number[];
}

/** A truth as a model is trained on it: what the tail is given, and which choices are right then. */
export interface Lesson {
  /** Ids, where the tail takes tokens. */
  readonly tokens?: readonly number[];
  /** The right choice of a row, or one for each of `tokens`. */
  readonly labels: readonly number[];
}

/** How answers are read from a tail's output, and how they are scored. `Ask` is a question, or null where there is none. */
export interface Task<Ask, Answer, Truth> {
  readonly name: 'classification' | 'captioning' | 'vqa';
  /** Answers for a batch: `asks[i]` are asked of image i (one null where the task asks nothing). */
  answer(tail: Tail, feature: readonly Tensor[], asks: readonly (readonly Ask[])[]): Promise<Answer[][]>;
  /** The rows in which a loss is taken of what is asked, the model's own answers before each choice. */
  teach(tail: Tail, feature: readonly Tensor[], asks: readonly (readonly Ask[])[]): Promise<Teaching>;
  /** What training is told of an ask and its truth, one for each way to say it; none where the model has no such answer. */
  lessons(ask: Ask, truth: Truth): Lesson[];
  /** Metrics, the one that losses are reported in first. */
  readonly metrics: readonly Metric<Answer, Truth>[];
  /** Bytes that send this answer itself: what "answer on the device" costs. */
  answerBytes(answer: Answer): number;
  /** An answer as people read it. */
  text(answer: Answer): string;
  /** What people say themselves, each once, what most of them say first. */
  truthTexts(truth: Truth): readonly string[];
  /** What one answer scores by itself, 0 to 1; null where a score needs more than one (captions). */
  credit(answer: Answer, truth: Truth): number | null;
  /** Whether two answers say the same (for agreement with the reference). */
  same(a: Answer, b: Answer): boolean;
}
