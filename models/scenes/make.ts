import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { program } from 'commander';
import { KINDS } from '../../fixtures/scenes/kind.ts';
import { ANSWERS, CAPTION_WORDS, WORDS } from '../../fixtures/scenes/language/index.ts';
import { COLOURS, MATERIALS, SHAPES, SIZES } from '../../fixtures/scenes/scene.ts';
import { saveGraph } from '../../src/onnx/index.ts';
import { captioningTail, classificationTail, objectsTail, trunk, vqaTail } from './architecture.ts';

/** Tokens of a caption after its start, and words of a question, at most. */
const CAPTION_TOKENS = 20;
const QUESTION_TOKENS = 24;

/** The models of the scenes before training, with `suite.json` and what it names but for the data: what `isthmus finetune` starts from. */
async function make(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const json = (name: string, value: unknown) => writeFile(join(folder, name), `${JSON.stringify(value, null, 1)}\n`);
  await json('labels.json', KINDS);
  await json('captioning.vocab.json', CAPTION_WORDS);
  await json('vqa.vocab.json', { vocab: WORDS, answers: ANSWERS });
  await json('suite.json', SUITE);
  const models = {
    trunk: trunk(),
    classification: classificationTail(KINDS.length),
    captioning: captioningTail(CAPTION_WORDS.length, CAPTION_TOKENS),
    vqa: vqaTail(WORDS.length, ANSWERS.length, QUESTION_TOKENS),
    objects: objectsTail({
      shape: SHAPES.length + 1,
      colour: COLOURS.length,
      size: SIZES.length,
      material: MATERIALS.length,
      centre: 3,
    }),
  };
  for (const [name, graph] of Object.entries(models)) await saveGraph(graph, join(folder, `${name}.onnx`));
}

const SUITE = {
  name: 'scenes',
  input: {
    name: 'pixels',
    width: 128,
    height: 128,
    layout: 'NCHW',
    order: 'RGB',
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  },
  trunk: 'trunk.onnx',
  tasks: {
    classification: {
      tail: 'classification.onnx',
      labels: 'labels.json',
      data: 'classification/{split}.json',
      score: 'top1',
    },
    captioning: {
      tail: 'captioning.onnx',
      vocabulary: 'captioning.vocab.json',
      data: 'captioning/{split}.json',
      score: 'bleu4',
      beam: 3,
      maxTokens: CAPTION_TOKENS,
    },
    vqa: {
      tail: 'vqa.onnx',
      vocabulary: 'vqa.vocab.json',
      data: 'vqa/{split}.json',
      score: 'accuracy',
      maxTokens: QUESTION_TOKENS,
    },
  },
  cuts: { 'after block 2': 'block2/output', 'after block 4': 'block4/output' },
};

program
  .name('make')
  .description('Writes the untrained models of the scenes, with suite.json and vocabularies.')
  .requiredOption('--out <DIR>', 'the folder to write')
  .action(({ out }: { out: string }) => make(out));
await program.parseAsync();
