import type { openGraph as OpenGraph, saveGraph as SaveGraph } from './file.ts';

export {
  floatAttribute,
  floatsAttribute,
  graphAttribute,
  hasAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  stringsAttribute,
  tensorAttribute,
} from './attributes.ts';
export {
  type AttributeValue,
  attribute,
  buildGraph,
  type FunctionSpec,
  float,
  type GraphSpec,
  int,
  type ModelSpec,
  modelFunction,
  node,
  subgraph,
  type TypedNumber,
  tensorType,
  type ValueSpec,
  valueInfo,
} from './build.ts';
export { checkGraph } from './check.ts';
export { dataTypeOf, dtypeOf } from './dtypes.ts';
export type { ExternalOptions } from './external-write.ts';
export type { OpenOptions, SaveOptions } from './file.ts';
export {
  describeNode,
  type Graph,
  isOp,
  mainGraph,
  normalDomain,
  opsetOf,
  type TensorType,
  tensorTypeOf,
  trueInputs,
} from './graph.ts';
export { type ReadOptions, readGraph, writeGraph } from './read.ts';
export { protoOf, tensorOf } from './values.ts';
export { capturesOf, consumersOf, producersOf, subgraphsOf, tensorsOf, usesOf, walkNodes } from './walk.ts';

// Files need Node. They are loaded when first used, so that this module also loads in a browser.

/** {@inheritDoc OpenGraph} */
export const openGraph: typeof OpenGraph = async (path, options) =>
  (await import('./file.ts')).openGraph(path, options);

/** {@inheritDoc SaveGraph} */
export const saveGraph: typeof SaveGraph = async (graph, path, options) =>
  (await import('./file.ts')).saveGraph(graph, path, options);
export { type Count, count } from './count.ts';
export {
  type Dim,
  evaluate as evaluateDim,
  isKnown as isKnownDim,
  printDim,
  printShape,
  sameDim,
  substitute as substituteDim,
  symbolsOf as symbolsOfDim,
} from './dim.ts';
export { parseDim } from './dim-text.ts';
export { type InferOptions, type Inferred, type InferredTensor, inferShapes, type NotInferred } from './infer.ts';
