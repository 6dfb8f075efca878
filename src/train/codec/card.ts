import type { Codec } from '../../codec/index.ts';
import type { Point } from '../../evaluate/index.ts';
import { identity } from '../../packet/index.ts';
import { madeBy, type Provenance } from '../provenance.ts';
import type { HeldOut } from './held-out.ts';
import type { Learned } from './job.ts';
import type { TrainRecipe } from './recipe.ts';
import { latentsOf } from './transform.ts';

/** A codec with what was measured of it: a suite's points, or a classifier's held-out pictures. */
export interface MeasuredCodec {
  readonly file: string;
  readonly step: number;
  readonly codec: Codec;
  readonly points: readonly Point[];
  readonly heldOut?: HeldOut;
}

export interface CardFacts {
  readonly recipe: TrainRecipe;
  readonly learned: Learned;
  readonly measured: readonly MeasuredCodec[];
  readonly provenance: Provenance;
}

/** The card of trained codecs, Markdown: what they are, what they scored, how they were made. */
export function cardOf({ recipe, learned, measured, provenance }: CardFacts): string {
  const [{ codec }] = measured;
  const latents = latentsOf(learned.transform).map(
    ({ name, vectors, components }) => `\`${name}\` [${vectors}, ${components}]`,
  );
  const [{ name, shape }] = codec.features;
  return [
    `# Trained codecs for \`${name}\``,
    '',
    `Of ${codec.model?.name}, a feature [${shape.join(', ')}]; latents ${latents.join(' and ')}; ${learned.parameters} numbers trained for ` +
      `${recipe.schedule.steps} steps of ${recipe.schedule.batch} on ${learned.pictures} pictures in ${recipe.data.versions} versions, ` +
      `${Math.round(provenance.seconds / 60)} minutes of steps.`,
    '',
    ...table(measured),
    '',
    ...madeBy(provenance, recipe),
  ].join('\n');
}

function table(measured: readonly MeasuredCodec[]): string[] {
  const rows = measured.flatMap(({ file, step, codec, points, heldOut }) => {
    const start = [`\`${file}\``, identity(codec.id), `${step}`];
    if (heldOut) {
      return [
        [
          ...start,
          'held out',
          `${heldOut.pictures}`,
          heldOut.bytes.toFixed(0),
          '',
          '',
          (100 * heldOut.agreement).toFixed(1),
        ],
      ];
    }
    return points.map(({ task, images, bytes, score, loss, lossLow, lossHigh, agreement }) => [
      ...start,
      task,
      `${images}`,
      bytes.toFixed(0),
      score.toFixed(2),
      `${loss.toFixed(2)} [${lossLow.toFixed(1)}, ${lossHigh.toFixed(1)}]`,
      agreement.toFixed(1),
    ]);
  });
  const head = ['file', 'identity', 'step', 'task', 'pictures', 'bytes', 'score', 'loss [95 %]', 'same answers %'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
