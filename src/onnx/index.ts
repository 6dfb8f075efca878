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
  float,
  type GraphSpec,
  int,
  type ModelSpec,
  node,
  subgraph,
  type TypedNumber,
  tensorType,
  type ValueSpec,
  valueInfo,
} from './build.ts';
export { checkGraph } from './check.ts';
export { dataTypeOf, dtypeOf } from './dtypes.ts';
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
export { capturesOf, consumersOf, producersOf, subgraphsOf, usesOf, walkNodes } from './walk.ts';
