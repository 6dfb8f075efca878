import { cpus } from 'node:os';
import manifest from '../../package.json' with { type: 'json' };
import { IsthmusError } from '../errors.ts';
import { writeBeside } from '../files.ts';
import { printable } from '../table.ts';
import { lossCurve, type Provenance, readLog } from '../train/index.ts';

/** Files that stand beside what a training makes. */
export interface TrainingFiles {
  readonly stem: string;
  readonly log: string;
  readonly curve: string;
  readonly card: string;
  readonly checkpoint: string;
}

/** Their paths, by that of the file that is made. */
export function filesBeside(out: string): TrainingFiles {
  const stem = out.replace(/\.(onnx|codec)$/i, '');
  return {
    stem,
    log: `${stem}.log.jsonl`,
    curve: `${stem}.loss.svg`,
    card: `${stem}.card.md`,
    checkpoint: `${stem}.checkpoint.safetensors`,
  };
}

/** The curve is for the eye: without the packages that draw it, the rest is made all the same. */
export async function drawCurve({ log, curve }: TrainingFiles, title: string): Promise<void> {
  try {
    await writeText(curve, await lossCurve(await readLog(log), title));
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError && thrown.code === 'PEER_MISSING')) throw thrown;
    process.stderr.write(printable(`note: no loss curve, since ${thrown.message}\n`));
  }
}

/** What a card tells of how the training was run that `command` makes again; its time is that of the log. */
export async function provenanceOf({ log }: TrainingFiles, command: string): Promise<Provenance> {
  const steps = (await readLog(log)).flatMap((line) => ('ms' in line ? [line.ms] : []));
  const [cpu] = cpus();
  return {
    seconds: steps.reduce((sum, ms) => sum + ms, 0) / 1000,
    environment: `isthmus ${manifest.version}, Node ${process.version}, ${cpus().length} cores (${cpu?.model ?? 'unknown'})`,
    command,
  };
}

export function writeText(path: string, text: string): Promise<void> {
  return writeBeside(path, [new TextEncoder().encode(text)]);
}
