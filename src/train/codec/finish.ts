import {
  type CodecSource,
  fitLatentModel,
  type KltModel,
  type Latent,
  learnedCodec,
  quantizeBy,
} from '../../codec/index.ts';
import { batchesOf, throwIfAborted } from '../../evaluate/measure.ts';
import { writeGraph } from '../../onnx/index.ts';
import type { OpenSession } from '../../runtime/index.ts';
import type { Tensor } from '../../tensor.ts';
import type { TrainingFeatures } from '../data/features.ts';
import { epochOrder } from '../data/order.ts';
import { ENTROPY_ROWS, type Learned, type LearnJob, ROWS } from './job.ts';
import { latentsOf, type TokenTransform, transformGraphs } from './transform.ts';

/** A codec for each step of the recipe, with entropy models fitted to what the trained analysis gives. */
export async function codecsOf(
  job: LearnJob,
  transform: TokenTransform,
  weights: Readonly<Record<string, Tensor>>,
  features: TrainingFeatures,
  dtype: 'float32' | 'float16',
  open: OpenSession,
): Promise<Learned['codecs']> {
  const { recipe, cut, signal } = job;
  const shape = [1, ...features.columns[0].shape.slice(1)];
  const source: CodecSource = {
    features: [{ name: cut, dtype, shape }],
    model: { name: job.name, sha256: job.head.hash },
  };
  const graphs = transformGraphs(transform, { name: cut, dtype: 'float32', shape }, weights);
  const latents = latentsOf(transform);
  const rows = Array.from(epochOrder(features.count, recipe.seed, 1).subarray(0, ENTROPY_ROWS));
  const values: Float32Array[][] = latents.map(() => []);
  const session = await open(writeGraph(graphs.analysis), { threads: job.threads });
  try {
    let done = 0;
    for (const part of batchesOf(rows, ROWS)) {
      throwIfAborted(signal);
      const [tensors] = await features.read(part);
      const outputs = await session.run({ [cut]: tensors });
      for (const [i, { name }] of latents.entries()) {
        const all = outputs[name].data as Float32Array;
        for (let r = 0; r < part.length; r++)
          values[i].push(all.slice((r * all.length) / part.length, ((r + 1) * all.length) / part.length));
      }
      done += part.length;
      job.onProgress?.({ stage: 'entropy models', done, total: rows.length });
    }
  } finally {
    await session.release();
  }
  const file = transformGraphs(transform, { name: cut, dtype, shape }, weights);
  return recipe.quantizer.steps.map((step) => ({
    step,
    codec: learnedCodec(source, {
      ...file,
      latents: latents.map(
        ({ name, vectors, components }, i): Latent => ({
          name,
          vectors,
          components,
          step,
          model: fitLatentModel(
            values[i].map((each) => quantizeBy(step, each)),
            components,
            modelOptions(recipe.entropy, transform, i),
          ),
        }),
      ),
    }),
  }));
}

function modelOptions(model: KltModel, { grouping }: TokenTransform, latent: number) {
  return latent === 0 ? { model, width: grouping.groups[1] } : { model };
}
