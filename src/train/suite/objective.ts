import { IsthmusError } from '../../errors.ts';
import {
  buildGraph,
  type Graph,
  inferShapes,
  mainGraph,
  opsetOf,
  trueInputs,
  type ValueSpec,
} from '../../onnx/index.ts';
import { hoistGraph } from '../../split/index.ts';
import { logitsOf, type TaskName, tokensOf } from '../../tasks/index.ts';
import { Extension } from '../extension.ts';
import { weightedChoices, weightedSum } from '../losses.ts';

/** A model that is trained, and what the names of its weights begin with in the training graph. */
export interface Part {
  readonly name: string;
  readonly graph: Graph;
}

/** What is lessened beside the tasks: choices of an extra model after the trunk, such as a class for each token. */
export interface AuxiliaryPart extends Part {
  readonly weight: number;
}

export interface SuiteParts {
  /** Name and shape of the picture's tensor, batch first. */
  readonly input: ValueSpec;
  /** What all tails follow; where absent, each task's model takes the picture. */
  readonly trunk?: Part;
  readonly tasks: readonly (Part & { readonly name: TaskName; readonly weight: number })[];
  readonly auxiliary: readonly AuxiliaryPart[];
  /** Share of each target that is spread over all choices. */
  readonly smoothing: number;
  /** Questions of a picture in a step. */
  readonly questions: number;
}

/** One kind of choices that the training graph makes, and the inputs that tell it what is right. */
export interface Choices {
  /** The task, or the auxiliary model and its output. */
  readonly name: string;
  /** The task or the auxiliary model. */
  readonly part: string;
  /** int64 `[batch, choices]`; what has the weight 0 may be any choice. */
  readonly labels: string;
  /** float32 `[batch, choices]`; they sum to 1 for a row on average. */
  readonly weights: string;
  /** int64 `[batch, length]`, or `[batch, questions, length]` for VQA. */
  readonly tokens?: string;
  /** Choices of the auxiliary model for one picture. */
  readonly count?: number;
  readonly classes: number;
  /** Scalars to watch: cross-entropy in nats, and the share of choices that are right. */
  readonly loss: string;
  readonly right: string;
}

export interface SuiteObjective {
  readonly graph: Graph;
  readonly loss: string;
  readonly choices: readonly Choices[];
}

/**
 * The training graph of a suite: the trunk runs once for a picture, each tail follows it, and the loss is the weighted sum of
 * the cross-entropies of all choices. What a VQA tail makes of the picture alone is computed once for all of its questions.
 * Weights are named `PART/NAME`. Throws `INVALID_ARGUMENT` for models that do not fit together or whose logits are no choices.
 */
export function suiteObjective({ input, trunk, tasks, auxiliary, smoothing, questions }: SuiteParts): SuiteObjective {
  const graphs = [trunk, ...tasks, ...auxiliary].flatMap((part) => (part ? [part.graph] : []));
  const start = { name: 'training', inputs: [input], outputs: [], nodes: [] };
  const nodes = new Extension(buildGraph({ ...start, opset: Math.max(...graphs.map((graph) => opsetOf(graph))) }));
  const picture = { [input.name]: input.name };
  const features = trunk ? nodes.append(trunk.graph, onlyInput(trunk, picture), trunk.name) : picture;
  const choices: Choices[] = [];
  const terms: [weight: number, scalar: string][] = [];
  const judge = (part: Part, name: string, logits: string, classes: number, weight: number, rest: Partial<Choices>) => {
    const labels = nodes.input({ name: `labels/${name}`, dtype: 'int64', shape: ['batch', `choices/${name}`] });
    const weights = nodes.input({ name: `weights/${name}`, dtype: 'float32', shape: ['batch', `choices/${name}`] });
    const { loss, right } = weightedChoices(nodes, logits, labels, weights, classes, smoothing);
    const named = { loss: nodes.named(loss, `loss/${name}`), right: nodes.named(right, `right/${name}`) };
    terms.push([weight, named.loss]);
    choices.push({ name, part: part.name, labels, weights, classes, ...named, ...rest });
  };
  for (const task of tasks) {
    const logits = logitsOf(task.graph);
    const classes = lastLength(task, logits);
    const given = onlyFeatures(task, features);
    const tokens = tokensOf(task.graph, Object.keys(given));
    if (tokens === undefined) {
      judge(task, task.name, nodes.append(task.graph, given, task.name)[logits], classes, task.weight, {});
      continue;
    }
    const asked = task.name === 'vqa';
    const shape = asked ? ['batch', questions, `length/${task.name}`] : ['batch', `length/${task.name}`];
    const fed = nodes.input({ name: `tokens/${task.name}`, dtype: 'int64', shape });
    const made = asked
      ? askAll(nodes, task, given, tokens, fed, questions)
      : nodes.append(task.graph, { ...given, [tokens]: fed }, task.name);
    judge(task, task.name, made[logits], classes, task.weight, { tokens: fed });
  }
  for (const part of auxiliary) {
    const made = nodes.append(part.graph, onlyFeatures(part, features), part.name);
    for (const [output, logits] of Object.entries(made)) {
      const count = choiceCount(part, output);
      judge(part, `${part.name}/${output}`, logits, lastLength(part, output), part.weight, { count });
    }
  }
  const loss = nodes.named(weightedSum(nodes, terms), 'loss');
  return { graph: nodes.build([{ name: loss, dtype: 'float32', shape: [] }]), loss, choices };
}

