#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import manifest from '../../package.json' with { type: 'json' };
import { IsthmusError } from '../errors.ts';
import { printable } from '../table.ts';
import { addBench } from './bench.ts';
import { addCuts } from './cuts.ts';
import { addDecode } from './decode.ts';
import { addDemo } from './demo.ts';
import { addEncode } from './encode.ts';
import { addFinetune } from './finetune.ts';
import { addFit } from './fit.ts';
import { addInspect } from './inspect.ts';
import { addSplit } from './split.ts';
import { addTrain } from './train.ts';

/** The command line with all of its commands. */
export function program(): Command {
  const command = new Command('isthmus')
    .description('Cut a neural network in two: the head on a device, a small packet, the tail at the edge.')
    .version(manifest.version)
    .exitOverride()
    .showHelpAfterError('(isthmus COMMAND --help shows an example)')
    .configureHelp({ showGlobalOptions: false });
  const commands = [
    addCuts,
    addSplit,
    addFit,
    addTrain,
    addFinetune,
    addEncode,
    addDecode,
    addInspect,
    addBench,
    addDemo,
  ];
  for (const add of commands) add(command);
  return command;
}

/** Exit codes: 0 done, 1 an error, 2 wrong usage (commander's), 130 cancelled. */
async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endOfPipe);
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else if (error instanceof IsthmusError) {
      const { red, dim } = pc.createColors(process.stderr.isTTY === true);
      process.stderr.write(`${red('isthmus:')} ${printable(error.message)} ${dim(`(${error.code})`)}\n`);
      process.exitCode = error.code === 'ABORTED' ? 130 : 1;
    } else throw error;
  }
}

/** Whoever reads the output may have seen enough (`isthmus cuts MODEL | head`): that is no error. */
function endOfPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
