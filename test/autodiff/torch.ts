import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { elements, type Tensor } from '../../src/tensor.ts';
import { type Input, type Weighted, wantedOf } from './applied.ts';

/** What PyTorch gives for an application: gradients by the inputs of `wantedOf`, row-major. */
export interface Answer {
  readonly loss: number;
  readonly gradients: readonly (readonly number[])[];
}

const REFERENCE = fileURLToPath(new URL('../../fixtures/gradients/reference.py', import.meta.url));

/** A Python that has PyTorch: ISTHMUS_PYTHON, Debian's own, or the path's. */
export function pythonWithTorch(): string | undefined {
  const candidates = [process.env.ISTHMUS_PYTHON, '/usr/bin/python3', 'python3'];
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import torch']).status === 0);
}

/** PyTorch's answers, each absent where its operators have no counterpart of the attributes. */
export function askTorch(
  python: string,
  cases: readonly Weighted[],
): { version: string; answers: (Answer | undefined)[] } {
  const questions = cases.map(({ op, opset, sample, weights }) => ({
    op,
    opset,
    attributes: Object.fromEntries(Object.entries(sample.attributes ?? {}).map(([key, value]) => [key, single(value)])),
    inputs: sample.inputs.map((input) => input ?? null),
    weights: Array.from(weights, (weight) => weight ?? null),
    wanted: wantedOf(sample),
  }));
  const { status, stdout, stderr } = spawnSync(python, [REFERENCE], {
    input: JSON.stringify(questions),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  if (status !== 0) throw new Error(`${python} ${REFERENCE}: ${stderr}`);
  const { torch, answers } = JSON.parse(stdout) as { torch: string; answers: (Answer | null)[] };
  return { version: torch, answers: answers.map((answer) => answer ?? undefined) };
}

/** Attributes are of float32. */
function single(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(single);
  return typeof value === 'number' ? Math.fround(value) : value;
}

/** Largest difference of an element from PyTorch's, relative to the tensor's largest (at least 0.1). */
export function errorAgainst(gradients: readonly Tensor[], { gradients: expected }: Answer): number {
  let worst = 0;
  for (const [i, { data, shape }] of gradients.entries()) {
    if (expected[i].length !== elements(shape)) return Number.POSITIVE_INFINITY;
    const scale = expected[i].reduce((largest, value) => Math.max(largest, Math.abs(value)), 0.1);
    for (const [k, value] of expected[i].entries()) {
      const error = Math.abs((data as Float64Array)[k] - value) / scale;
      worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
    }
  }
  return worst;
}

/** The application with its floats rounded to so few digits that a manifest stays small. */
export function rounded(of: Weighted, digits: number): Weighted {
  const round = (input: Input | undefined) =>
    input && { ...input, values: input.values.map((value) => Number(value.toPrecision(digits))) };
  return { ...of, sample: { ...of.sample, inputs: of.sample.inputs.map(round) } };
}
