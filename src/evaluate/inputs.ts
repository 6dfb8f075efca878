import { readFile } from 'node:fs/promises';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import { decodePixels, type InputSpec, type Pixels } from '../tasks/index.ts';
import { contentHash } from './cache.ts';
import { type Asked, batchesOf, throwIfAborted } from './measure.ts';

/** An image of a split by its file, with what is asked of it. */
export interface InputItem extends Asked {
  readonly path: string;
}

/** What is known of an image that was read and prepared. */
export interface FileFacts {
  /** SHA-256 of the file. */
  readonly hash: string;
  readonly fileBytes: number;
}

export interface Input extends InputItem, FileFacts {}

export interface BadInput {
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Share of images that a run may skip. */
const BAD_SHARE = 0.01;

/** Pixels that a run keeps decoded; what is above is decoded again when it is needed. */
const KEPT_BYTES = 256 * 2 ** 20;

/** What is wrong with an image itself, not with the machine. */
const BAD_CODES: readonly ErrorCode[] = ['FILE_NOT_FOUND', 'FILE_UNREADABLE', 'IMAGE_UNREADABLE', 'LIMIT_EXCEEDED'];

/** Prepared pixels by path, as many as fit into {@link KEPT_BYTES}. */
export class PixelStore {
  readonly #spec: InputSpec;
  readonly #kept = new Map<string, Pixels>();
  #bytes = 0;

  constructor(spec: InputSpec) {
    this.#spec = spec;
  }

  /** Throws what `decodePixels` throws. */
  async pixels(path: string): Promise<Pixels> {
    const kept = this.#kept.get(path);
    if (kept) return kept;
    const pixels = await decodePixels(path, this.#spec);
    if (this.#bytes + pixels.data.length <= KEPT_BYTES && !this.#kept.has(path)) {
      this.#kept.set(path, pixels);
      this.#bytes += pixels.data.length;
    }
    return pixels;
  }
}

/**
 * Reads and prepares every image once, so that a bad one is known before anything is measured. Bad ones are reported
 * by `onBad` and left out. Throws `ABORTED`.
 */
export async function readInputs<Item extends { readonly path: string }>(
  items: readonly Item[],
  store: Pick<PixelStore, 'pixels'>,
  onBad: (bad: BadInput) => void,
  signal?: AbortSignal,
): Promise<(Item & FileFacts)[]> {
  const inputs: (Item & FileFacts)[] = [];
  for (const batch of batchesOf(items, 8)) {
    throwIfAborted(signal);
    for (const read of await Promise.all(batch.map((item) => readInput(item, store)))) {
      if ('hash' in read) inputs.push(read);
      else onBad(read);
    }
  }
  return inputs;
}

async function readInput<Item extends { readonly path: string }>(
  item: Item,
  store: Pick<PixelStore, 'pixels'>,
): Promise<(Item & FileFacts) | BadInput> {
  try {
    await store.pixels(item.path);
    const bytes = await readFile(item.path);
    return { ...item, hash: contentHash(bytes), fileBytes: bytes.length };
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || !BAD_CODES.includes(thrown.code)) throw thrown;
    return { path: item.path, code: thrown.code, message: thrown.message };
  }
}

/** Throws `TOO_MANY_BAD_INPUTS` where more than one image in a hundred is bad, or none is left. */
export function checkBadShare(bad: readonly BadInput[], all: number): void {
  if (bad.length <= all * BAD_SHARE && bad.length < all) return;
  const first = bad[0] ? `; the first: ${bad[0].message}` : '';
  throw new IsthmusError(
    'TOO_MANY_BAD_INPUTS',
    `${bad.length} of ${all} images are bad, and a run may skip one in a hundred${first}`,
  );
}
