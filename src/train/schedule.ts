import { IsthmusError } from '../errors.ts';

/** How the learning rate goes over a training of some steps. */
export interface Schedule {
  readonly kind: 'constant' | 'cosine' | 'linear' | 'step';
  /** The rate after warming up. */
  readonly rate: number;
  /** Steps over which the rate rises linearly to `rate`; 0 by default. */
  readonly warmup?: number;
  /** cosine, linear: the rate that is reached when training ends, as a share of `rate`; 0 by default. */
  readonly final?: number;
  /** step: the rate is multiplied by `factor` after every so many steps, warm-up included. */
  readonly every?: number;
  /** step: 0.1 by default. */
  readonly factor?: number;
}

/**
 * The learning rate of each step, from 1 to `steps`. `cosine` falls along half a wave (Loshchilov & Hutter, SGDR, 2017,
 * without restarts). Throws `INVALID_ARGUMENT` for a schedule that cannot be.
 */
export function learningRate(schedule: Schedule, steps: number): (step: number) => number {
  check(schedule, steps);
  const { kind, rate, warmup = 0, final = 0, every = 1, factor = 0.1 } = schedule;
  return (step) => {
    if (step <= warmup) return (rate * step) / (warmup + 1);
    if (kind === 'constant') return rate;
    if (kind === 'step') return rate * factor ** Math.floor((step - 1) / every);
    const done = (step - warmup - 1) / (steps - warmup);
    const left = kind === 'linear' ? 1 - done : (1 + Math.cos(Math.PI * done)) / 2;
    return rate * (final + (1 - final) * left);
  };
}

function check({ kind, rate, warmup = 0, final = 0, every, factor = 0.1 }: Schedule, steps: number): void {
  const refuse = (what: string): never => {
    throw new IsthmusError('INVALID_ARGUMENT', `schedule: ${what}`);
  };
  if (!['constant', 'cosine', 'linear', 'step'].includes(kind)) {
    refuse(`kind is constant, cosine, linear or step, got '${kind}'`);
  }
  if (!(Number.isFinite(rate) && rate > 0)) refuse(`rate must be above 0, got ${rate}`);
  if (!(Number.isInteger(warmup) && warmup >= 0 && warmup < steps)) {
    refuse(`warmup is a whole number of steps below the ${steps} of the training, got ${warmup}`);
  }
  if (!(final >= 0 && final <= 1)) refuse(`final is a share of the rate from 0 to 1, got ${final}`);
  if (kind === 'step' && !(Number.isInteger(every) && (every as number) >= 1)) {
    refuse(`every is a whole number of steps of at least 1, got ${every}`);
  }
  if (!(factor > 0 && factor <= 1)) refuse(`factor must be above 0 and at most 1, got ${factor}`);
}
