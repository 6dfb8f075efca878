import {
  type Codec,
  type CodecSource,
  type FeatureTensor,
  int8DeflateCodec,
  kltCodecs,
  kltStatistics,
  rawCodec,
  stepForRate,
} from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { rowsAreImages } from '../evaluate/cuts.ts';
import {
  type BadInput,
  type Cache,
  checkBadShare,
  Features,
  PixelStore,
  readInputs,
  sample,
  sensitivityOf,
  type TaskLoss,
} from '../evaluate/index.ts';
import { batchOf } from '../evaluate/plan.ts';
import { modelLoss } from '../evaluate/suite-losses.ts';
import { cutNetwork } from '../network.ts';
import { type Graph, inferShapes, writeGraph } from '../onnx/index.ts';
import { identity } from '../packet/index.ts';
import { type OpenSession, openSession } from '../runtime/index.ts';
import type { InputSpec } from '../tasks/index.ts';
import type { Recipe } from './recipe.ts';

/** What a recipe is carried out on. */
export interface FitJob {
  readonly recipe: Recipe;
  /** The whole graph, its models chained. */
  readonly graph: Graph;
  /** What the codec says it was made for. */
  readonly name: string;
  readonly input: InputSpec;
  /** Paths of the images to choose from. */
  readonly images: readonly string[];
  /** Tasks that a recipe's weight is taken of; where absent, the choice among classes that the model's one output is. */
  readonly losses?: readonly TaskLoss[];
  readonly cache: Cache;
  readonly open?: OpenSession;
  readonly signal?: AbortSignal;
  /** Called with the number of features, and of images whose loss was differentiated, just made, of `total`. */
  readonly onImages?: (count: number, total: number) => void;
  readonly onBad?: (bad: BadInput) => void;
}

/**
 * Makes a codec by a recipe: runs the head on images (their features are kept in the cache), takes the statistics that the
 * kind needs, and writes a card of how it was made. Throws what cutting, preparing, differentiating and fitting throw,
 * `ABORTED`, `TOO_MANY_BAD_INPUTS` where more than one image in a hundred is bad.
 */
export async function fitCodec(job: FitJob): Promise<{ codec: Codec; card: string }> {
  const { recipe, input, signal, open = openSession } = job;
  const { head, headHash } = cutNetwork(job.graph, recipe.cut, job.input.name);
  const session = await open(writeGraph(head));
  try {
    const store = new PixelStore(input);
    const bad: BadInput[] = [];
    const chosen = sample(job.images, recipe.kind === 'klt' ? recipe.images : 1, recipe.seed);
    const items = chosen.map((path) => ({ path, asks: [], truths: [] }));
    const inputs = await readInputs(
      items,
      store,
      (each) => {
        bad.push(each);
        job.onBad?.(each);
      },
      signal,
    );
    checkBadShare(bad, chosen.length);
    const features = new Features({ session, hash: headHash, cut: recipe.cut }, input, store, job.cache);
    const weighted = recipe.weight === 'task';
    const losses = weighted ? (job.losses ?? [modelLoss(job.graph, recipe.cut, input.name)]) : [];
    const options = {
      batch: rowsAreImages(inferShapes(head), recipe.cut, input.name) ? batchOf(job.graph, input.name) : 1,
      signal,
      onImages: (count: number) => job.onImages?.(count, inputs.length * (1 + losses.length)),
    };
    const first = await features.of(inputs[0]);
    const source: CodecSource = {
      features: first.map(({ dtype, shape }, i) => featureTensor(recipe.cut[i], dtype, shape)),
      model: { name: job.name, sha256: headHash },
    };
    if (recipe.kind === 'raw-f32' || recipe.kind === 'raw-f16') {
      return withCard(rawCodec(recipe.kind, source), recipe, 0);
    }
    if (recipe.kind === 'int8-deflate') return withCard(int8DeflateCodec(source, recipe.levels), recipe, 0);
    await features.fill(inputs, options);
    const stream = async function* () {
      for (const each of inputs) yield await features.of(each);
    };
    const { axis, seed } = recipe;
    const weighting = weighted
      ? await sensitivityOf(source, losses, features, inputs, { ...options, axis, seed, open, cache: job.cache })
      : undefined;
    const statistics = await kltStatistics(source, stream, { axis, weighting, signal });
    const step = recipe.step ?? stepForRate(statistics, recipe.bits as number);
    const [codec] = await kltCodecs(source, statistics, stream, [step], { model: recipe.entropy, signal });
    return withCard(codec, { ...recipe, tasks: weighted ? losses.map(({ name }) => name) : undefined }, inputs.length);
  } finally {
    await session.release();
  }
}

function featureTensor(name: string, dtype: string, shape: readonly number[]): FeatureTensor {
  if (dtype === 'float32' || dtype === 'float16') return { name, dtype, shape };
  throw new IsthmusError(
    'TENSOR_INVALID',
    `codecs take float32 and float16 features; '${name}' at the cut is ${dtype}: cut elsewhere`,
  );
}

function withCard(codec: Codec, recipe: Recipe, images: number): { codec: Codec; card: string } {
  const lines = [
    `# ${codec.kind}${codec.setting === '' ? '' : `, ${codec.setting}`}`,
    '',
    `Codec ${identity(codec.id)} for ${codec.features.map(({ name, shape }) => `\`${name}\` [${shape.join(', ')}]`).join(' and ')}` +
      ` of ${codec.model?.name}.`,
    images > 0 ? `Fitted on ${images} images.${weightLine(recipe)}` : 'Needs no fitting.',
    '',
    '```json',
    JSON.stringify(recipe, null, 2),
    '```',
    '',
  ];
  return { codec, card: lines.join('\n') };
}

function weightLine({ tasks = [] }: Recipe): string {
  if (tasks.length === 0) return '';
  return ` Errors are weighted by the second moments of the gradients, at the cut, of the loss of ${tasks.join(', ')}; labels are drawn from the model's own answers.`;
}
