import type { Rule } from '../rule.ts';
import { ACTIVATIONS } from './activations.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { CODEC } from './codec.ts';
import { CONV } from './conv.ts';
import { FUNCTIONS } from './functions.ts';
import { LINEAR } from './linear.ts';
import { MICROSOFT } from './microsoft.ts';
import { NORMALIZE } from './normalize.ts';
import { PAD } from './pad.ts';
import { PICK } from './pick.ts';
import { POOL } from './pool.ts';
import { REDUCE } from './reduce.ts';
import { RESIZE } from './resize.ts';
import { SCATTER } from './scatter.ts';
import { SHAPE } from './shape.ts';
import { SOFTMAX } from './softmax.ts';

/** The derivative of each operator. Those of other domains than ONNX's own are named `domain.Operator`. */
export const RULES: Readonly<Record<string, Rule>> = {
  ...ACTIVATIONS,
  ...ARITHMETIC,
  ...CODEC,
  ...CONV,
  ...FUNCTIONS,
  ...LINEAR,
  ...MICROSOFT,
  ...NORMALIZE,
  ...PAD,
  ...PICK,
  ...POOL,
  ...REDUCE,
  ...RESIZE,
  ...SCATTER,
  ...SHAPE,
  ...SOFTMAX,
};
