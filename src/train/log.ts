import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { IsthmusError, messageOf } from '../errors.ts';
import { writeBeside } from '../files.ts';

const numbers = z.record(z.string(), z.number());
const STEP_LINE = z.object({
  step: z.int().min(1),
  /** Before the step. */
  loss: z.number(),
  rate: z.number(),
  gradientNorm: z.number(),
  /** Milliseconds that the step took, the wait for its data included. */
  ms: z.number(),
  reported: numbers,
});
const MEASURED_LINE = z.object({ step: z.int().min(0), measured: numbers });

/** What the log says of a step, or of what was measured after one. */
export type StepLine = z.infer<typeof STEP_LINE>;
export type MeasuredLine = z.infer<typeof MEASURED_LINE>;
export type LogLine = StepLine | MeasuredLine;
const LINE = z.union([STEP_LINE, MEASURED_LINE]);

/** A training's log: JSON lines, appended as it goes. */
export interface TrainingLog {
  /** Throws `FILE_UNWRITABLE`. */
  write(line: LogLine): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a log to go on after a step: lines of later steps, and one that a killed run left half, are cut. After step 0 it
 * starts anew. Throws `FILE_UNWRITABLE`.
 */
export async function openLog(path: string, afterStep: number): Promise<TrainingLog> {
  const kept = afterStep === 0 ? [] : (await readLog(path)).filter(({ step }) => step <= afterStep);
  const encoder = new TextEncoder();
  await writeBeside(
    path,
    kept.map((line) => encoder.encode(`${JSON.stringify(line)}\n`)),
  );
  const file = await writing(path, () => open(path, 'a'));
  return {
    write: (line) => writing(path, () => file.appendFile(`${JSON.stringify(line)}\n`)),
    close: () => file.close(),
  };
}

async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new IsthmusError('FILE_UNWRITABLE', `cannot write the log ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** The lines of a log, none where there is no file; what is no line of a log is left out. Throws `FILE_UNREADABLE`. */
export async function readLog(path: string): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  try {
    for await (const text of createInterface({ input: createReadStream(path) })) {
      const line = parseLine(text);
      if (line) lines.push(line);
    }
    return lines;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new IsthmusError('FILE_UNREADABLE', `cannot read the log ${path}: ${messageOf(cause)}`, { cause });
  }
}

function parseLine(text: string): LogLine | undefined {
  try {
    return LINE.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
