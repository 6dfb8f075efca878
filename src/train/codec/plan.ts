import { stepForBits } from '../../codec/water-filling.ts';
import { IsthmusError } from '../../errors.ts';
import { packTensors, unpackTensors } from '../../evaluate/cache.ts';
import { cacheKey } from '../../evaluate/index.ts';
import type { OpenSession } from '../../runtime/index.ts';
import { tensor } from '../../tensor.ts';
import type { TrainingFeatures } from '../data/features.ts';
import { epochOrder } from '../data/order.ts';
import type { Picture } from '../data/pictures.ts';
import { type Grouping, groupingOf, type TokenGrid, tokenGrid } from './grid.ts';
import { type LearnJob, ROWS } from './job.ts';
import { momentsOf } from './moments.ts';
import { type ObjectiveOptions, rateWeight } from './objective.ts';
import { initialLogScales } from './rate.ts';
import type { TrainRecipe } from './recipe.ts';
import { scaled, weightedKlt } from './start.ts';
import type { Teacher } from './teacher.ts';
import { initialWeights, type LinearStart, latentsOf, type TokenTransform } from './transform.ts';

/** What training works with, all of it decided before the first step. */
export interface Plan {
  readonly objective: ObjectiveOptions;
  /** What a bit is worth at a step of 1, in nats. */
  readonly price: number;
}

interface PlanSource {
  readonly job: LearnJob;
  readonly features: TrainingFeatures;
  readonly teacher: Teacher;
  readonly pictures: readonly Picture[];
  readonly open: OpenSession;
  /** Of the feature of one picture. */
  readonly shape: readonly number[];
}

/**
 * Decides transform, first weights and the price of a bit. Throws `INVALID_ARGUMENT` for a transform that does not fit the feature, and
 * for weights of tasks that there are not.
 */
export async function planOf({ job, features, teacher, pictures, open, shape }: PlanSource): Promise<Plan> {
  const { recipe, cut } = job;
  const grid = tokenGrid(shape, recipe.transform.grid);
  const grouping = groupingOf(grid, recipe.transform.group);
  const transform: TokenTransform = {
    grid,
    grouping,
    components: Math.min(recipe.transform.components, grouping.length),
    prefixComponents: Math.min(recipe.transform.prefixComponents, grid.length),
    analysisBlocks: recipe.transform.analysisBlocks,
    synthesisBlocks: recipe.transform.synthesisBlocks,
  };
  const taskWeights = taskWeightsOf(recipe, teacher);
  const { maps, variance } = await startOf(job, {
    transform,
    grid,
    grouping,
    features,
    teacher,
    pictures,
    open,
    taskWeights,
  });
  const vectors = latentsOf(transform).map(({ vectors }, i) => ({ vectors, variances: maps[i].variances }));
  const step = stepForBits(vectors, 8 * recipe.quantizer.bytes);
  const [groups, prefix = null] = maps.map((map) => scaled(map, step));
  const start = { groups, prefix };
  const weights = initialWeights(transform, start, recipe.seed);
  for (const [i, latent] of latentsOf(transform).entries()) {
    weights[rateWeight(latent)] = initialLogScales([groups, prefix][i]?.variances as Float64Array);
  }
  return {
    // At high rates a bit less makes log(2) step² / 12 more half squares, if all components share the bits.
    price: (recipe.losses.rate * step * step * Math.LN2) / 12,
    objective: {
      transform,
      feature: { name: cut, shape },
      weights,
      tasks: teacher.ports,
      losses: { tasks: taskWeights, feature: recipe.losses.feature, sensitive: recipe.losses.sensitive },
      variance,
      sensitivity: {
        step,
        maps: Object.fromEntries(
          Object.entries(weights).filter(([name]) => /^analysis\/(groups|prefix)\/matrix$/.test(name)),
        ),
      },
    },
  };
}

/** Throws `INVALID_ARGUMENT` for a weight of a task that there is not, or none above 0. */
function taskWeightsOf({ losses }: TrainRecipe, { ports }: Teacher): Record<string, number> {
  const names = ports.map(({ name }) => name);
  const unknown = Object.keys(losses.tasks ?? {}).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `losses.tasks: there is no task '${unknown}'; there are ${names.join(', ')}`,
    );
  }
  const weights = losses.tasks ?? Object.fromEntries(names.map((name) => [name, 1]));
  if (Object.values(weights).some((weight) => weight > 0)) return weights;
  throw new IsthmusError('INVALID_ARGUMENT', 'losses.tasks: at least one task needs a weight above 0');
}

interface StartSource extends Omit<PlanSource, 'job' | 'shape'> {
  readonly transform: TokenTransform;
  readonly grid: TokenGrid;
  readonly grouping: Grouping;
  readonly taskWeights: Readonly<Record<string, number>>;
}

/** Raised when a change makes kept starts wrong. */
const START_VERSION = 1;

/** The first linear maps in root nats, of groups and of prefix tokens, and the feature's mean variance; from the cache where they are kept. */
async function startOf(
  { recipe, cut, cache, signal, onProgress }: LearnJob,
  { transform, grid, grouping, features, teacher, pictures, open, taskWeights }: StartSource,
): Promise<{ maps: LinearStart[]; variance: number }> {
  const rows = Array.from(epochOrder(pictures.length, recipe.seed, 0).subarray(0, recipe.start));
  const key = cacheKey([
    'start',
    START_VERSION,
    features.keys,
    teacher.keys,
    transform,
    taskWeights,
    rows,
    recipe.seed,
  ]);
  const kept = await cache.read('codecs', key);
  const found = kept && unpackTensors(kept);
  if (found) {
    const maps = Array.from({ length: (found.length - 1) / 4 }, (_, i): LinearStart => {
      const [mean, analysis, synthesis, variances] = found.slice(4 * i, 4 * i + 4).map(({ data }) => data);
      return {
        mean: mean as Float32Array,
        analysis: analysis as Float32Array,
        synthesis: synthesis as Float32Array,
        variances: variances as Float64Array,
      };
    });
    return { maps, variance: Number(found[found.length - 1].data[0]) };
  }
  const moments = await momentsOf({
    grid,
    grouping,
    cut,
    features,
    teacher,
    weights: taskWeights,
    rows,
    batch: ROWS,
    seed: recipe.seed,
    open,
    signal,
    onRows: (done, total) => onProgress?.({ stage: 'start', done, total }),
  });
  const maps = [weightedKlt(moments.groups, transform.components)];
  if (moments.prefix) maps.push(weightedKlt(moments.prefix, transform.prefixComponents));
  const trace = moments.groups.covariance.reduce(
    (sum, value, i) => (i % (grouping.length + 1) === 0 ? sum + value : sum),
    0,
  );
  const variance = Math.max(trace / grouping.length, Number.MIN_VALUE);
  const flat = (data: Float32Array | Float64Array) =>
    tensor(data instanceof Float64Array ? 'float64' : 'float32', [data.length], data);
  await cache.write(
    'codecs',
    key,
    packTensors([
      ...maps.flatMap(({ mean, analysis, synthesis, variances }) => [mean, analysis, synthesis, variances].map(flat)),
      flat(Float64Array.of(variance)),
    ]),
  );
  return { maps, variance };
}
