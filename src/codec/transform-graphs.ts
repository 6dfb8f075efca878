import { IsthmusError, messageOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { type Graph, mainGraph, tensorTypeOf, trueInputs } from '../onnx/graph.ts';
import type { ValueInfoProto } from '../onnx/onnx_pb.ts';
import { readGraph } from '../onnx/read.ts';
import type { Entries } from './archive.ts';
import type { FeatureTensor } from './codec.ts';

/** The transform of a learned codec as two ONNX graphs. */
export interface TransformGraphs {
  /** From the tensors at the cut to the latents. */
  readonly analysis: Graph;
  /** From the latents to the tensors at the cut. */
  readonly synthesis: Graph;
}

/** Letters of a name that a message shows: a file may have made it as long as it likes. */
const SHOWN = 64;

/**
 * Reads the graphs of a codec file and checks that they are what it says: models that stand alone, whose inputs and outputs have the
 * names, element types and shapes of the feature and the latents; axis 0 may be symbolic, as a batch is.
 * Throws `CODEC_INVALID`, `LIMIT_EXCEEDED`.
 */
export function readTransforms(
  entries: Entries,
  features: readonly FeatureTensor[],
  latents: readonly FeatureTensor[],
  limits: Readonly<Limits>,
): TransformGraphs {
  const analysis = readTransform('analysis.onnx', entries, limits);
  checkPorts(analysis, 'analysis.onnx', features, latents);
  const synthesis = readTransform('synthesis.onnx', entries, limits);
  checkPorts(synthesis, 'synthesis.onnx', latents, features);
  return { analysis, synthesis };
}

function readTransform(entry: string, entries: Entries, limits: Readonly<Limits>): Graph {
  const bytes = entries.get(entry);
  if (bytes === undefined) throw new IsthmusError('CODEC_INVALID', `a learned codec needs the entry ${entry}`);
  try {
    return readGraph(bytes, { limits });
  } catch (cause) {
    const code = cause instanceof IsthmusError && cause.code === 'LIMIT_EXCEEDED' ? cause.code : 'CODEC_INVALID';
    throw new IsthmusError(code, `entry ${entry} of a codec file: ${messageOf(cause).slice(0, 400)}`, { cause });
  }
}

function checkPorts(
  graph: Graph,
  entry: string,
  inputs: readonly FeatureTensor[],
  outputs: readonly FeatureTensor[],
): void {
  const main = mainGraph(graph);
  checkTensors(trueInputs(main), inputs, `entry ${entry} of a codec file: its inputs`);
  checkTensors(main.output, outputs, `entry ${entry} of a codec file: its outputs`);
}

function checkTensors(declared: readonly ValueInfoProto[], wanted: readonly FeatureTensor[], where: string): void {
  const byName = new Map(declared.map((info) => [info.name, info]));
  if (byName.size !== wanted.length) {
    throw new IsthmusError('CODEC_INVALID', `${where} are ${byName.size}, codec.json has ${wanted.length}`);
  }
  for (const tensor of wanted) {
    const info = byName.get(tensor.name);
    if (info && isDeclared(info, tensor)) continue;
    const { name, dtype, shape } = tensor;
    throw new IsthmusError(
      'CODEC_INVALID',
      `${where} need '${name.slice(0, SHOWN)}' as ${dtype} [${shape}]${info ? ', it has another element type or shape' : ''}`,
    );
  }
}

function isDeclared(info: ValueInfoProto, { dtype, shape }: FeatureTensor): boolean {
  // An element type that isthmus has no array for is none of a codec's.
  const declared = typeOrNone(info);
  return (
    declared?.dtype === dtype &&
    declared.shape?.length === shape.length &&
    declared.shape.every((length, axis) => length === shape[axis] || (axis === 0 && typeof length === 'string'))
  );
}

function typeOrNone({ type }: ValueInfoProto): ReturnType<typeof tensorTypeOf> {
  try {
    return tensorTypeOf(type);
  } catch (thrown) {
    if (thrown instanceof IsthmusError && thrown.code === 'ONNX_UNSUPPORTED') return undefined;
    throw thrown;
  }
}
