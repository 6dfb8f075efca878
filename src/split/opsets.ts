import { IsthmusError } from '../errors.ts';
import { type Graph, mainGraph, normalDomain, opsetOf } from '../onnx/graph.ts';
import { walkNodes } from '../onnx/walk.ts';

/**
 * Versions of the default operator set (from 8 on) at which a node written for the version before is no longer valid or
 * means something else: inputs that were attributes, another default, operators withdrawn. From the changelog of ONNX,
 * docs/Changelog.md; changes that only add element types or options are not here.
 */
const CHANGED: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [9, 14],
  Clip: [11],
  DFT: [20],
  Dropout: [10, 12],
  GridSample: [20],
  GroupNormalization: [21],
  Hardmax: [13],
  LogSoftmax: [13],
  Pad: [11],
  ReduceL1: [18],
  ReduceL2: [18],
  ReduceLogSum: [18],
  ReduceLogSumExp: [18],
  ReduceMax: [18],
  ReduceMean: [18],
  ReduceMin: [18],
  ReduceProd: [18],
  ReduceSum: [13],
  ReduceSumSquare: [18],
  Resize: [11],
  RoiAlign: [16],
  Scan: [9],
  Scatter: [11],
  Slice: [10],
  Softmax: [13],
  Split: [13, 18],
  Squeeze: [13],
  TopK: [10],
  Unsqueeze: [13],
  Upsample: [9, 10],
};

/** The versions between which {@link CHANGED} is complete. */
const FIRST = 7;
const LAST = 24;

/**
 * The version of an operator set's domain (the default one is `''`) under which nodes of both models mean what they
 * meant: the higher one, or the only one.
 * Throws `ONNX_UNSUPPORTED` where an operator changed in between, or nobody knows.
 */
export function commonOpset(first: Graph, second: Graph, domain: string): number {
  const imported = [first, second].filter((model) => model.opsetImport.some((e) => normalDomain(e.domain) === domain));
  if (imported.length === 1) return opsetOf(imported[0], domain);
  const [a, b] = [first, second].map((model) => opsetOf(model, domain));
  if (a === b) return a;
  const older = a < b ? first : second;
  const [low, high] = a < b ? [a, b] : [b, a];
  const refuse = (reason: string) =>
    new IsthmusError(
      'ONNX_UNSUPPORTED',
      `the models are written for versions ${a} and ${b} of the operator set '${domain || 'ai.onnx'}', ${reason}; export both with one version`,
    );
  if (domain !== '') throw refuse('between which operators may differ');
  if (low < FIRST || high > LAST) throw refuse(`and changes are known from ${FIRST} to ${LAST}`);
  for (const { node } of walkNodes(mainGraph(older))) {
    if (normalDomain(node.domain) !== '') continue;
    const changed = Object.hasOwn(CHANGED, node.opType) ? CHANGED[node.opType] : [];
    const at = changed.find((version) => version > low && version <= high);
    if (at !== undefined) throw refuse(`and ${node.opType} changed its meaning in ${at}`);
  }
  return high;
}
