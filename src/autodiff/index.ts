export type { Backward, Operand } from './backward.ts';
export { type DifferentiateOptions, differentiate } from './differentiate.ts';
export type { Gradients, Rule } from './rule.ts';
export { RULES } from './rules/rules.ts';
