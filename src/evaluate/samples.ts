import { relative } from 'node:path';
import { decodePixels, type Pixels } from '../tasks/index.ts';
import type { Bed } from './bed.ts';
import type { Conditions } from './conditions.ts';
import type { Evidence, ShownAnswer } from './evidence.ts';
import type { Log } from './log.ts';
import { encodePicture, type PictureFormat } from './pictures.ts';
import type { Point } from './point.ts';
import { sample } from './statistics.ts';

/** What a way answered to one question, at one of its points. */
export interface SampleAnswer extends ShownAnswer {
  /** Place in the points of the run. */
  readonly point: number;
  /** Bytes that were sent for this image. */
  readonly bytes: number;
}

/** What is asked of an image, and everything that was answered. */
export interface SampleAsked {
  /** The question; null where the task asks nothing. */
  readonly ask: string | null;
  /** What people say, the most of them first. */
  readonly truths: readonly string[];
  readonly reference: ShownAnswer;
  readonly answers: readonly SampleAnswer[];
}

/** An image of a task with what was answered to it. */
export interface Sample {
  readonly task: string;
  /** Its file, relative to the suite's folder. */
  readonly image: string;
  /** Drawn by seed, or for being where the most answers changed. */
  readonly chosen: 'drawn' | 'most changed';
  /** A small WebP file of the pixels that the model takes. */
  readonly picture: Uint8Array;
  readonly asked: readonly SampleAsked[];
}

/** Questions of an image that are shown at most. */
const MOST_ASKED = 3;

/** Longer side of a picture in a report, in pixels at most. */
const PICTURE_SIDE = 256;
const PICTURE_FORMAT: PictureFormat = { way: 'webp', chroma: null, qualities: [], first: [0, 0] };
const PICTURE_QUALITY = 75;

/**
 * `count` images of each task with all their answers so far: half of them drawn by seed, half those where the most
 * answers are not the uncut model's (the earlier image where two are level).
 */
export async function samplesOf(run: Conditions, log: Log, count: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const bed of log.beds) {
    const findings = log.points.flatMap((point, at) =>
      point.task === bed.name ? [{ point, at, evidence: log.evidence[at] }] : [],
    );
    for (const { image, chosen } of choose(
      bed,
      findings.map(({ evidence }) => evidence),
      count,
      run.seed,
    )) {
      samples.push({
        task: bed.name,
        image: relative(run.suite.dir, bed.inputs[image].path),
        chosen,
        picture: await smallPicture(await run.store.pixels(bed.inputs[image].path)),
        asked: askedOf(bed, findings, image),
      });
    }
  }
  return samples;
}

/** Images by place, each with why it is shown. */
export function choose(
  { inputs }: Pick<Bed, 'inputs'>,
  evidence: readonly Evidence[],
  count: number,
  seed: number,
): { readonly image: number; readonly chosen: Sample['chosen'] }[] {
  const drawn = sample([...inputs.keys()], Math.ceil(count / 2), seed);
  const changes = inputs.map((_, image) =>
    evidence.reduce((sum, { answers }) => sum + answers[image].filter(({ same }) => !same).length, 0),
  );
  const changed = [...inputs.keys()]
    .filter((image) => changes[image] > 0 && !drawn.includes(image))
    .sort((a, b) => changes[b] - changes[a])
    .slice(0, Math.floor(count / 2));
  return [
    ...drawn.map((image) => ({ image, chosen: 'drawn' as const })),
    ...changed.map((image) => ({ image, chosen: 'most changed' as const })),
  ];
}

function askedOf(
  { task, inputs, answers }: Bed,
  findings: readonly { readonly point: Point; readonly at: number; readonly evidence: Evidence }[],
  image: number,
): SampleAsked[] {
  const { asks, truths } = inputs[image];
  return asks.slice(0, MOST_ASKED).map((ask, j) => ({
    ask: typeof ask === 'string' ? ask : null,
    truths: task.truthTexts(truths[j]),
    reference: {
      text: task.text(answers[image][j]),
      same: true,
      credit: task.credit(answers[image][j], truths[j]),
    },
    answers: findings.map(({ at, evidence }) => ({
      ...evidence.answers[image][j],
      point: at,
      bytes: evidence.sizes[image],
    })),
  }));
}

async function smallPicture(pixels: Pixels): Promise<Uint8Array> {
  const scale = Math.min(1, PICTURE_SIDE / Math.max(pixels.width, pixels.height));
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const small = await decodePixels(pixels, { width: side(pixels.width), height: side(pixels.height) });
  return encodePicture(small, PICTURE_FORMAT, PICTURE_QUALITY);
}
