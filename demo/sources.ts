import { drawScene, questionsOf } from '../fixtures/scenes/index.ts';
import type { Manifest } from '../src/demo/wire.ts';
import type { Sight } from './device-worker.ts';
import { checkPixels, unreadable } from './picture.ts';
import { ask, Problem } from './problem.ts';

/** A picture that was chosen, and what is said of it. */
export interface Choice {
  readonly sight: Sight;
  readonly about: string;
  /** Questions that can be asked of it, beside those that are typed. */
  readonly questions: readonly string[];
}

/** Scenes of a split of their own: no model was trained or measured on them. */
const SPLIT = 'demo';
const SCENES = 1_000_000;

/** Gives one scene or picture of the suite after the other, from a random one on; null where it has none to give. */
export function samplesOf({ pictures, scenes }: Manifest): (() => Promise<Choice>) | null {
  if (scenes) return async () => sceneChoice(Math.floor(Math.random() * SCENES));
  if (pictures.length === 0) return null;
  let place = Math.floor(Math.random() * pictures.length);
  return async () => {
    const { url, name, questions } = pictures[place++ % pictures.length];
    return { sight: await (await ask(url)).blob(), about: name, questions };
  };
}

function sceneChoice(index: number): Choice {
  const sight = drawScene(SPLIT, index);
  const questions = questionsOf(sight, SPLIT, index).map(({ question }) => question);
  return { sight, about: `scene ${index}`, questions: questions.filter((_, i) => i % 2 === 0) };
}

/** A file that was dropped, pasted or opened. Throws a `Problem` for one that is no picture, or too large to be decoded. */
export async function fileChoice(file: File, { limits }: Manifest): Promise<Choice> {
  const { imageBytes, imagePixels } = limits;
  if (file.size > imageBytes) {
    const [size, most] = [file.size, imageBytes].map((bytes) => (bytes / 2 ** 20).toFixed(0));
    throw new Problem(
      'LIMIT_EXCEEDED',
      `the file has ${size} MiB, and ${most} MiB are the most; make it smaller first`,
    );
  }
  checkPixels(await sidesOf(file), imagePixels);
  return { sight: file, about: file.name, questions: [] };
}

/** Width and height as the file's header says; nothing is decoded. Throws a `Problem`. */
async function sidesOf(file: File): Promise<{ width: number; height: number }> {
  const image = new Image();
  const url = URL.createObjectURL(file);
  try {
    await new Promise<void>((resolve, reject) => {
      image.onload = () => resolve();
      image.onerror = () => reject(unreadable());
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(url);
  }
}
