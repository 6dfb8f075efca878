import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { openGraph, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import {
  modelsOf,
  openSuite,
  openTail,
  openTask,
  prepare,
  type SuiteAnswer,
  type SuiteAsk,
  stackRows,
  type TaskName,
} from '../../src/tasks/index.ts';
import { generator, type Random, TINY, tinyCaptioning, tinyClassification, tinyTrunk, tinyVqa } from './tiny-graphs.ts';

/** Tensors of the tiny trunk where its suite cuts. */
export const TINY_CUT = '/blocks/blocks.0/Add_1_output_0';

const WORDS = [
  'a',
  'the',
  'red',
  'green',
  'blue',
  'dark',
  'bright',
  'square',
  'circle',
  'stripe',
  'on',
  'near',
  'with',
];
const CAPTION_WORDS = ['<pad>', '<start>', '<end>', '<unk>', ...WORDS];
const QUESTION_WORDS = ['<pad>', '<unk>', 'what', 'colour', 'is', 'how', 'many', 'where', 'it', ...WORDS];
const ANSWERS = ['red', 'green', 'blue', '1', '2', '3', 'left', 'right', 'none'];
const LABELS = Array.from({ length: 12 }, (_, i) => `class ${i}`);
const QUESTIONS = [
  { question: 'what colour is it', type: 'colour' },
  { question: 'how many', type: 'count' },
  { question: 'where is the square', type: 'other' },
];
/** Truths that differ from what the models answer, so that no score is perfect. */
const WRONG = 0.2;

const SUITE = {
  name: 'tiny',
  input: {
    name: 'pixels',
    width: TINY.side,
    height: TINY.side,
    layout: 'NCHW',
    order: 'RGB',
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  },
  trunk: 'models/trunk.onnx',
  tasks: {
    classification: {
      tail: 'models/classification.onnx',
      labels: 'classification/labels.json',
      data: 'classification/{split}.json',
      score: 'top1',
    },
    captioning: {
      tail: 'models/captioning.onnx',
      vocabulary: 'models/captioning.vocab.json',
      data: 'captioning/{split}.json',
      score: 'bleu4',
      beam: 3,
      maxTokens: 10,
    },
    vqa: {
      tail: 'models/vqa.onnx',
      vocabulary: 'models/vqa.vocab.json',
      data: 'vqa/{split}.json',
      score: 'accuracy',
      maxTokens: 8,
    },
  },
  cuts: { 'after block 1': TINY_CUT, 'after block 2': 'features' },
};

export interface TinySuiteOptions {
  /** Images of each split, shared by the tasks; 24 by default. */
  readonly images?: number;
  /** `train` and `val` by default. */
  readonly splits?: readonly string[];
}

/**
 * Writes a folder laid out like a suite of real photos: a vision transformer of 17 tokens x 16 numbers with random
 * weights, three tails, and pictures of coloured shapes. The truths are what the models answer, four times in five.
 * The same seed writes the same folder.
 */
export async function makeTinySuite(dir: string, seed = 1, options: TinySuiteOptions = {}): Promise<void> {
  const { images = 24, splits = ['train', 'val'] } = options;
  const random = generator(seed);
  const write = async (path: string, content: Uint8Array | string) => {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), content);
  };
  const json = (path: string, value: unknown) => write(path, JSON.stringify(value, null, 1));

  await write('models/trunk.onnx', writeGraph(tinyTrunk(random)));
  await write('models/classification.onnx', writeGraph(tinyClassification(random, LABELS.length)));
  await write('models/captioning.onnx', writeGraph(tinyCaptioning(random, CAPTION_WORDS.length)));
  await write('models/vqa.onnx', writeGraph(tinyVqa(random, QUESTION_WORDS.length, ANSWERS.length)));
  await json('models/captioning.vocab.json', CAPTION_WORDS);
  await json('models/vqa.vocab.json', { vocab: QUESTION_WORDS, answers: ANSWERS });
  await json('classification/labels.json', LABELS);
  await json('suite.json', SUITE);

  for (const split of splits) {
    const names: string[] = [];
    for (let i = 0; i < images; i++) {
      // PNG keeps every pixel; JPEG is what photos come in.
      names.push(`images/${split}/${String(i).padStart(4, '0')}.${i % 2 === 0 ? 'png' : 'jpg'}`);
      await write(names[i], await picture(random, names[i]));
    }
    const answer = await answerer(dir, names);
    const truth = <T>(given: T, others: readonly T[]): T => (random() < WRONG ? pick(random, others) : given);
    const classes = await answer('classification', () => [null]);
    await json(
      `classification/${split}.json`,
      names.map((image, i) => ({
        image,
        label: truth(
          (classes[i][0] as { index: number }).index,
          LABELS.map((_, l) => l),
        ),
      })),
    );
    const captions = await answer('captioning', () => [null]);
    await json(
      `captioning/${split}.json`,
      names.map((image, i) => {
        const { caption } = captions[i][0] as { caption: string };
        const reworded = () =>
          caption
            .split(' ')
            .map((word) => truth(word, WORDS))
            .join(' ');
        return { image, captions: Array.from({ length: 5 }, reworded) };
      }),
    );
    const asked = (i: number) => QUESTIONS.slice(0, 1 + (i % QUESTIONS.length));
    const replies = await answer('vqa', (i) => asked(i).map(({ question }) => question));
    await json(
      `vqa/${split}.json`,
      names.map((image, i) => ({
        image,
        questions: asked(i).map((entry, j) => ({
          ...entry,
          answers: [truth((replies[i][j] as { answer: string }).answer, ANSWERS)],
        })),
      })),
    );
  }
}

