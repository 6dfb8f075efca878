import { setTimeout } from 'node:timers/promises';
import { train } from '../../src/train/index.ts';
import { toyTraining } from './toy.ts';

/** Trains the toy, slowly enough to be killed in between; prints each step. */
const [steps, checkpoint, log] = process.argv.slice(2);
const options = toyTraining(Number(steps));
await train({
  ...options,
  batch: async (step, micro) => {
    await setTimeout(5);
    return options.batch(step, micro);
  },
  checkpoint: { path: checkpoint, every: 4, training: 'toy' },
  log,
  onStep: ({ step }) => process.stdout.write(`${step}\n`),
});
