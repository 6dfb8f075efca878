import { IsthmusError } from '../../errors.ts';
import { decodePixels, type InputSpec, pixelsToTensor, stackRows } from '../../tasks/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import { type Augmentation, augmentedPixels, parseAugmentation } from './augment.ts';
import { type Turn, turnsOf } from './order.ts';
import type { Picture } from './pictures.ts';

export interface BatchesOptions {
  readonly pictures: readonly Picture[];
  /** How pixels become the model's input; its `name` is the name that they are given by. */
  readonly input: InputSpec;
  /** Pictures a batch; may be more than there are. */
  readonly batch: number;
  /** Decides order and variations. */
  readonly seed: number;
  /** How pictures are varied, anew in every epoch; as inference sees them where absent. */
  readonly augmentation?: Augmentation;
  /** Batches that are decoded in other threads while earlier ones are worked on; 1 by default. */
  readonly ahead?: number;
}

/** Prepared pictures in shuffled batches, decoded when they are needed. */
export interface Batches {
  /** Steps until each picture came once; the last of them may begin the next epoch. */
  readonly stepsPerEpoch: number;
  /**
   * The batch of a step from 0 on, in any order of steps: pixels, float32 `[batch, …]`, by the input's name, and `labels`,
   * int64 `[batch]`, where every picture has one. The same seed and step give the same bits. Throws what
   * `decodePixels` throws for a picture that went bad since it was read.
   */
  batch(step: number): Promise<Record<string, Tensor>>;
}

/** Throws `INVALID_ARGUMENT` for no pictures, a batch that is no whole number of at least 1, an augmentation out of range. */
export function batches(options: BatchesOptions): Batches {
  const { pictures, batch, seed, ahead = 1 } = options;
  if (pictures.length === 0) throw new IsthmusError('INVALID_ARGUMENT', 'there is no picture to make batches of');
  if (!(Number.isInteger(batch) && batch >= 1)) {
    throw new IsthmusError('INVALID_ARGUMENT', `a batch is a whole number of at least 1, got ${batch}`);
  }
  if (options.augmentation) parseAugmentation(options.augmentation);
  const turns = turnsOf(pictures.length, batch, seed);
  const labelled = pictures.every(({ label }) => label !== undefined);
  const decoding = new Map<number, Promise<Record<string, Tensor>>>();
  const start = (step: number) => {
    const begun = decoding.get(step) ?? made(options, turns(step), labelled);
    // Whoever asks for that step gets the error; until then it is nobody's.
    begun.catch(() => undefined);
    decoding.set(step, begun);
    return begun;
  };
  return {
    stepsPerEpoch: Math.ceil(pictures.length / batch),
    async batch(step) {
      if (!(Number.isSafeInteger(step) && step >= 0)) {
        throw new IsthmusError('INVALID_ARGUMENT', `a step is a whole number of at least 0, got ${step}`);
      }
      for (const other of decoding.keys()) if (other < step || other > step + ahead) decoding.delete(other);
      const wanted = start(step);
      for (let next = step + 1; next <= step + ahead; next++) start(next);
      return wanted.finally(() => decoding.delete(step));
    },
  };
}

async function made(
  { pictures, input, seed, augmentation }: BatchesOptions,
  turns: readonly Turn[],
  labelled: boolean,
): Promise<Record<string, Tensor>> {
  const rows = await Promise.all(
    turns.map(async ({ item, epoch }) => {
      const { path, hash } = pictures[item];
      const pixels = augmentation
        ? await augmentedPixels(path, input, augmentation, { seed, version: epoch, hash })
        : await decodePixels(path, input);
      return pixelsToTensor(pixels, input);
    }),
  );
  const batch = { [input.name]: stackRows(rows) };
  if (!labelled) return batch;
  const labels = turns.map(({ item }) => pictures[item].label as number);
  return { ...batch, labels: tensor('int64', [labels.length], BigInt64Array.from(labels, BigInt)) };
}
