import type { Session } from '../runtime/index.ts';
import type { Conditions } from './conditions.ts';
import type { Cut } from './cuts.ts';
import { Features } from './features.ts';

/** The heads of a run, each opened once: tasks share those of their trunk. */
export class Heads {
  readonly #run: Conditions;
  readonly #sessions: Session[] = [];
  readonly #features = new Map<string, Features>();

  constructor(run: Conditions) {
    this.#run = run;
  }

  async features({ headHash, headModel, tensors }: Cut): Promise<Features> {
    const known = this.#features.get(headHash);
    if (known) return known;
    const { open, suite, store, cache } = this.#run;
    const session = await open(headModel);
    this.#sessions.push(session);
    const features = new Features({ session, hash: headHash, cut: tensors }, suite.input, store, cache);
    this.#features.set(headHash, features);
    return features;
  }

  async release(): Promise<void> {
    await releaseAll(this.#sessions);
  }
}

/** Frees models. */
export async function releaseAll(all: readonly { release(): Promise<void> }[]): Promise<void> {
  await Promise.all(all.map((each) => each.release()));
}
