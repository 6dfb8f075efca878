import type { Rule } from '../rule.ts';
import { ACTIVATIONS } from './activations.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { CONV } from './conv.ts';
import { FUNCTIONS } from './functions.ts';
import { LINEAR } from './linear.ts';
import { NORMALIZE } from './normalize.ts';
import { PICK } from './pick.ts';
import { POOL } from './pool.ts';
import { REDUCE } from './reduce.ts';
import { SHAPE } from './shape.ts';
import { SOFTMAX } from './softmax.ts';

/** The derivative of each operator. Those of other domains than ONNX's own are named `domain.Operator`. */
export const RULES: Readonly<Record<string, Rule>> = {
  ...ACTIVATIONS,
  ...ARITHMETIC,
  ...CONV,
  ...FUNCTIONS,
  ...LINEAR,
  ...NORMALIZE,
  ...PICK,
  ...POOL,
  ...REDUCE,
  ...SHAPE,
  ...SOFTMAX,
};
