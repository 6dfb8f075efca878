import type { Case } from './cases/draw.ts';
import { ELEMENTWISE } from './cases/elementwise.ts';
import { LINEAR } from './cases/linear.ts';
import { MICROSOFT } from './cases/microsoft.ts';
import { NORMALIZE } from './cases/normalize.ts';
import { PICK } from './cases/pick.ts';
import { REDUCE } from './cases/reduce.ts';
import { SHAPE } from './cases/shape.ts';
import { SPATIAL } from './cases/spatial.ts';

/** Random samples of every operator with a rule. */
export const CASES: readonly Case[] = [
  ...ELEMENTWISE,
  ...LINEAR,
  ...REDUCE,
  ...SHAPE,
  ...PICK,
  ...NORMALIZE,
  ...SPATIAL,
  ...MICROSOFT,
];
