export { type ChainOptions, chainGraphs } from './chain.ts';
export { cutGraph, type Halves } from './cut.ts';
