export type { Backward, Operand } from './backward.ts';
export { type DifferentiateOptions, differentiate } from './differentiate.ts';
export { lowerBound, withLowerBound } from './lower-bound.ts';
export type { Gradients, Rule } from './rule.ts';
export { RULES } from './rules/rules.ts';