/** What the models of the suite say of pictures. */
async function answerer(dir: string, names: readonly string[]) {
  const suite = await openSuite(dir);
  const pixels = stackRows(await Promise.all(names.map((name) => prepare(join(dir, name), suite.input))));
  const trunk = await openOnnxRuntimeNode(join(dir, 'models/trunk.onnx'), { threads: 1 });
  const { features } = await trunk.run({ pixels });
  await trunk.release();
  return async (task: TaskName, asks: (i: number) => readonly SuiteAsk[]): Promise<SuiteAnswer[][]> => {
    const graph = await openGraph(modelsOf(suite, task)[1]);
    const tail = await openTail(graph, ['features'], openOnnxRuntimeNode, { threads: 1 });
    const answers = await (await openTask(suite, task)).answer(
      tail,
      [features],
      names.map((_, i) => asks(i)),
    );
    await tail.release();
    return answers;
  };
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)];
}

/** A background, a rectangle, an ellipse and some noise, so that compressing it is neither trivial nor hopeless. */
async function picture(random: Random, name: string): Promise<Uint8Array> {
  const { side } = TINY;
  const data = new Uint8Array(side * side * 3);
  const shape = () => ({
    colour: [random() * 255, random() * 255, random() * 255],
    x: random() * side,
    y: random() * side,
    width: 4 + random() * 12,
    height: 4 + random() * 12,
  });
  const [ground, rectangle, ellipse] = [shape(), shape(), shape()];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const away = ({ x: cx, y: cy, width, height }: typeof ground) => [(x - cx) / width, (y - cy) / height];
      const [rx, ry] = away(rectangle);
      const [ex, ey] = away(ellipse);
      const { colour } =
        ex * ex + ey * ey < 1 ? ellipse : Math.max(Math.abs(rx), Math.abs(ry)) < 1 ? rectangle : ground;
      const noise = (random() - 0.5) * 24;
      for (let channel = 0; channel < 3; channel++) {
        data[(y * side + x) * 3 + channel] = Math.max(0, Math.min(255, colour[channel] + noise));
      }
    }
  }
  const image = sharp(data, { raw: { width: side, height: side, channels: 3 } });
  return name.endsWith('.png') ? image.png().toBuffer() : image.jpeg({ quality: 95 }).toBuffer();
}
