import { type Command, InvalidArgumentError } from 'commander';
import { openGraph } from '../onnx/file.ts';
import { type Graph, mainGraph } from '../onnx/graph.ts';
import { chainGraphs } from '../split/index.ts';

/** Options of the commands that take a model, or several that are chained. */
export interface ChainOptions {
  readonly join?: Readonly<Record<string, string>>;
  readonly dim?: Readonly<Record<string, number>>;
  readonly externalData?: boolean;
}

/** Adds the argument and the options of a command about models. */
export function addChain(command: Command): Command {
  command.argument(
    '<model...>',
    'an ONNX file; several are chained, each one feeding the next by the names of tensors',
  );
  return addChainOptions(command).option(
    '--dim <NAME=LENGTH>',
    'length of a symbolic dimension; repeatable',
    collectDim,
  );
}

/** Adds the options that {@link openChain} reads. */
export function addChainOptions(command: Command): Command {
  return command
    .option(
      '--join <OUTPUT=INPUT>',
      'chain this output to this input where their names differ; repeatable',
      collectJoin,
    )
    .option('--external-data', 'read tensors that a model keeps in other files of its folder');
}

/** The one graph of the files given. Throws what `openGraph` and `chainGraphs` throw. */
export async function openChain(paths: readonly string[], options: ChainOptions): Promise<Graph> {
  const graphs: Graph[] = [];
  for (const path of paths) graphs.push(await openGraph(path, { externalData: options.externalData }));
  return graphs.reduce((first, second) => {
    const outputs = new Set(first.graph?.output.map(({ name }) => name));
    const rename = Object.entries(options.join ?? {}).filter(([output]) => outputs.has(output));
    return chainGraphs(first, second, { rename: Object.fromEntries(rename) });
  });
}

function collectJoin(text: string, joins: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { name, value } = pair(text, 'OUTPUT=INPUT');
  return { ...joins, [name]: value };
}

function collectDim(text: string, dims: Readonly<Record<string, number>> = {}): Record<string, number> {
  const { name, value } = pair(text, 'NAME=LENGTH');
  const length = Number(value);
  if (!Number.isSafeInteger(length) || length < 1)
    throw new InvalidArgumentError(`'${value}' is no length of at least 1.`);
  return { ...dims, [name]: length };
}

function pair(text: string, form: string): { name: string; value: string } {
  const at = text.lastIndexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError(`Write it as ${form}.`);
  return { name: text.slice(0, at), value: text.slice(at + 1) };
}

/** The tensors named: each `--at` is one name where the graph has it as it stands, else names joined by commas. */
export function tensorsNamed(graph: Graph, at: readonly string[]): string[] {
  const { input, node } = mainGraph(graph);
  const names = new Set([...input.map(({ name }) => name), ...node.flatMap(({ output }) => output)]);
  return at
    .flatMap((text) => (names.has(text) ? [text] : text.split(',').map((name) => name.trim())))
    .filter((name) => name !== '');
}

/** For an option that may be given several times. */
export function collectText(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
