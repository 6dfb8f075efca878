import type { OpenSession } from '../runtime/index.ts';
import type { Suite } from '../tasks/index.ts';
import { type Cache, cacheKey } from './cache.ts';
import type { Finding } from './evidence.ts';
import type { PixelStore } from './inputs.ts';
import type { MeasureOptions } from './measure.ts';
import type { SentPictures } from './pictures.ts';

/** Version of how points are measured: raised when a change makes kept points wrong. */
const MEASURE_VERSION = 2;

/** What stays the same throughout a run. */
export interface Conditions {
  readonly suite: Suite;
  readonly open: OpenSession;
  /** Package and version of what the models run in; known once one is open. */
  readonly runtime: () => string;
  readonly noteRuntime: (runtime: string) => void;
  readonly cache: Cache;
  readonly store: PixelStore;
  /** Pictures that a task has sent, for the next. */
  readonly sent: SentPictures;
  readonly batch: number;
  /** Threads that answer side by side. */
  readonly parallel: number;
  readonly seed: number;
  /** Measure points again that are kept from an earlier run. */
  readonly fresh: boolean;
  readonly signal?: AbortSignal;
  readonly meter: Meter;
}

/** Where a run stands: images sent, over those of all points planned so far. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number;
}

/** Counts images; a ladder that goes on plans more as it goes. */
export class Meter {
  readonly #report: (progress: Progress) => void;
  #label = '';
  #done = 0;
  #total = 0;

  constructor(report: (progress: Progress) => void = () => {}) {
    this.#report = report;
  }

  plan(images: number): void {
    this.#total += images;
  }

  begin(label: string): void {
    this.#label = label;
    this.#tell();
  }

  add(images: number): void {
    this.#done += images;
    this.#total = Math.max(this.#total, this.#done);
    this.#tell();
  }

  #tell(): void {
    this.#report({ label: this.#label, done: this.#done, total: this.#total });
  }
}

/** How the stages of a run see its conditions. */
export function measuring({ batch, signal, meter }: Conditions): MeasureOptions {
  return { batch, signal, onImages: (count) => meter.add(count) };
}

/**
 * A point and its evidence through the journal: kept under everything that decides it, so that a run that was stopped goes on where it
 * was. Times are those of the run that measured it.
 */
export async function journaled(
  { cache, fresh, meter }: Conditions,
  label: string,
  images: number,
  identity: readonly unknown[],
  make: () => Promise<Finding>,
): Promise<Finding> {
  const key = cacheKey(['point', MEASURE_VERSION, ...identity]);
  meter.begin(label);
  const kept = fresh ? undefined : await cache.readJson<Finding>('points', key);
  if (kept) {
    meter.add(images);
    return kept;
  }
  const finding = await make();
  await cache.writeJson('points', key, finding);
  return finding;
}
