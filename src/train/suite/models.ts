import { IsthmusError } from '../../errors.ts';
import { type Graph, openGraph } from '../../onnx/index.ts';
import { chainGraphs } from '../../split/index.ts';
import { entryOf, pathIn, type Suite, type TaskName, taskNames } from '../../tasks/index.ts';
import type { Tensor } from '../../tensor.ts';
import { narrowWeights, widenWeights } from '../half-weights.ts';
import { withWeights } from '../weights.ts';
import type { Part, SuiteParts } from './objective.ts';
import type { SuiteRecipe } from './recipe.ts';

/** A model of a suite that is trained. */
export interface ModelFile extends Part {
  /** As `suite.json` or the recipe names it. */
  readonly file: string;
}

export interface SuiteModels {
  readonly trunk?: ModelFile;
  readonly tasks: readonly (ModelFile & { readonly name: TaskName; readonly weight: number })[];
  readonly auxiliary: readonly (ModelFile & { readonly weight: number })[];
}

/**
 * The models that a recipe trains, weights that files hold as float16 widened. Throws `INVALID_ARGUMENT` where no task is left or
 * two tasks are one file, and what opening throws.
 */
export async function openSuiteModels(suite: Suite, { losses, auxiliary }: SuiteRecipe): Promise<SuiteModels> {
  const open = async (name: string, file: string): Promise<ModelFile> => {
    const path = pathIn(suite, file, `the model of ${name}`);
    const graph = await openGraph(path, { externalData: true, limits: suite.limits });
    return { name, file, graph: widenWeights(graph) };
  };
  const names = taskNames(suite).filter((task) => losses[task] > 0);
  if (names.length === 0)
    throw new IsthmusError('INVALID_ARGUMENT', 'losses: every task of the suite has the weight 0');
  const tasks: SuiteModels['tasks'][number][] = [];
  for (const name of names) {
    const { tail, model } = entryOf(suite, name);
    const file = (tail ?? model) as string;
    const same = tasks.find((other) => other.file === file);
    if (same) {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `${same.name} and ${name} are both ${file}; give each a model of its own`,
      );
    }
    tasks.push({ ...(await open(name, file)), name, weight: losses[name] });
  }
  const extra: SuiteModels['auxiliary'][number][] = [];
  for (const [name, { model, weight }] of Object.entries(auxiliary))
    extra.push({ ...(await open(name, model)), weight });
  return {
    ...(suite.trunk === undefined ? {} : { trunk: await open('trunk', suite.trunk) }),
    tasks,
    auxiliary: extra,
  };
}

export function partsOf(models: SuiteModels, suite: Suite, { smoothing, questions }: SuiteRecipe): SuiteParts {
  const { name, layout, height, width } = suite.input;
  const shape = layout === 'NCHW' ? ['batch', 3, height, width] : ['batch', height, width, 3];
  return { ...models, input: { name, dtype: 'float32', shape }, smoothing, questions };
}

/** The models with their trained weights, which are named `PART/NAME`, and stored as the recipe says. */
export function trainedModels(
  { trunk, tasks, auxiliary }: SuiteModels,
  trained: Readonly<Record<string, Tensor>>,
  store: SuiteRecipe['store'],
): ModelFile[] {
  return [...(trunk ? [trunk] : []), ...tasks, ...auxiliary].map(({ name, file, graph }) => {
    const own = Object.entries(trained).filter(([weight]) => weight.startsWith(`${name}/`));
    const weights = Object.fromEntries(own.map(([weight, value]) => [weight.slice(name.length + 1), value]));
    const written = withWeights(graph, weights);
    return { name, file, graph: store === 'float16' ? narrowWeights(written, Object.keys(weights)) : written };
  });
}

/** A task's whole network of trained models. */
export function wholeOf(models: readonly ModelFile[], task: TaskName, hasTrunk: boolean): Graph {
  const graphOf = (name: string) => (models.find((model) => model.name === name) as ModelFile).graph;
  return hasTrunk ? chainGraphs(graphOf('trunk'), graphOf(task)) : graphOf(task);
}
