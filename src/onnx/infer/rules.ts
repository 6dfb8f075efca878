import { ATTENTION } from './attention.ts';
import type { Rule } from './call.ts';
import { CONTROL } from './control.ts';
import { CONV } from './conv.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { GATHER } from './gather.ts';
import { GENERATE } from './generate.ts';
import { LINEAR } from './linear.ts';
import { MICROSOFT } from './microsoft.ts';
import { NORMALIZE } from './normalize.ts';
import { QUANTIZE } from './quantize.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCE } from './reduce.ts';
import { SEQUENCE } from './sequence.ts';
import { SHAPE } from './shape.ts';
import { SPATIAL } from './spatial.ts';

/** How the outputs of each operator follow from its inputs, by domain and name. */
const RULES = new Map<string, Readonly<Record<string, Rule>>>([
  [
    '',
    {
      ...ATTENTION,
      ...CONTROL,
      ...CONV,
      ...ELEMENTWISE,
      ...GATHER,
      ...GENERATE,
      ...LINEAR,
      ...NORMALIZE,
      ...QUANTIZE,
      ...RECURRENT,
      ...REDUCE,
      ...SEQUENCE,
      ...SHAPE,
      ...SPATIAL,
    },
  ],
  ['com.microsoft', MICROSOFT],
]);

/** The rule of an operator, or `undefined`. The domain is spelled as `normalDomain` gives it. */
export function ruleOf(domain: string, opType: string): Rule | undefined {
  const rules = RULES.get(domain);
  return rules && Object.hasOwn(rules, opType) ? rules[opType] : undefined;
}
