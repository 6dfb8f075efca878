import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { IsthmusError, messageOf } from '../errors.ts';
import { makeFolder } from '../evaluate/index.ts';
import { type Graph, mainGraph, saveGraph, trueInputs } from '../onnx/index.ts';
import { openOnnxRuntimeNode } from '../runtime/index.ts';
import { cutGraph, type Halves, type Verification, verifySplit } from '../split/index.ts';
import { printable } from '../table.ts';
import { addChain, type ChainOptions, collectText, openChain, tensorsNamed } from './chain.ts';

interface Options extends ChainOptions {
  readonly at: readonly string[];
  readonly out: string;
  readonly verify: boolean;
  readonly json?: boolean;
}

/** Adds `isthmus split`. */
export function addSplit(program: Command): void {
  const command = program
    .command('split')
    .summary('cut a model into head.onnx and tail.onnx')
    .description(
      'Cuts a model at tensors, runs both halves against the whole on random inputs, and writes head.onnx and ' +
        'tail.onnx. A difference above 1e-5 of the largest magnitude (more for 16-bit floats) is an error, and then nothing is written.',
    );
  addChain(command)
    .requiredOption('--at <TENSOR>', 'a tensor of the cut, or several joined by commas; repeatable', collectText)
    .requiredOption('--out <DIR>', 'folder for head.onnx and tail.onnx')
    .option('--no-verify', 'do not run the halves: for models that ONNX Runtime cannot load')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  isthmus split trunk.onnx vqa.onnx --at /blocks/blocks.5/Add_1_output_0 --out halves',
    )
    .action(split);
}

async function split(paths: string[], options: Options): Promise<void> {
  const graph = await openChain(paths, options);
  const tensors = tensorsNamed(graph, options.at);
  const halves = cutGraph(graph, tensors);
  const verification = options.verify
    ? await verifySplit(graph, halves, { open: openOnnxRuntimeNode, dims: options.dim })
    : undefined;
  const files = await save(halves, options.out, options.externalData ?? false);
  const report = { tensors, ...files, ...(verification && { difference: verification }) };
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : textOf(files, halves, verification));
}

/**
 * Writes both files in a folder beside their places and renames them there, so that a head never stands beside the tail
 * of another cut. Where the model came with external data, large tensors go to data files again.
 */
async function save(
  { head, tail }: Halves,
  folder: string,
  externalData: boolean,
): Promise<{ head: string; tail: string }> {
  let beside: string | undefined;
  try {
    await makeFolder(folder);
    beside = await mkdtemp(join(folder, '.split-'));
    const options = externalData ? { externalData: {} } : {};
    await saveGraph(head, join(beside, 'head.onnx'), options);
    await saveGraph(tail, join(beside, 'tail.onnx'), options);
    const data = (await readdir(beside)).filter((name) => name.endsWith('.data'));
    for (const name of [...data, 'head.onnx', 'tail.onnx']) await rename(join(beside, name), join(folder, name));
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('FILE_UNWRITABLE', `cannot write into ${folder}: ${messageOf(cause)}`, { cause });
  } finally {
    if (beside) await rm(beside, { recursive: true, force: true });
  }
  return { head: join(folder, 'head.onnx'), tail: join(folder, 'tail.onnx') };
}

function textOf(files: { head: string; tail: string }, { head, tail }: Halves, verification?: Verification): string {
  const names = (infos: readonly { name: string }[]) => infos.map(({ name }) => printable(name)).join(', ');
  const describe = (file: string, graph: Graph) =>
    `${file}: ${mainGraph(graph).node.length} nodes, ${names(trueInputs(mainGraph(graph)))} -> ${names(mainGraph(graph).output)}\n`;
  const checked =
    verification === undefined
      ? 'Not verified.\n'
      : `Largest difference: ${digits(verification.absolute)} (${digits(verification.relative)} relative, ` +
        `${verification.tolerance} allowed) in ${verification.runtime}.\nCause: ${verification.cause}.\n`;
  return describe(files.head, head) + describe(files.tail, tail) + checked;
}

function digits(value: number): string {
  return value === 0 ? '0' : value.toExponential(2);
}
