import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cache } from '../../evaluate/index.ts';
import { ENTROPY_ROWS, type LearnJob, type LearnProgress } from './job.ts';
import { learnCodecs } from './learn.ts';
import { latentsOf } from './transform.ts';

/** What a training would take. */
export interface Rehearsal {
  /** The tensor at the cut, at batch 1. */
  readonly feature: { readonly name: string; readonly shape: readonly number[] };
  readonly latents: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** Numbers that are trained. */
  readonly parameters: number;
  /** Bytes of a codec file. */
  readonly codecBytes: number;
  readonly pictures: number;
  /** Bytes on disk of features and answers. */
  readonly cacheBytes: number;
  /** Resident memory of this process at its largest, in bytes, and seconds of a step: as in the steps tried. */
  readonly memoryBytes: number;
  readonly secondsAStep: number;
  /** Seconds of each stage. */
  readonly seconds: Readonly<Record<LearnProgress['stage'], number>>;
}

/** Steps that are tried; the first of them opens the session and does not count. */
const STEPS = 4;

/**
 * Carries a recipe out on as many pictures as a batch has, for a few steps, in a temporary folder, and tells from that what the
 * whole would take; nothing of it is kept. Throws what {@link learnCodecs} throws.
 */
export async function rehearse(job: LearnJob): Promise<Rehearsal> {
  const { recipe } = job;
  const few = Math.max(2, Math.min(recipe.schedule.batch, job.pictures.length));
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-rehearsal-'));
  const spent = new Map<LearnProgress['stage'], { begin: number; end: number; rows: number }>();
  const steps: number[] = [];
  const cache = new Cache(folder);
  try {
    const { codecs, transform, parameters } = await learnCodecs({
      ...job,
      recipe: {
        ...recipe,
        data: { ...recipe.data, versions: 1 },
        schedule: { ...recipe.schedule, steps: STEPS, warmup: 0 },
        start: few,
      },
      pictures: job.pictures.slice(0, few),
      cache,
      files: undefined,
      resume: false,
      onProgress: (progress) => {
        const now = performance.now();
        const seen = spent.get(progress.stage) ?? { begin: now, end: now, rows: 0 };
        spent.set(progress.stage, { ...seen, end: now, rows: progress.done });
        if (progress.stage === 'training') steps.push(now);
      },
    });
    const kept = (await cache.size()).bytes;
    const pictures = job.pictures.length;
    const rows = pictures * recipe.data.versions;
    const secondsAStep = (steps[steps.length - 1] - steps[0]) / 1000 / (STEPS - 1);
    const totals: Readonly<Record<LearnProgress['stage'], number>> = {
      pictures,
      features: rows,
      words: pictures,
      answers: rows,
      start: Math.min(recipe.start, pictures),
      training: recipe.schedule.steps,
      'entropy models': Math.min(rows, ENTROPY_ROWS),
    };
    const secondsOf = (stage: LearnProgress['stage']): number => {
      if (stage === 'training') return secondsAStep * recipe.schedule.steps;
      const { begin, end, rows: done } = spent.get(stage) ?? { begin: 0, end: 0, rows: 1 };
      return ((end - begin) / 1000 / Math.max(1, done)) * totals[stage];
    };
    const [{ codec }] = codecs;
    return {
      feature: { name: job.cut, shape: codec.features[0].shape },
      latents: latentsOf(transform).map(({ name, vectors, components }) => ({ name, shape: [1, vectors, components] })),
      parameters,
      codecBytes: codec.toBytes().length,
      pictures,
      cacheBytes: Math.round((kept / few) * rows),
      memoryBytes: process.resourceUsage().maxRSS * 1024,
      secondsAStep,
      seconds: Object.fromEntries(
        (Object.keys(totals) as LearnProgress['stage'][]).map((stage) => [stage, secondsOf(stage)]),
      ) as Rehearsal['seconds'],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
