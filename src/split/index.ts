export { type ChainOptions, chainGraphs } from './chain.ts';
export { cutGraph, type Halves } from './cut.ts';
export { constantUnder, type Hoisted, hoistGraph } from './hoist.ts';
