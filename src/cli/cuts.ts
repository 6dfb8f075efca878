import { type Command, InvalidArgumentError } from 'commander';
import { type Graph, inferShapes } from '../onnx/index.ts';
import { assumedLengths, type Block, type Cut, findCuts } from '../split/index.ts';
import { newTable, printable } from '../table.ts';
import { addChain, type ChainOptions, openChain } from './chain.ts';

interface Options extends ChainOptions {
  readonly all?: boolean;
  readonly maxTensors: number;
  readonly json?: boolean;
}

/** Adds `isthmus cuts`. */
export function addCuts(program: Command): void {
  const command = program
    .command('cuts')
    .summary('list where a model can be cut')
    .description(
      'Lists the tensors at which a model can be cut: name, shape, raw bytes at batch 1, and the parameters and ' +
        'multiply-accumulates on both sides. Of cuts that differ in nothing that matters one is shown.',
    );
  addChain(command)
    .option('--all', 'every cut, and not only the interesting ones')
    .option('--max-tensors <N>', 'tensors of a cut at most, 1 to 4', wholeNumber, 1)
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  isthmus cuts trunk.onnx captioning.onnx --dim length=20')
    .action(listCuts);
}

async function listCuts(paths: string[], options: Options): Promise<void> {
  const graph = await openChain(paths, options);
  const cuts = findCuts(graph, { all: options.all, maxTensors: options.maxTensors, dims: options.dim });
  if (options.json) {
    process.stdout.write(`${JSON.stringify(cuts)}\n`);
    return;
  }
  process.stdout.write(cuts.length === 0 ? `${none(graph, options)}\n` : `${tableOf(cuts)}\n`);
  const assumed = Object.entries(assumedLengths(graph, options.dim));
  if (assumed.length > 0) {
    process.stderr.write(
      `Bytes and multiply-accumulates are at ${assumed.map(([name, length]) => `${name} = ${length}`).join(', ')} (--dim NAME=LENGTH sets others).\n`,
    );
  }
}

function none(graph: Graph, { maxTensors, all, dim }: Options): string {
  const [first] = inferShapes(graph, { dims: dim }).unknown;
  if (first) {
    return `No cut is listed, because shapes are not known from ${first.opType} '${printable(first.node)}' on: ${first.why}.`;
  }
  const wider = [...(maxTensors < 4 ? [`--max-tensors ${maxTensors + 1}`] : []), ...(all ? [] : ['--all'])].join(
    ' or ',
  );
  const what = maxTensors === 1 ? 'No single tensor separates' : `No set of up to ${maxTensors} tensors separates`;
  return `${what} the inputs from the outputs.${wider === '' ? '' : ` Try ${wider}.`}`;
}

function tableOf(cuts: readonly Cut[]): string {
  const head = [
    'tensor',
    'type and shape',
    'block',
    'bytes',
    'head MACs',
    'tail MACs',
    'head',
    'head params',
    'tail params',
  ];
  const table = newTable(head, 3, process.stdout.isTTY === true);
  const stages = new Set(cuts.map(({ block }) => block?.stage)).size;
  for (const cut of cuts) {
    table.push([
      cut.tensors.map(({ name }) => printable(name)).join('\n'),
      cut.tensors.map(({ dtype, shape }) => `${dtype}[${shape.join(',')}]`).join('\n'),
      cut.block ? blockName(cut.block, stages > 2) : '',
      cut.bytes.toLocaleString('en'),
      short(cut.headMacs),
      short(cut.tailMacs),
      `${(100 * cut.headShare).toFixed(1)} %`,
      short(cut.headParams),
      short(cut.tailParams),
    ]);
  }
  return table.toString();
}

/** Where a repeated structure has several cuts, those before its end are told as parts. */
function blockName({ stage, index, of, part, parts }: Block, severalStages: boolean): string {
  const inside = part === parts ? '' : `, part ${part} of ${parts}`;
  return `${severalStages ? `stage ${stage}, ` : ''}block ${index} of ${of}${inside}`;
}

/** A count to three digits: `1.25 G`. */
function short(count: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (count >= size) return `${(count / size).toPrecision(3)} ${unit}`;
  }
  return String(count);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 4) throw new InvalidArgumentError('It is 1, 2, 3 or 4.');
  return value;
}
