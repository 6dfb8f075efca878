export type { Block } from './blocks.ts';
export { type ChainOptions, chainGraphs } from './chain.ts';
export { cutGraph, type Halves } from './cut.ts';
export { assumedLengths, type Cut, type CutsOptions, findCuts } from './cuts.ts';
export { constantUnder, type Hoisted, hoistGraph } from './hoist.ts';
export {
  type Difference,
  type OpenRunnable,
  type Runnable,
  type Verification,
  type VerifyOptions,
  verifySplit,
} from './verify.ts';
