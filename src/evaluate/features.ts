import type { Session } from '../runtime/index.ts';
import { gatherRows, type InputSpec, type Pixels, pixelsToTensor, stackRows } from '../tasks/index.ts';
import { asFloat, type Tensor } from '../tensor.ts';
import { type Cache, cacheKey, packTensors, unpackTensors } from './cache.ts';
import type { Input, PixelStore } from './inputs.ts';
import { batchesOf, median, throwIfAborted } from './measure.ts';

/** A head with what identifies its outputs. */
export interface Head {
  readonly session: Session;
  /** SHA-256 of the head's model bytes. */
  readonly hash: string;
  /** Tensors at the cut, in order. */
  readonly cut: readonly string[];
}

export interface FeatureOptions {
  readonly batch: number;
  readonly signal?: AbortSignal;
  readonly onImages?: (count: number) => void;
}

/** Pixels of images as a head takes them, one after the other, in its own float type. */
export function feedOf({ session }: Head, spec: InputSpec, pixels: readonly Pixels[]): Tensor {
  const { dtype = 'float32' } = session.inputs.find(({ name }) => name === spec.name) ?? {};
  return asFloat(stackRows(pixels.map((each) => pixelsToTensor(each, spec))), dtype);
}

/** The tensors at the cut, in order; the input itself where that is one of them. */
export async function runHead({ session, cut }: Head, spec: InputSpec, feed: Tensor): Promise<Tensor[]> {
  const outputs = await session.run({ [spec.name]: feed });
  return cut.map((name) => (name === spec.name ? feed : outputs[name]));
}

/** What a head makes of images, through the cache: computed once for a head, an image and a preparation. */
export class Features {
  readonly #head: Head;
  readonly #spec: InputSpec;
  readonly #store: PixelStore;
  readonly #cache: Cache;
  readonly #times: number[] = [];

  constructor(head: Head, spec: InputSpec, store: PixelStore, cache: Cache) {
    this.#head = head;
    this.#spec = spec;
    this.#store = store;
    this.#cache = cache;
  }

  /** Milliseconds of the head an image, the median over the batches that it ran in this run. */
  get headMs(): number {
    return median(this.#times);
  }

  /**
   * Runs the head, in batches, on the images whose feature is not kept yet; where all are kept, on one batch for its time
   * alone. Throws `ABORTED` between batches.
   */
  async fill(inputs: readonly Input[], { batch, signal, onImages }: FeatureOptions): Promise<void> {
    const missing: Input[] = [];
    for (const input of inputs) {
      if ((await this.#kept(input)) === undefined) missing.push(input);
      else onImages?.(1);
    }
    if (missing.length === 0 && this.#times.length === 0) await this.run(inputs.slice(0, batch));
    for (const part of batchesOf(missing, batch)) {
      throwIfAborted(signal);
      const features = await this.run(part);
      await Promise.all(
        part.map((input, row) =>
          this.#cache.write(
            'features',
            this.#key(input),
            packTensors(part.length === 1 ? features : features.map((whole) => gatherRows(whole, [row]))),
          ),
        ),
      );
      onImages?.(part.length);
    }
  }

  /** The feature of one image, at batch 1. */
  async of(input: Input): Promise<Tensor[]> {
    const kept = await this.#kept(input);
    if (kept) return kept;
    const feature = await this.run([input]);
    await this.#cache.write('features', this.#key(input), packTensors(feature));
    return feature;
  }

  /** Runs the head on a batch and notes the time. */
  async run(inputs: readonly Input[]): Promise<Tensor[]> {
    const pixels = await Promise.all(inputs.map(({ path }) => this.#store.pixels(path)));
    const feed = feedOf(this.#head, this.#spec, pixels);
    const start = performance.now();
    const feature = await runHead(this.#head, this.#spec, feed);
    this.#times.push((performance.now() - start) / inputs.length);
    return feature;
  }

  /** Everything but the image that decides a feature. */
  get identity(): readonly unknown[] {
    return [this.#head.hash, this.#head.cut, this.#head.session.runtime, this.#spec];
  }

  #key(input: Input): string {
    return cacheKey(['features', ...this.identity, input.hash]);
  }

  async #kept(input: Input): Promise<Tensor[] | undefined> {
    const bytes = await this.#cache.read('features', this.#key(input));
    return bytes && unpackTensors(bytes);
  }
}