/** A VQA tail on all questions of each picture, `[batch, questions, length]`: rows of its outputs are questions. */
function askAll(
  nodes: Extension,
  { name, graph }: Part,
  features: Readonly<Record<string, string>>,
  tokens: string,
  asked: string,
  questions: number,
): Record<string, string> {
  const { once, each, frontier } = hoistGraph(graph, Object.keys(features));
  const made = {
    ...features,
    ...(once ? nodes.append(once, onlyFeatures({ name, graph: once }, features), name) : {}),
  };
  const shapes = inferShapes(graph).tensors;
  const feeds: Record<string, string> = {};
  for (const tensor of frontier) {
    const inner = shapes.get(tensor)?.shape.slice(1) ?? [];
    if (!inner.every((length) => typeof length === 'number')) {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `the shape of '${tensor}' of ${name} is not known but for the batch, and it is repeated for each question; export the ` +
          'model with fixed shapes',
      );
    }
    const apart = nodes.emit('Unsqueeze', [made[tensor], nodes.ints([1])]);
    const repeated = nodes.emit('Expand', [apart, nodes.ints([1, questions, ...inner.map(() => 1)])]);
    feeds[tensor] = nodes.emit('Reshape', [repeated, nodes.ints([-1, ...(inner as number[])])]);
  }
  const shape = nodes.emit('Shape', [asked]);
  const length = nodes.emit('Slice', [shape, nodes.ints([2]), nodes.ints([3])]);
  const rows = nodes.emit('Concat', [nodes.ints([-1]), length], { axis: 0 });
  feeds[tokens] = nodes.emit('Reshape', [asked, rows]);
  return nodes.append(each, feeds, name);
}

/** The tensors that a model takes of those there are. Throws `INVALID_ARGUMENT` where it takes none of them. */
function onlyFeatures({ name, graph }: Part, there: Readonly<Record<string, string>>): Record<string, string> {
  const names = trueInputs(mainGraph(graph)).map((each) => each.name);
  const taken = Object.entries(there).filter(([tensor]) => names.includes(tensor));
  if (taken.length > 0) return Object.fromEntries(taken);
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `${name} takes ${names.join(', ')}, and before it there is ${Object.keys(there).join(', ')}; the names have to agree`,
  );
}

function onlyInput(part: Part, picture: Readonly<Record<string, string>>): Record<string, string> {
  const others = trueInputs(mainGraph(part.graph)).filter(({ name }) => !Object.hasOwn(picture, name));
  if (others.length === 0) return picture;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `${part.name} takes '${others[0].name}', and the suite's input is '${Object.keys(picture)[0]}'`,
  );
}

function lastLength({ name, graph }: Part, tensor: string): number {
  const length = inferShapes(graph).tensors.get(tensor)?.shape.at(-1);
  if (typeof length === 'number') return length;
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    `the number of choices of '${tensor}' of ${name} is not known from its shape`,
  );
}

/** Choices of a picture: product of the lengths between batch and classes. */
function choiceCount({ name, graph }: Part, tensor: string): number {
  const inner = inferShapes(graph).tensors.get(tensor)?.shape.slice(1, -1) ?? [];
  const count = inner.reduce<number>((product, length) => product * (typeof length === 'number' ? length : NaN), 1);
  if (Number.isInteger(count)) return count;
  throw new IsthmusError('INVALID_ARGUMENT', `'${tensor}' of ${name} has a shape that is not known but for the batch`);
}
